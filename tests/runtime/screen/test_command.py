from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

import runtime.screener
from device.errors import Disconnected, FrameUnreadable
from device.frame import Frame
from runtime.bundle import Bundle
from runtime.engines.fake import FakeEngine
from runtime.errors import OutputError
from runtime.screen import __main__ as command
from runtime.screen import run as screen_run
from runtime.sinks.files import own_folder
from runtime.sinks.overlay import OverlaySink
from runtime.sinks.page import NOT_ALL
from runtime.sinks.summary import SummarySink
from tests.pictures import retina

Run = Callable[..., int]


@pytest.fixture
def run(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run the command with the fake engine; gives its exit code."""
    monkeypatch.setattr(runtime.screener, "load_engine", lambda *_: FakeEngine((0.8, 0.2)))

    def call(*arguments: object) -> int:
        argv = [*map(str, arguments), "--bundle", str(bundle.path), "--out", str(tmp_path / "out")]
        return command.main(argv)

    return call


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three pictures that pass the gate."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(3):
        cv2.imwrite(str(folder / f"eye_{i}.png"), retina(i)[:, :, ::-1])
    return folder


def read_readings(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "readings.jsonl").read_text().splitlines()]


class Scripted:
    """A camera that gives what it is told to: frames, or errors to raise."""

    live = False
    name = "scripted"
    frame_count = None

    def __init__(self, *script: Frame | Exception) -> None:
        self._script = list(script)

    def read(self) -> Frame | None:
        if not self._script:
            return None
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        self._script = []

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a scripted camera in the place of whatever source is named."""

    def use(*script: Frame | Exception) -> None:
        monkeypatch.setattr(screen_run, "open_source", lambda *_, **__: Scripted(*script))

    return use


def run_facts(out: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((out / "run.json").read_text())
    return facts


def frame(sequence: int) -> Frame:
    return Frame(retina(sequence), sequence, f"f{sequence}.png")


def test_a_folder_becomes_readings_pictures_and_a_page(
    run: Run, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(photos, "--vessels") == 0
    out = tmp_path / "out"
    readings = read_readings(out)
    assert [r["frame"]["source"] for r in readings] == ["eye_0.png", "eye_1.png", "eye_2.png"]
    assert {r["outcome"] for r in readings} == {"NO_REFERRAL_FINDINGS"}
    assert {r["budget_ms"] for r in readings} == {None}
    written = sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.is_file())
    assert written == [
        "overlays/eye_0.jpg", "overlays/eye_1.jpg", "overlays/eye_2.jpg", "readings.jsonl", "run.json", "summary.html",
        "vessels/eye_0.png", "vessels/eye_1.png", "vessels/eye_2.png",
    ]  # fmt: skip
    printed, said = capfd.readouterr()
    lines = printed.splitlines()
    assert re.fullmatch(
        r"1/3  eye_0.png +NO REFERRAL FINDINGS  p 0.200 +[\d.]+ ms  ridge 0.20, threshold 0.50", lines[0]
    )
    assert lines[3] == "3 frames: 3 NO REFERRAL FINDINGS"
    assert "not for clinical use" in lines[-1]
    assert "Traceback" not in said


def test_no_reading_holds_a_path(run: Run, photos: Path, tmp_path: Path) -> None:
    run(photos)
    out = tmp_path / "out"
    assert str(tmp_path) not in (out / "readings.jsonl").read_text()
    assert str(tmp_path) not in (out / "summary.html").read_text()
    assert "photos" not in (out / "summary.html").read_text()


def test_with_json_nothing_but_readings_is_on_standard_output(
    run: Run, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(photos, "--json", "--no-overlays") == 0
    printed, said = capfd.readouterr()
    assert [json.loads(line)["schema"] for line in printed.splitlines()] == ["rop.reading/1"] * 3
    assert printed == (tmp_path / "out" / "readings.jsonl").read_text()
    assert "3 frames" in said
    assert not (tmp_path / "out" / "overlays").exists()


def test_the_simulated_camera_is_read_as_often_as_asked(run: Run, tmp_path: Path) -> None:
    assert run("sim:", "--frames", 4, "--budget-ms", 60_000) == 0
    readings = read_readings(tmp_path / "out")
    assert [r["frame"]["sequence"] for r in readings] == [0, 1, 2, 3]
    assert {r["budget_ms"] for r in readings} == {60_000}


def test_a_live_source_has_a_budget_of_one_second_unless_another_is_given(run: Run, tmp_path: Path) -> None:
    run("sim:", "--frames", 1)
    assert read_readings(tmp_path / "out")[0]["budget_ms"] == 1000


def test_a_late_reading_is_no_result(run: Run, photos: Path, tmp_path: Path) -> None:
    assert run(photos, "--budget-ms", 0.001) == 0
    assert {(r["outcome"], r["late"]) for r in read_readings(tmp_path / "out")} == {("NO_RESULT", True)}


def test_one_bad_picture_among_many_is_one_line(
    run: Run, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (photos / "eye_1a.png").write_text("this is no picture")
    for more, code in ((["--strict"], 1), ([], 0)):
        assert run(photos, *more) == code
        assert capfd.readouterr().err.splitlines()[-1] == (
            "runtime.screen: 1 of 4 frames could not be read; the reasons are in the readings"
        )
    readings = read_readings(tmp_path / "out")
    assert [(r["frame"]["source"], r["outcome"]) for r in readings] == [
        ("eye_0.png", "NO_REFERRAL_FINDINGS"), ("eye_1.png", "NO_REFERRAL_FINDINGS"), ("eye_1a.png", "NO_RESULT"),
        ("eye_2.png", "NO_REFERRAL_FINDINGS"),
    ]  # fmt: skip
    assert "eye_1a.png" in readings[2]["reason"]
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 4


def test_the_pictures_of_the_folders_in_a_folder_are_read_by_their_paths(
    run: Run, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for visit in ("a", "b"):
        (photos / visit).mkdir()
        shutil.copy(photos / "eye_0.png", photos / visit / "eye_0.png")
    assert run(photos, "--strict") == 0
    assert "passed over: 2 entries: 2 folders; --subfolders reads those" in capfd.readouterr().err
    assert run(photos, "--subfolders", "--strict") == 0
    sources = [r["frame"]["source"] for r in read_readings(tmp_path / "out")]
    assert sources == ["eye_0.png", "eye_1.png", "eye_2.png", "a/eye_0.png", "b/eye_0.png"]
    assert "passed over" not in capfd.readouterr().err
    assert {p.name for p in (tmp_path / "out" / "overlays").iterdir()} >= {"a_eye_0.jpg", "b_eye_0.jpg"}
    assert run(photos / "eye_0.png", "--subfolders") == 2
    assert "name a folder" in capfd.readouterr().err


def test_a_source_without_one_readable_frame_is_unusable(
    run: Run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.png").write_text("this is no picture")
    assert run(tmp_path / "bad.png") == 2
    assert [r["outcome"] for r in read_readings(tmp_path / "out")] == ["NO_RESULT"]
    assert "not one of 1 frames could be read" in capfd.readouterr().err


def test_pictures_of_one_stem_do_not_overwrite_one_another(run: Run, photos: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(photos / "eye_0.jpg"), retina(5)[:, :, ::-1])
    run(photos, "--vessels")
    assert len(list((tmp_path / "out" / "overlays").iterdir())) == 4
    assert len(list((tmp_path / "out" / "vessels").iterdir())) == 4


def test_a_second_run_replaces_the_first(run: Run, photos: Path, tmp_path: Path) -> None:
    run(photos)
    mine = tmp_path / "out" / "overlays" / "mine.jpg"
    mine.write_text("not the program's")
    run(photos / "eye_2.png")
    assert len(read_readings(tmp_path / "out")) == 1
    assert sorted(p.name for p in mine.parent.iterdir()) == ["eye_2.jpg", "mine.jpg"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "SOURCE"),
        (["sim:", "--frames", "0"], "--frames: got '0', expected a whole number from 1 up"),
        (["sim:", "--frames", "-3"], "expected a whole number"),
        (["sim:", "--frames", "1.5"], "expected a whole number"),
        (["sim:", "--threads", "0"], "--threads: got '0'"),
        (["sim:", "--budget-ms", "0"], "--budget-ms: got '0', expected milliseconds above zero"),
        (["sim:", "--budget-ms", "nan"], "expected milliseconds"),
        (["sim:", "--budget-ms", "inf"], "expected milliseconds"),
        (["sim:", "--budget-ms", "-1"], "expected milliseconds"),
        (
            ["sim:", "--engine", "magic"],
            "--engine: got 'magic', expected auto or one of tensorrt, tensorrt-rtx, triton, openvino",
        ),
        (["photos", "--state", "seen"], "--state: has no meaning without --watch"),
        (["photos", "--subfolders", "--watch"], "--subfolders: cannot be watched"),
        (["sim:", "--precision", "fp8"], "--precision: invalid choice"),
    ],
)
def test_a_wrong_call_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_unusable_input_is_named_and_nothing_is_written(
    run: Run, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for source in ("nowhere", tmp_path / "empty", "sim:colour=blue"):
        assert run(source) == 2
    assert run(photos, "--bundle", tmp_path / "empty") == 0  # the fixture's bundle comes later on the line
    assert command.main([str(photos), "--bundle", str(tmp_path / "empty"), "--out", str(tmp_path / "other")]) == 2
    said = capfd.readouterr().err
    assert "manifest.json cannot be read" in said
    assert "Traceback" not in said
    assert list((tmp_path / "other").iterdir()) == []


@pytest.mark.parametrize(
    "source",
    ["a" * 5000, f"http://127.0.0.1:1/{'a' * 5000}", f"gstreamer:{'a ! ' * 2000}appsink", "visit-12:30.mp4", "loop"],
    ids=["name", "address", "pipeline", "colon", "loop"],
)
def test_a_source_that_cannot_be_opened_is_one_line_and_exit_2(
    source: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)
    assert run(source) == 2
    printed, said = capfd.readouterr()
    assert printed == ""
    assert said.startswith("runtime.screen: ")
    assert said.count("\n") == 1
    assert len(said) < 1500


def test_what_is_passed_over_in_a_folder_is_told_by_count(
    run: Run, photos: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (photos / "report.pdf").write_text("x")
    (photos / "loop.png").symlink_to("loop.png")
    assert run(photos) == 0
    said = capfd.readouterr().err
    assert "passed over: 1 entry: 1 .pdf" in said


@pytest.mark.parametrize("said_as_json", [False, True])
def test_what_was_not_read_stands_before_the_outcomes(
    said_as_json: bool, run: Run, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (photos / "OS").mkdir()
    shutil.copy(photos / "eye_0.png", photos / "OS" / "eye_0.png")
    shutil.copy(photos / "eye_0.png", photos / ".eye_9.png")
    for name in ("clip.mp4", "clip.GIF", "notes.txt"):
        (photos / name).touch()
    (photos / "eye_9.png").write_text("no picture")
    assert run(photos, *(["--json"] if said_as_json else [])) == 0
    printed, said = capfd.readouterr()
    end = (said if said_as_json else printed).partition(NOT_ALL)[2]
    page = (tmp_path / "out" / "summary.html").read_text()
    assert page.count(NOT_ALL) == 1
    for line in (
        "passed over: 5 entries: 1 folder, 1 hidden picture, 1 .gif, 1 .mp4, 1 .txt; --subfolders reads those",
        "1 of 4 frames could not be read",
    ):
        assert page.index(NOT_ALL) < page.index(line) < page.index("Outcomes</h2>")
        assert 0 <= end.index(line) < end.index("4 frames: 3 NO REFERRAL FINDINGS")
    facts = run_facts(tmp_path / "out")
    assert (facts["schema"], facts["readings"]) == ("rop.run/1", 4)
    assert facts["outcomes"] == {"REFER": 0, "NO_REFERRAL_FINDINGS": 3, "RETAKE": 0, "NO_RESULT": 1}
    assert facts["not_read"][0].startswith("passed over: 5 entries: 1 folder, 1 hidden picture, 1 .gif, 1 .mp4, 1 .txt")
    assert facts["not_read"][1].startswith("1 of 4 frames could not be read")
    assert "continue the scheduled" not in page + printed + said


def test_a_live_source_whose_pictures_cannot_be_written_is_told_as_broken_off(
    run: Run, scripted: Callable[..., None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise OutputError("cannot write overlays/any_0.jpg: No space left on device")

    monkeypatch.setattr(OverlaySink, "write", full)
    scripted(frame(0), frame(1))
    assert run("any") == 1
    broke_off = "what came after the run broke off, as what it reads could not be written"
    assert run_facts(tmp_path / "out")["not_read"] == [broke_off]
    assert broke_off in (tmp_path / "out" / "summary.html").read_text()


def test_a_run_that_ends_before_its_source_says_what_it_did_not_read(
    run: Run, photos: Path, scripted: Callable[..., None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(photos, "--frames", 3) == 0
    assert NOT_ALL not in (tmp_path / "out" / "summary.html").read_text() + capfd.readouterr().out
    assert run_facts(tmp_path / "out")["not_read"] == []
    assert run(photos, "--frames", 1) == 0
    assert run_facts(tmp_path / "out")["not_read"] == ["2 of 3 frames: the run ended before them"]
    assert "2 of 3 frames: the run ended before them" in (tmp_path / "out" / "summary.html").read_text()
    assert "2 of 3 frames: the run ended before them" in capfd.readouterr().out
    scripted(frame(0), Disconnected("camera 0: unplugged"))
    assert run("any") == 1
    assert "what came after the source was lost" in (tmp_path / "out" / "summary.html").read_text()


@pytest.mark.parametrize("hidden", [False, True])
def test_a_folder_of_folders_alone_says_what_reads_them(
    hidden: bool, run: Run, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    visit = tmp_path / "visit"
    shutil.copytree(photos, visit / (".OD" if hidden else "OD"))
    assert run(visit) == 2
    said = capfd.readouterr().err
    assert ("1 hidden folder with pictures" if hidden else "(--subfolders)") in said


def test_an_output_folder_that_cannot_be_made_is_told_before_the_first_frame(
    bundle: Bundle, photos: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    code = command.main([str(photos), "--bundle", str(bundle.path), "--out", str(photos / "eye_0.png" / "out")])
    assert code == 2
    printed, said = capfd.readouterr()
    assert printed == ""
    assert "Not a directory" in said


def test_a_camera_that_is_lost_ends_the_run_with_what_was_read(
    run: Run, scripted: Callable[..., None], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = FrameUnreadable("f1.png: torn", source="f1.png", sequence=1)
    scripted(frame(0), bad, frame(2), Disconnected("camera 0: unplugged; plug it in again"), frame(3))
    assert run("any") == 1
    assert [r["frame"]["sequence"] for r in read_readings(tmp_path / "out")] == [0, 1, 2]
    printed, said = capfd.readouterr()
    assert "runtime.screen: camera 0: unplugged; plug it in again" in said
    assert "3 frames" in said
    assert len(printed.splitlines()) == 3
    assert (tmp_path / "out" / "summary.html").is_file()


def test_a_camera_that_is_lost_at_once_is_told_too(
    run: Run, scripted: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    scripted(Disconnected("camera 0: unplugged"))
    assert run("any") == 1
    assert "camera 0: unplugged" in capfd.readouterr().err


def test_a_picture_that_cannot_be_written_ends_the_run_with_whole_readings(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def take_folder_away(*_: object) -> None:
        shutil.rmtree(tmp_path / "out" / "overlays")

    monkeypatch.setattr(OverlaySink, "write", _once_before(OverlaySink.write, take_folder_away))
    assert run(photos) == 1
    assert 1 <= len(read_readings(tmp_path / "out")) <= 3
    assert "overlays/eye_0.jpg: No such file or directory" in capfd.readouterr().err


def _once_before(method: Callable[..., None], first: Callable[..., None]) -> Callable[..., None]:
    done: list[bool] = []

    def call(*arguments: object) -> None:
        if not done:
            done.append(True)
            first(*arguments)
        method(*arguments)

    return call


def test_the_screener_and_the_camera_are_given_back(run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = FakeEngine()
    monkeypatch.setattr(runtime.screener, "load_engine", lambda *_: engine)
    assert run(photos) == 0
    assert engine.closed


@pytest.mark.data
def test_real_infants_images_are_read_with_the_fake_engine(run: Run, data_root: Path, tmp_path: Path) -> None:
    assert run(data_root / "hvdropdb_ridge" / "images", "--frames", 6) == 0
    readings = read_readings(tmp_path / "out")
    assert len(readings) == 6
    assert all(math.isfinite(r["timings_ms"]["total"]) for r in readings)


def test_a_folder_that_another_run_writes_to_is_refused_and_its_readings_stay(
    run: Run, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with own_folder(out):
        (out / "readings.jsonl").write_text("of the other run\n")
        assert run(photos) == 2
        assert "another run writes its results there" in capsys.readouterr().err
        assert (out / "readings.jsonl").read_text() == "of the other run\n"
    assert run(photos) == 0
    assert len(read_readings(out)) == 3


def test_only_what_stands_there_is_called_written(
    run: Run, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: SummarySink) -> None:
        raise OutputError("cannot write summary.html: No space left on device")

    monkeypatch.setattr(SummarySink, "close", full)
    assert run(photos) == 1
    said = capsys.readouterr()
    assert f"written: {tmp_path / 'out' / 'readings.jsonl'}" in said.err
    assert "summary.html," not in said.err.partition("written: ")[2]
    assert "/summary.html\n" not in said.err
