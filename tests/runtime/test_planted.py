"""Every command that writes, in a folder where a stranger planted links to files of others."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

import runtime.screener
from device import __main__ as device_command
from device.cameras.files.seen import SeenFiles
from device.errors import SettingRefused
from runtime.bench.report.export import write_report_file
from runtime.bundle import Bundle
from runtime.daemon import __main__ as daemon_command
from runtime.engines.fake import FakeEngine
from runtime.screen import __main__ as screen_command
from tests.pictures import retina

Victims = tuple[Path, dict[str, bytes]]


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder of somebody else's with files of the names that ours have."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for name in ("eye_0.jpg", "eye_0.png", "readings.jsonl", "summary.html", "sim_0.png", "report.json"):
        (folder / name).write_text(f"their {name}")
    return folder


@pytest.fixture
def screen(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], int]:
    """Screen one picture into `out`."""
    monkeypatch.setattr(runtime.screener, "load_engine", lambda *_: FakeEngine((0.8, 0.2)))
    cv2.imwrite(str(tmp_path / "eye_0.png"), retina(0)[:, :, ::-1])

    def call() -> int:
        out = str(tmp_path / "out")
        return screen_command.main(
            [str(tmp_path / "eye_0.png"), "--bundle", str(bundle.path), "--out", out, "--vessels"]
        )

    return call


def untouched(folder: Path) -> bool:
    return {path.name: path.read_text() for path in folder.iterdir()} == {
        name: f"their {name}"
        for name in ("eye_0.jpg", "eye_0.png", "readings.jsonl", "summary.html", "sim_0.png", "report.json")
    }


@pytest.mark.parametrize("name", ["readings.jsonl", "summary.html", ".readings.jsonl.part", ".summary.html.part"])
@pytest.mark.parametrize("kind", ["link", "hard link"])
def test_a_link_in_the_place_of_a_file(
    screen: Callable[[], int], theirs: Path, tmp_path: Path, name: str, kind: str
) -> None:
    out, target = tmp_path / "out", theirs / name.removeprefix(".").removesuffix(".part")
    out.mkdir()
    (out / name).symlink_to(target) if kind == "link" else (out / name).hardlink_to(target)
    assert screen() == 0
    assert untouched(theirs)
    assert len((out / "readings.jsonl").read_text().splitlines()) == 1
    assert not (out / "readings.jsonl").is_symlink()


@pytest.mark.parametrize("name", ["overlays", "vessels"])
def test_a_link_in_the_place_of_a_folder(
    screen: Callable[[], int], theirs: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written there, and what an earlier run wrote is not removed there."""
    assert screen() == 0
    for path in (tmp_path / "out" / name).iterdir():
        path.unlink()
    (tmp_path / "out" / name).rmdir()
    (tmp_path / "out" / name).symlink_to(theirs)
    assert screen() == 2
    assert "a link stands there" in capsys.readouterr().err
    assert untouched(theirs)


@pytest.mark.parametrize("name", ["readings.jsonl", "summary.html"])
def test_a_pipe_does_not_keep_the_command_waiting(
    screen: Callable[[], int], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    os.mkfifo(tmp_path / "out" / name)
    assert screen() in (1, 2) or name == "summary.html"  # an earlier page is removed, whatever it is
    assert name == "summary.html" or "pipe or device" in capsys.readouterr().err


def test_findings_are_for_their_owner(screen: Callable[[], int], tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        assert screen() == 0
    finally:
        os.umask(before)
    found = list((tmp_path / "out").rglob("*"))
    assert {path.name for path in found} >= {"readings.jsonl", "summary.html", "eye_0.jpg", "eye_0.png"}
    assert {str(path): oct(path.stat().st_mode & 0o077) for path in [tmp_path / "out", *found]} == {
        str(path): "0o0" for path in [tmp_path / "out", *found]
    }


def test_an_earlier_runs_list_that_is_a_link_removes_nothing(
    screen: Callable[[], int], theirs: Path, tmp_path: Path
) -> None:
    """Their readings name pictures of ours, which nobody asked to remove."""
    out = tmp_path / "out"
    (out / "overlays").mkdir(parents=True)
    (out / "overlays" / "kept.jpg").touch()
    listed = tmp_path / "listed"
    listed.write_text(json.dumps({"frame": {"source": "kept.jpg", "sequence": 0}}) + "\n")
    (out / "readings.jsonl").symlink_to(listed)
    assert screen() == 0
    assert (out / "overlays" / "kept.jpg").exists()


def test_grab(theirs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("000000.png.part", "000000.json.part", "000000.json"):
        (out / name).symlink_to(theirs / "sim_0.png")
    assert device_command.main(["grab", "sim:", "-n", "1", "--out", str(out)]) == 0
    assert untouched(theirs)
    written = [path for path in out.iterdir() if not path.is_symlink()]
    assert len(written) == 2
    assert {path.stat().st_mode & 0o077 for path in written} == {0}


def test_units(theirs: Path, tmp_path: Path) -> None:
    for name in ("ropscreend.service", "ropscreend.socket"):
        (tmp_path / name).symlink_to(theirs / "report.json")
    assert daemon_command.main(["install", "--unit-dir", str(tmp_path)]) == 0
    assert untouched(theirs)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("ropscreend.service", "ropscreend.socket")} == {0o644}


def test_reports(theirs: Path, tmp_path: Path) -> None:
    (tmp_path / "report.json").symlink_to(theirs / "report.json")
    (tmp_path / ".report.json.part").symlink_to(theirs / "summary.html")
    write_report_file(tmp_path / "report.json", "{}")
    assert untouched(theirs)
    assert (tmp_path / "report.json").read_text() == "{}"


def test_a_watched_folders_memory(tmp_path: Path) -> None:
    """SQLite would make its file where a link leads."""
    (tmp_path / "watched-files.sqlite").symlink_to(tmp_path / "theirs.sqlite")
    with pytest.raises(SettingRefused, match="a link stands there"):
        SeenFiles(tmp_path, tmp_path)
    assert not (tmp_path / "theirs.sqlite").exists()
