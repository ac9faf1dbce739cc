from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from runtime.errors import OutputError
from runtime.sinks.jsonl import JsonLinesSink, StandardOutputSink, json_line
from tests.runtime.sinks.readings import make_reading


def sources(path: Path) -> list[str]:
    """The frames of a file of whole lines; fails on a torn one."""
    text = path.read_bytes()
    assert text == b"" or text.endswith(b"\n")
    return [json.loads(line)["frame"]["source"] for line in text.splitlines()]


def test_each_reading_is_in_the_file_as_soon_as_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "readings.jsonl"
    sink = JsonLinesSink(path)
    for i in range(3):
        sink.write(None, make_reading(f"{i}.jpg", i))
        assert len(sources(path)) == i + 1
    sink.close()
    sink.close()
    assert sources(path) == ["0.jpg", "1.jpg", "2.jpg"]


def test_a_disk_that_fills_in_the_middle_of_a_line_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "readings.jsonl"
    sink = JsonLinesSink(path)
    sink.write(None, make_reading("first.jpg"))
    real, calls = os.write, []

    def full_after_100_bytes(fd: int, data: memoryview) -> int:
        calls.append(fd)
        if len(calls) == 1:
            return real(fd, data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full_after_100_bytes)
    with pytest.raises(OutputError, match=r"readings\.jsonl: No space left on device; free space"):
        sink.write(None, make_reading("second.jpg", 1))
    monkeypatch.undo()
    assert len(calls) == 2
    assert sources(path) == ["first.jpg"]
    sink.write(None, make_reading("third.jpg", 2))
    sink.close()
    with pytest.raises(OutputError, match="closed"):
        sink.write(None, make_reading("fourth.jpg", 3))
    # Appending goes on where the last whole line ended, without a hole.
    assert sources(path) == ["first.jpg", "third.jpg"]


def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"nowhere/readings\.jsonl: No such file or directory"):
        JsonLinesSink(tmp_path / "nowhere" / "readings.jsonl")


def test_standard_output_gets_the_line_even_when_it_is_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    got = bytearray()

    def ten_at_a_time(fd: int, data: memoryview) -> int:
        got.extend(data[:10])
        return min(10, len(data))

    monkeypatch.setattr(os, "write", ten_at_a_time)
    StandardOutputSink().write(None, make_reading("a.jpg"))
    monkeypatch.undo()
    assert json.loads(got)["frame"]["source"] == "a.jpg"


def test_a_closed_pipe_is_told_apart_from_a_fault() -> None:
    reading_end, writing_end = os.pipe()
    os.close(reading_end)
    with pytest.raises(BrokenPipeError):
        StandardOutputSink(writing_end).write(None, make_reading())
    os.close(writing_end)


def test_a_file_name_that_is_not_utf8_still_gives_valid_json() -> None:
    assert json.loads(json_line(make_reading("bad\udcff.jpg")).decode())["frame"]["source"] == "bad\udcff.jpg"


def test_a_number_that_is_not_finite_is_refused() -> None:
    with pytest.raises(OutputError, match=r"a\.jpg"):
        json_line(make_reading("a.jpg", vessel_fraction=float("nan")))
