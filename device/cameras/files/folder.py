"""`Pictures`: a picture or a folder of pictures, read in the order of their names."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from device.cameras.files.decode import PICTURE_SUFFIXES, Decoded, decode_content, decode_picture, shown_name
from device.cameras.files.passed import FOLDER, counted, passed_kind
from device.cameras.files.sniff import is_picture_by_content, says_nothing
from device.errors import SourceNotFound
from device.frame import Frame

_READINGS, _PAGE, _DRAWN = "readings.jsonl", "summary.html", frozenset({"overlays", "vessels", "gates"})
"""What `runtime.screen` writes into a folder, and the folders of pictures that it draws beside it."""
_ASK_BELOW = "; those of the folders in it are read where that is asked for (--subfolders)"


def is_picture(entry: os.DirEntry[str]) -> bool:
    """Whether the entry of a folder is to be read: a file that is not hidden and has a known ending, or has one that
    says nothing and the content of a picture.

    A link that leads nowhere or in a circle counts, so that it is reported and not passed over; pipes and devices do
    not, they could block.
    """
    if entry.name.startswith("."):
        return False
    known = os.path.splitext(entry.name)[1].lower() in PICTURE_SUFFIXES
    if not known and not says_nothing(entry.name):
        return False
    try:
        is_file = entry.is_file()
    except OSError:  # links in a circle
        return known
    if known:
        return is_file or (entry.is_symlink() and not os.path.exists(entry.path))
    return is_file and is_picture_by_content(entry.path)


class Listing(NamedTuple):
    """The entries of a folder, by the bytes of their names."""

    pictures: list[os.DirEntry[str]]
    others: list[os.DirEntry[str]]
    """What is no picture and not hidden."""
    hidden: list[os.DirEntry[str]]

    @property
    def passed_over(self) -> list[str]:
        """The kind of each entry that a reader of the pictures passes over, what an earlier run wrote apart."""
        written = _DRAWN | {_READINGS, _PAGE} if _is_run(self.others) else frozenset()
        passed = [entry for entry in self.others if entry.name not in written]
        return [kind for entry in (*passed, *self.hidden) if (kind := passed_kind(entry))]


def _is_run(entries: Sequence[os.DirEntry[str]]) -> bool:
    return any(entry.name == _READINGS for entry in entries)


def scan(folder: Path) -> Listing:
    """What a folder holds. Raises `SourceNotFound` when it cannot be listed."""
    try:
        with os.scandir(folder) as entries:
            seen = sorted(entries, key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise SourceNotFound(
            f"folder {folder} cannot be read ({error.strerror}); expected a folder of pictures, check the name"
        ) from error
    found = Listing([], [], [])
    for entry in seen:
        hidden = entry.name.startswith(".")
        (found.hidden if hidden else found.pictures if is_picture(entry) else found.others).append(entry)
    return found


def scan_below(folder: Path) -> tuple[list[os.DirEntry[str]], list[str]]:
    """The pictures of the folder and of those in it, one after the other, and the kinds of what is passed over.

    Links to folders are not followed, and what a run drew beside its readings is left alone."""
    pictures: list[os.DirEntry[str]] = []
    passed: list[str] = []
    waiting = [folder]
    while waiting:
        here = scan(waiting.pop())
        pictures += here.pictures
        folders: list[os.DirEntry[str]] = []
        rest: list[os.DirEntry[str]] = []
        for entry in here.others:
            (folders if entry.is_dir(follow_symlinks=False) else rest).append(entry)
        passed += here._replace(others=rest).passed_over
        drawn = _DRAWN if _is_run(here.others) else frozenset()
        waiting += [Path(entry.path) for entry in reversed(folders) if entry.name not in drawn]
    return pictures, passed


def _scan_flat(folder: Path) -> tuple[list[os.DirEntry[str]], list[str]]:
    found = scan(folder)
    return found.pictures, found.passed_over


def read_picture(path: Path, sequence: int, folder: Path | None = None) -> Frame:
    """The picture at `path` as a frame, named by its path from `folder` where one is given.

    Raises `FrameUnreadable`.
    """
    name = shown_name(path, folder)
    return _frame(lambda: decode_picture(path, sequence=sequence, name=name), name, sequence)


def picture_frame(data: bytes, name: str, sequence: int) -> Frame:
    """The picture in the bytes of a file of that name, which may lie anywhere; raises `FrameUnreadable`."""
    return _frame(lambda: decode_content(data, name, sequence=sequence), name, sequence)


def _frame(decode: Callable[[], Decoded], source: str, sequence: int) -> Frame:
    captured_ns, captured_at = time.monotonic_ns(), datetime.now(timezone.utc)
    picture = decode()
    return Frame(
        pixels=picture.pixels,
        changes=picture.changes,
        stated=picture.stated,
        sequence=sequence,
        source=source,
        captured_ns=captured_ns,
        captured_at=captured_at,
        capture_ms=(time.monotonic_ns() - captured_ns) / 1e6,
    )


class Pictures:
    """A camera of stored pictures: one file, or the files of a folder; with `below` also of the folders in it.

    A frame is named by its file's name, or with `below` by its path from the folder. While one picture is used, the
    next is decoded in another thread; never more than one ahead.

    Raises `SourceNotFound` when there is no such file or folder, or no picture in it.
    """

    live = False

    def __init__(self, path: Path | str, *, below: bool = False) -> None:
        self.name = str(path)
        self.passed_over = ""
        """How many entries of the folder are not read, by kind; empty for none."""
        self._folder = Path(path) if below else None
        self._paths: Sequence[Path] = self._find(Path(path))
        self._next = 0
        self._ahead: Future[Frame] | None = None
        self._worker: ThreadPoolExecutor | None = None

    def _find(self, path: Path) -> list[Path]:
        if os.path.isfile(path):
            self._folder = None
            return [path]
        if not os.path.isdir(path):
            raise SourceNotFound(f"{path}: no such file or folder; expected a picture or a folder of pictures")
        entries, passed = scan_below(path) if self._folder else _scan_flat(path)
        self.passed_over = counted(passed)
        if not entries:
            raise SourceNotFound(
                f"folder {path} has no pictures ({self.passed_over or 'nothing at all'}); "
                f"expected files that end in {' '.join(sorted(PICTURE_SUFFIXES))}"
                f"{_ASK_BELOW if FOLDER in passed and not self._folder else ''}"
            )
        return [Path(entry.path) for entry in entries]

    @property
    def frame_count(self) -> int | None:
        """How many pictures were found, readable or not."""
        return len(self._paths)

    def read(self) -> Frame | None:
        """The next picture, None after the last; raises `FrameUnreadable` for one that cannot be decoded."""
        sequence = self._next
        if sequence >= len(self._paths):
            return None
        self._next += 1
        ahead, self._ahead = self._ahead, None
        try:
            return ahead.result() if ahead else self._at(sequence)
        finally:
            self._decode_ahead()

    def _at(self, number: int) -> Frame:
        path = self._paths[number]
        return read_picture(path, number) if self._folder is None else read_picture(path, number, self._folder)

    def _decode_ahead(self) -> None:
        if self._next >= len(self._paths):
            return
        if self._worker is None:
            self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode")
        self._ahead = self._worker.submit(self._at, self._next)

    def close(self) -> None:
        """End the decoding thread; `read` gives None from then on."""
        self._next = len(self._paths)
        self._ahead = None
        if self._worker is not None:
            self._worker.shutdown(wait=True, cancel_futures=True)
            self._worker = None

    def __enter__(self) -> Pictures:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
