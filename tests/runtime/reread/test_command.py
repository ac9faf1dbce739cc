"""The command from end to end, with the demonstration's networks in processes of its own."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

from device.frame import Frame
from runtime.bundle import open_bundle
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.rules import rules_for
from runtime.reread.__main__ import main
from runtime.reread.drive import Batch
from runtime.reread.local import LocalPool
from runtime.reread.reader import ReaderSettings
from runtime.views import Eye, View
from tests.pictures import retina
from tests.runtime.exam.making import infant


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:03d}.png"), retina(number)[..., ::-1])
    return folder


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("link", [False, True])
def test_the_labels_of_a_source_are_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, link: bool
) -> None:
    source = pictures(tmp_path / "in", 1)
    labels, out = source / "labels.csv", source / "labels.csv"
    labels.write_text("image,refer\n000.png,1\n")
    if link:
        out = tmp_path / "out.csv"
        out.symlink_to(labels)
    assert main([str(source), "--out", str(out)]) == 2
    assert "it is what is read here; name another file" in capsys.readouterr().err
    assert labels.read_text() == "image,refer\n000.png,1\n"
    assert {path.name for path in source.iterdir()} == {"000.png", "labels.csv"}


def test_a_labels_table_that_says_one_thing_twice_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = pictures(tmp_path / "in", 1)
    (source / "labels.csv").write_text("image,refer,Refer\n000.png,1,0\n")
    assert main([str(source), "--out", str(tmp_path / "out.csv")]) != 0
    assert "column refer is named twice" in capsys.readouterr().err


def test_pictures_one_of_them_damaged_and_a_reader_that_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = pictures(tmp_path / "in", 3)
    (source / "001.png").write_bytes(b"no picture")
    (source / "labels.csv").write_text(
        "image,outcome,probability,refer\n000.png,RETAKE,,0\n001.png,REFER,0.9,1\n002.png,REFER,0.9,1\n"
    )
    killed: list[int] = []
    give = LocalPool.give

    def give_and_kill(pool: LocalPool, batch: Batch) -> None:
        give(pool, batch)
        if not killed:
            worker = next(one for one in pool._workers if batch in one.batches)
            assert worker.process.pid is not None
            killed.append(worker.process.pid)
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(LocalPool, "give", give_and_kill)
    assert main([str(source), "--out", str(tmp_path / "t.csv"), "--workers", "1"]) == 0
    rows = rows_of(tmp_path / "t.csv")
    assert killed
    assert len(rows) == 3
    assert len({row["reading"] for row in rows}) == 3
    assert [row["read"] for row in rows] == ["true", "false", "true"]
    assert rows[1]["new_outcome"] == "NO_RESULT"
    assert "001.png" not in rows[1]["new_reason"]
    assert all(row["file"] == "" for row in rows)
    report = json.loads((tmp_path / "t.report" / "report.json").read_text())
    assert report["unread"] == 1
    assert report["run"]["frames"] == 3
    changed = sum(row["read"] == "true" and row["new_outcome"] != row["old_outcome"] for row in rows)
    assert changed == report["changes"]["changed"]["count"] == len(list((tmp_path / "t.report/pictures").iterdir()))
    assert not (tmp_path / "t.csv.work").exists()
    assert "not for clinical use" in capsys.readouterr().out


def test_what_was_read_before_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = pictures(tmp_path / "in", 2)
    call = [str(source), "--out", str(tmp_path / "t.csv"), "--workers", "1"]
    with monkeypatch.context() as patch:
        patch.setattr("runtime.reread.run.write_table", _full)
        assert main(call) == 1
    assert (tmp_path / "t.csv.work").is_dir()
    cv2.imwrite(str(source / "002.png"), retina(2)[..., ::-1])
    (source / "clip.mp4").touch()
    (source / ".000.png").write_bytes((source / "000.png").read_bytes())
    given: list[int] = []
    give = LocalPool.give

    def counted(pool: LocalPool, batch: Batch) -> None:
        given.append(len(batch.frames))
        give(pool, batch)

    monkeypatch.setattr(LocalPool, "give", counted)
    assert main(call) == 0
    assert given == [1]
    assert len(rows_of(tmp_path / "t.csv")) == 3
    told = json.loads((tmp_path / "t.report" / "report.json").read_text())["told"]
    assert told == ["source 0: passed over: 2 entries: 1 hidden picture, 1 .mp4"]


def test_what_changed_since_a_run_was_cut_off_is_as_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels that were put right, a picture of the same size in its place, one that was taken out."""
    source = pictures(tmp_path / "in", 3)
    for name in ("000", "001", "002"):
        cv2.imwrite(str(source / f"{name}.bmp"), retina(int(name))[..., ::-1])
        (source / f"{name}.png").unlink()
    call = [str(source), "--out", str(tmp_path / "t.csv"), "--workers", "1"]
    labels = source / "labels.csv"
    labels.write_text("image,refer\n000.bmp,1\n001.bmp,0\n002.bmp,0\n")
    with monkeypatch.context() as patch:
        patch.setattr("runtime.reread.run.write_table", _full)
        assert main(call) == 1
    labels.write_text("image,refer\n000.bmp,0\n001.bmp,0\n")
    cv2.imwrite(str(source / "001.bmp"), retina(7)[..., ::-1])
    capsys.readouterr()
    assert main(call) == 0
    assert "1 frames of the earlier run are gone" in capsys.readouterr().err
    gone_on = (tmp_path / "t.csv").read_bytes()
    assert main(call) == 0
    assert gone_on == (tmp_path / "t.csv").read_bytes()
    assert [row["label"] for row in rows_of(tmp_path / "t.csv")] == ["false", "false"]


