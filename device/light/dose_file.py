"""`DoseFile`: the account of one infant's dose on disk, for a program that dies and starts again to go on with."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType

from device.errors import DoseUnrecorded
from device.eye import Eye
from device.light.dose import Exposure, LightKind

_BACK = "not given"
"""Ends a line that takes an earlier exposure back."""
_SUM = re.compile("[0-9a-f]{16}")


def _line(facts: Sequence[object]) -> bytes:
    return json.dumps(facts).encode()


class DoseFile:
    """One JSON line an exposure, on the disk before the light is given. Use it as a context manager.

    `DoseAccount(calibration, exposures=file.exposures, keep=file.keep, forget=file.forget)` goes on with it. A line
    at the end that was not finished is taken off: its light was never given. Each line ends with a sum over itself and
    all before it, so that bytes that a disk changed are found; lines of older software, without, may come first. One
    program at a time may have the file.

    Raises `DoseUnrecorded` when the file cannot be used or holds something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            if not stat.S_ISREG(os.fstat(self._file).st_mode):
                raise OSError(errno.EINVAL, "not a regular file")
            self._lock()
            self.exposures: tuple[Exposure, ...] = self._read()
            """What was given before."""
        except OSError as error:
            os.close(self._file)
            raise self._unusable(error) from error
        except BaseException:
            os.close(self._file)
            raise

    def _lock(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DoseUnrecorded(f"{self.path.name}: another program keeps this account; end it first") from None

    def _read(self) -> tuple[Exposure, ...]:
        with os.fdopen(os.dup(self._file), "rb") as file:
            data = file.read()
        whole, newline, unfinished = data.rpartition(b"\n")
        self._size = len(whole) + len(newline)
        given: list[Exposure] = []
        self._sum = ""
        lines = whole.split(b"\n") if newline else []
        for number, line in enumerate(lines, 1):
            exposure, back = self._exposure(number, line)
            if not back:
                given.append(exposure)
            elif exposure in given:
                given.remove(exposure)
        if unfinished:
            self._refuse_whole(len(lines) + 1, unfinished[:-1])
            os.ftruncate(self._file, self._size)
        if not whole:
            self._sync_folder()
        return tuple(given)

    def _refuse_whole(self, number: int, line: bytes) -> None:
        """A line that is whole but for its end was given: nothing that was not finished is longer than its line."""
        try:
            self._exposure(number, line)
        except DoseUnrecorded:
            return
        raise self._no_exposure(number)

    def _sync_folder(self) -> None:
        """The name of a new file is on the disk only when its folder is."""
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _exposure(self, number: int, line: bytes) -> tuple[Exposure, bool]:
        try:
            facts, total = json.loads(line), ""
            if isinstance(facts[-1], str) and _SUM.fullmatch(facts[-1]):
                total = self._sum_after(facts[:-1])
                if facts.pop() != total or line != _line((*facts, total)):
                    raise ValueError
            elif self._sum:
                raise ValueError
            eye, kind, level, duration_s, ended, *back = facts
            exposure = Exposure(Eye(eye), LightKind(kind), level, float(duration_s), datetime.fromisoformat(ended))
            numbers = type(level) is int and type(duration_s) in (int, float)  # `true` is none
            if back not in ([], [_BACK]) or not (
                numbers and level > 0 and 0 < exposure.duration_s < math.inf and exposure.ended.tzinfo
            ):
                raise ValueError
        except (ValueError, TypeError, LookupError, RecursionError):
            raise self._no_exposure(number) from None
        self._sum = total
        return exposure, bool(back)

    def _no_exposure(self, number: int) -> DoseUnrecorded:
        return DoseUnrecorded(
            f"{self.path.name}: line {number} is no exposure; expected the account of one infant; give no light to "
            "that infant before it is known what was given"
        )

    def _sum_after(self, facts: Sequence[object]) -> str:
        return hashlib.sha256(self._sum.encode() + _line(facts)).hexdigest()[:16]

    def keep(self, exposure: Exposure) -> None:
        """Write one exposure and return when it is on the disk; raises `DoseUnrecorded`."""
        self._write(exposure)

    def forget(self, exposure: Exposure) -> None:
        """Write that an exposure was not given after all; raises `DoseUnrecorded`."""
        self._write(exposure, _BACK)

    def _write(self, exposure: Exposure, *more: str) -> None:
        facts = (exposure.eye, exposure.kind, exposure.level, exposure.duration_s, exposure.ended.isoformat(), *more)
        total = self._sum_after(facts)
        line = _line((*facts, total)) + b"\n"
        try:
            os.ftruncate(self._file, self._size)  # what a write that failed may have left
            if os.pwrite(self._file, line, self._size) != len(line):
                raise OSError(None, "the disk is full")
            os.fdatasync(self._file)
        except OSError as error:
            raise self._unusable(error) from error
        self._size += len(line)
        self._sum = total

    def _unusable(self, error: OSError) -> DoseUnrecorded:
        return DoseUnrecorded(
            f"{self.path.name}: the dose cannot be kept there ({error.strerror}), so no light is given; "
            "make room on the disk, or name another file"
        )

    def close(self) -> None:
        """Give the file back. Closing twice is fine; `keep` raises from then on."""
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def __enter__(self) -> DoseFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
