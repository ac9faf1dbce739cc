"""Readings as JSON, one object a line, whole line by whole line."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from device.frame import Frame
from device.outputs import OutputFolder
from runtime.commands.text import escaped_json
from runtime.errors import OutputError
from runtime.reading import Reading
from runtime.sinks.files import naming


class JsonLinesSink:
    """Writes each reading with one system call, so that a stop at any moment leaves whole lines only.

    A file that fills its disk is cut back to its last whole line. The file is synced when closed.
    """

    def __init__(self, path: Path) -> None:
        """Start the file anew; raises `OutputError` when it cannot be written."""
        self._name = str(path)
        with naming(self._name), OutputFolder(path.parent) as folder:
            # Appending, so that writing goes on at the end after the file was cut back.
            self._fd: int | None = folder.start(path.name, flags=os.O_APPEND)
        self._length = 0

    def write(self, frame: Frame | None, reading: Reading) -> None:
        """Append the reading's line; raises `OutputError` when it cannot be written whole."""
        if self._fd is None:
            raise OutputError(f"cannot write {self._name}: it is closed")
        line = json_line(reading)
        with naming(self._name):
            try:
                _write_all(self._fd, line)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, self._length)
                raise
        self._length += len(line)

    def close(self) -> None:
        """Sync the file to its disk and close it."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        with naming(self._name):
            try:
                os.fsync(fd)
            finally:
                os.close(fd)


class StandardOutputSink:
    """Writes each reading's line to standard output, past Python's buffer; a closed pipe raises `BrokenPipeError`."""

    def __init__(self, fd: int = 1) -> None:
        self._fd = fd

    def write(self, frame: Frame | None, reading: Reading) -> None:
        """Write the reading's line."""
        line = json_line(reading)
        try:
            _write_all(self._fd, line)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(f"cannot write to standard output: {error.strerror}") from error

    def close(self) -> None:
        """Nothing to give back: standard output stays open."""


def json_line(reading: Reading) -> bytes:
    """The reading as one line of JSON in UTF-8; raises `OutputError` for a number that is not finite."""
    try:
        text = reading.to_json()
    except ValueError as error:
        raise OutputError(
            f"reading of {reading.frame.source} is not valid JSON ({error}); report this fault"
        ) from error
    return escaped_json(text).encode() + b"\n"


def _write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