def _full(*_: object) -> None:
    from runtime.errors import OutputError

    raise OutputError("no space left")


@pytest.mark.soak
def test_killed_anywhere_it_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    """A driver that is killed again and again, at moments that no one chose, against a run in one go."""
    source = pictures(tmp_path / "in", 160)
    call = [sys.executable, "-m", "runtime.reread", str(source), "--workers", "2", "--out"]
    subprocess.run([*call, str(tmp_path / "whole.csv")], check=True, capture_output=True)
    for number in range(200):
        process = subprocess.Popen([*call, str(tmp_path / "cut.csv")], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        end = time.monotonic() + 4 + number % 7
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.1)
        if process.poll() is not None:
            process.communicate()
            break
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert (tmp_path / "cut.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_driver_that_is_killed_leaves_no_reader_behind(tmp_path: Path) -> None:
    source = pictures(tmp_path / "in", 40)
    process = subprocess.Popen(
        [sys.executable, "-m", "runtime.reread", str(source), "--workers", "1", "--out", str(tmp_path / "t.csv")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    import psutil

    end = time.monotonic() + 120
    readers: list[psutil.Process] = []
    while not readers and time.monotonic() < end:
        readers = [one for one in psutil.Process(process.pid).children() if "spawn_main" in " ".join(one.cmdline())]
        time.sleep(0.05)
    process.kill()
    process.wait()
    gone, alive = psutil.wait_procs(readers, timeout=120)
    assert gone
    assert not alive


def test_results_do_not_depend_on_who_reads_what_with_whom(tmp_path: Path) -> None:
    source = pictures(tmp_path / "in", 4)
    outs = []
    for number, batch in enumerate((1, 3)):
        out = tmp_path / f"{number}.csv"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("runtime.reread.drive.BATCH_FRAMES", batch)
            assert main([str(source), "--out", str(out), "--workers", str(number + 1)]) == 0
        outs.append(out.read_bytes())
    assert outs[0] == outs[1]


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["gone", "--out", "t.csv"], 2, "no such folder"),
        (["empty", "--out", "t.csv"], 2, "no source holds a frame"),
        (["empty", "--bundle", "gone", "--out", "t.csv"], 2, "gone"),
        (["empty", "--out", "folder.csv"], 2, "a folder stands there"),
    ],
)
def test_calls_that_are_wrong(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    argv: list[str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("folder.csv").mkdir()
    assert main([*argv, "--workers", "1"]) == code
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize("argv", [["in"], ["in", "--out", "t.xlsx"], ["in", "--out", "t.csv", "--workers", "0"]])
def test_command_lines_that_are_wrong(argv: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(argv)


def test_a_bundle_that_a_reader_cannot_load_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="gone") as caught:
        LocalPool(ReaderSettings(str(tmp_path / "gone")), 1)
    assert "\n" not in str(caught.value)


def test_a_journal_by_its_key_file_and_no_name_in_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: the key's file from the command line to the reader's process."""
    monkeypatch.delenv("ROP_JOURNAL_KEY", raising=False)
    key, file = JournalKey.new(), tmp_path / "key"
    file.touch(0o600)
    file.write_text(key.text)
    rules = rules_for(open_bundle(None))
    with Journal.open(tmp_path / "j", key, create=True) as journal:
        exam = journal.begin_exam(infant(), rules, operator="anna", station="cart 1")
        for number in range(2):
            shot = Frame(retina(number), sequence=number, source="sim:1")
            journal.add_capture(exam, Eye.OD, View.NASAL, shot, operator="anna")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "j").rglob("*")}
    call = [str(tmp_path / "j"), "--out", str(tmp_path / "t.csv"), "--workers", "1"]
    assert main([*call, "--key-file", str(file)]) == 0
    rows = rows_of(tmp_path / "t.csv")
    assert [(row["exam"], row["eye"], row["view"], row["camera"]) for row in rows] == [(exam, "OD", "nasal", "sim")] * 2
    assert all(row["read"] == "true" for row in rows)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "j").rglob("*")} == before
    written = b"".join(path.read_bytes() for path in [tmp_path / "t.csv", *(tmp_path / "t.report").glob("*.*")])
    assert not any(name in written for name in (b"Doe", b"H-1", b"anna"))
