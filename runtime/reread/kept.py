"""`WorkFolder`: what was read so far, beside the table to be: batch by batch in files that are whole or not there."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from device.checked_file import read_at_most
from device.outputs import OutputFolder
from runtime.errors import OutputError
from runtime.reread.errors import RereadError
from runtime.reread.row import RereadResult
from runtime.reread.stored import Stored

RUN_SCHEMA = "rop.reread-run/3"
RUN, READERS, PART, PART_END, PICTURE_END = "run.json", "readers.json", "part-", ".jsonl", ".jpg"
PART_LIMIT_BYTES = 64 << 20
MOST_PICTURES = 2000
"""Thumbnails of changed outcomes that are kept; the table has every one."""


class WorkFolder:
    """The folder of one run's work. A context manager; one process at a time may use it.

    run: what makes a run this run and no other. Raises `RereadError` when the folder is another run's or in use,
    `OutputError` when it cannot be written.
    """

    def __init__(self, folder: Path, run: Mapping[str, Any]) -> None:
        self.folder = folder
        self._seen: dict[str, str] = {}
        """By reading the state in which it was read."""
        self._pictures = 0
        self.added = 0
        """Frames that were read in this run."""
        try:
            self._files = OutputFolder(folder, make=True, link_ok=False)
            self._lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._claim()
            self._files.remove_parts()
            self._belongs(dict(run, schema=RUN_SCHEMA))
        except OSError as error:
            raise _unwritable(folder, error) from None
        for result in self._all():
            self._seen[result.row.reading] = result.state
        self._pictures = sum(name.endswith(PICTURE_END) for name in os.listdir(folder))

    def _claim(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RereadError(
                f"{self.folder}: another run is at work there; wait for it, or name another --out"
            ) from None

    def _belongs(self, run: dict[str, Any]) -> None:
        self._same(RUN, run)

    def read_by(self, readers: Mapping[str, Any]) -> None:
        """What reads in this run, as soon as it is known. Raises `RereadError` where the run was begun by others."""
        try:
            self._same(READERS, readers)
        except OSError as error:
            raise _unwritable(self.folder, error) from None

    def _same(self, name: str, run: Mapping[str, Any]) -> None:
        file = self._files.read(name)
        if file is None:
            self._files.write(name, json.dumps(run, indent=1).encode())
            return
        with file:
            try:
                found = json.load(file)
            except ValueError:
                found = {}
        if isinstance(found, dict) and found.get("schema") != run.get("schema"):
            raise RereadError(
                f"{self.folder}: holds a run that was cut off, of another version of this software "
                f"({str(found.get('schema', 'unknown'))[:40]}, this one writes {run['schema']}), and cannot be gone on "
                f"with here; finish it with that version, remove the folder, or name another --out"
            )
        other = [name for name in run if found.get(name) != run[name]] if isinstance(found, dict) else ["everything"]
        if other:
            raise RereadError(
                f"{self.folder}: holds a run that was cut off, with other {', '.join(other)}; "
                f"finish it as it was begun, remove the folder, or name another --out"
            )

    @property
    def count(self) -> int:
        """Frames that are done."""
        return len(self._seen)

    def has(self, stored: Stored) -> bool:
        """Whether a frame is done, and as it is now: not before its file, its label or its exam changed."""
        return self._seen.get(stored.reading) == stored.state

    def forget_others(self, readings: Collection[str]) -> int:
        """Of frames that are done only these are of the table; how many others there were."""
        before = len(self._seen)
        self._seen = {reading: state for reading, state in self._seen.items() if reading in readings}
        return before - len(self._seen)

    def add(self, results: Sequence[RereadResult]) -> None:
        """Keep the results of a batch; a frame that is there already is not kept twice, and one that was read anew
        takes the place of the earlier one. Raises `OutputError`."""
        fresh = [result for result in results if self._seen.get(result.row.reading) != result.state]
        lines = [result.to_json() for result in fresh]
        try:
            for result in fresh:
                if result.thumbnail is not None and self._pictures < MOST_PICTURES:
                    self._files.write(picture_name(result), result.thumbnail)
                    self._pictures += 1
            if lines:
                content = "\n".join([*lines, json.dumps({"end": len(lines)}), ""])
                self._files.write(f"{PART}{secrets.token_hex(8)}{PART_END}", content.encode())
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        self._seen.update((result.row.reading, result.state) for result in fresh)
        self.added += len(fresh)

    def results(self) -> Iterator[RereadResult]:
        """Everything that is kept, each frame once. A part that is not whole is as good as not there."""
        seen: set[str] = set()
        for result in self._all():
            reading = result.row.reading
            if reading not in seen and self._seen.get(reading) == result.state:
                seen.add(reading)
                yield result

    def _all(self) -> Iterator[RereadResult]:
        for name in sorted(os.listdir(self.folder)):
            if name.startswith(PART) and name.endswith(PART_END):
                yield from _part(self.folder / name)

    def picture(self, result: RereadResult) -> bytes | None:
        """The thumbnail of a changed outcome; None where none is kept."""
        file = self._files.read(picture_name(result))
        if file is None:
            return None
        with file:
            return file.read()

    def remove(self) -> None:
        """The table is written: nothing of this is needed any more."""
        with suppress(OSError):
            for name in os.listdir(self.folder):
                self._files.remove(name)
            self.folder.rmdir()

    def close(self) -> None:
        """Let go of the folder."""
        self._files.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> WorkFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def picture_name(result: RereadResult) -> str:
    """By the frame's place in the table, and by the frame: a list that grew between two runs has a place twice."""
    (source, number), frame = result.order, hashlib.sha256(result.row.reading.encode()).hexdigest()[:8]
    return f"{source:03d}-{number:08d}-{frame}{PICTURE_END}"


def _part(path: Path) -> list[RereadResult]:
    try:
        *lines, end, last = read_at_most(path, PART_LIMIT_BYTES).decode().split("\n")
        if last or json.loads(end) != {"end": len(lines)}:
            return []
        return [RereadResult.from_dict(json.loads(line)) for line in lines]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _unwritable(folder: Path, error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(f"{folder}: no space left; free some and run again, what was read is kept")
    return OutputError(f"{folder}: {error.strerror or error}; name an --out in a folder that can be written")
