from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import OutputError
from runtime.sinks.files import folder_aside, keep_inputs, prepare_folder, replace_folder, write_file

ROOT = Path(__file__).parents[3]


def test_the_folder_is_made_with_its_parents_and_left_empty(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("here first")
    with pytest.raises(OutputError, match=r"out: Not a directory.*--out"):
        prepare_folder(tmp_path / "out")
    with pytest.raises(OutputError, match=r"Not a directory"):
        prepare_folder(tmp_path / "out" / "deeper")


def test_a_write_that_fails_leaves_the_old_file_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.html"
    write_file(path, b"old")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError, match=r"page\.html: No space left on device"):
        write_file(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["page.html"]
    assert path.read_bytes() == b"old"


def test_what_is_read_is_not_written_over(tmp_path: Path) -> None:
    read, linked = tmp_path / "in.json", tmp_path / "link.json"
    read.write_text("x")
    linked.symlink_to(read)
    for out in (read, linked, tmp_path / "." / "in.json"):
        with pytest.raises(OutputError, match="it is what is read here; name another file"):
            keep_inputs(out, [None, tmp_path / "gone", read])
    keep_inputs(tmp_path / "new.json", [read, None])


def test_a_private_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    (tmp_path / ".report.html.part").write_text("left by a crash")
    write_file(tmp_path / "report.html", b"name")
    assert (tmp_path / "report.html").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "report.html").read_bytes() == b"name"


WAITS = """
import sys, time
from pathlib import Path
from runtime.commands.ending import end_on_sigterm
from runtime.sinks.files import folder_aside
end_on_sigterm()
with folder_aside(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("of it")
    print(flush=True)
    time.sleep(600)
"""


def waiting(out: Path) -> subprocess.Popen[str]:
    """A program that has a folder aside, and makes nothing of it."""
    program = subprocess.Popen([sys.executable, "-c", WAITS, str(out)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert program.stdout is not None
    with program.stdout as told:
        assert told.readline()
    return program


def test_a_program_that_is_ended_leaves_no_folder_aside(tmp_path: Path) -> None:
    program = waiting(tmp_path / "out")
    assert len(list(tmp_path.iterdir())) == 1
    program.terminate()
    assert program.wait() == 143
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_a_killed_program_left_is_named_and_removed_and_one_in_use_is_not(tmp_path: Path) -> None:
    out, mine = tmp_path / "out", tmp_path / ".out.original"
    mine.mkdir()
    killed, other = waiting(out), waiting(out)
    both = {path for path in tmp_path.iterdir() if path != mine}
    killed.kill()
    killed.wait()
    said: list[str] = []
    with folder_aside(out, said.append) as folder:
        (left,) = both - set(tmp_path.iterdir())
        assert {path for path in tmp_path.iterdir() if path not in (mine, folder)} == both - {left}
    assert said == [f"{left}: left by a program that was killed; removed"]
    other.terminate()
    assert other.wait() == 143
    assert list(tmp_path.iterdir()) == [mine], "what has such a name and is none of ours stays"


@pytest.mark.parametrize("there", [False, True])
def test_what_a_killed_program_had_moved_away_is_put_back(tmp_path: Path, there: bool) -> None:
    out, old = tmp_path / "out", tmp_path / ".out.replaced-abcd_123"
    (old / "out").mkdir(parents=True)
    (old / "out" / "name").write_text("earlier")
    if there:
        out.mkdir()
    said: list[str] = []
    with folder_aside(out, said.append):
        assert (out / "name").exists() is not there
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert said[:-1] == ([] if there else [f"{out}: put back, as a program that was killed had moved it to {old}"])


@pytest.mark.parametrize(
    ("ended", "said"), [(OSError(28, "No space left on device"), "No space"), (SystemExit(143), "143")]
)
def test_a_folder_whose_successor_cannot_come_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: BaseException, said: str
) -> None:
    out, aside = tmp_path / "bundle", tmp_path / "aside"
    for folder in (out, aside):
        folder.mkdir()
        (folder / "name").write_text(folder.name)
    replace = os.replace

    def broken_off(source: Path, target: Path) -> None:
        if source == aside:
            raise ended
        replace(source, target)

    monkeypatch.setattr(os, "replace", broken_off)
    with pytest.raises(type(ended), match=said):
        replace_folder(out, aside)
    assert (out / "name").read_text() == "bundle"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["aside", "bundle"]
    monkeypatch.undo()
    replace_folder(out, aside)
    assert (out / "name").read_text() == "aside"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]
