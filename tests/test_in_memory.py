"""Where `make test` lets its tests write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests import in_memory
from tests.in_memory import chosen, room, runs_programs


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)


def test_memory_is_taken_where_it_has_room_and_runs_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_memory, "room", lambda folder: in_memory.ROOM_BYTES)
    assert chosen(tmp_path) == tmp_path
    monkeypatch.setattr(in_memory, "room", lambda folder: in_memory.ROOM_BYTES - 1)
    assert chosen(tmp_path) != tmp_path
    monkeypatch.setattr(in_memory, "room", lambda folder: in_memory.ROOM_BYTES)
    monkeypatch.setattr(in_memory, "runs_programs", lambda folder: False)
    assert chosen(tmp_path) != tmp_path
    assert chosen(tmp_path / "absent") != tmp_path / "absent"


def test_what_a_user_names_goes_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert chosen(Path("/")) == tmp_path


def test_room_is_the_smaller_of_memory_and_file_system(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       4000 kB\nMemAvailable:       3 kB\n")
    assert room(tmp_path, meminfo) == 3 * 1024
    meminfo.write_text(f"MemAvailable: {2**50} kB\n")
    assert 0 < room(tmp_path, meminfo) < 2**50


@pytest.mark.skipif(os.name != "posix", reason="no POSIX")
def test_a_folder_that_runs_programs_is_told_and_kept_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert runs_programs(tmp_path)
    assert list(tmp_path.iterdir()) == []

    def refuses(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("tests.in_memory.subprocess.run", refuses)
    monkeypatch.setattr(in_memory, "room", lambda folder: in_memory.ROOM_BYTES)
    assert chosen(tmp_path) != tmp_path
