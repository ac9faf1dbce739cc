"""`Pictures`: a picture or a folder of pictures, read in the order of their names."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timezone
from itertools import compress
from pathlib import Path
from types import TracebackType

from device.cameras.files.decode import PICTURE_SUFFIXES, Decoded, decode_content, decode_picture, shown_name
from device.cameras.files.sniff import is_picture_by_content, says_nothing
from device.errors import SourceNotFound
from device.frame import Frame

_KINDS_SHOWN = 6
_READINGS, _DRAWN = "readings.jsonl", frozenset({"overlays", "vessels", "gates"})
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


def scan(folder: Path) -> tuple[list[os.DirEntry[str]], list[os.DirEntry[str]]]:
    """The pictures of a folder by the bytes of their names, and its other entries that are not hidden.

    Raises `SourceNotFound` when it cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            seen = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise SourceNotFound(
            f"folder {folder} cannot be read ({error.strerror}); expected a folder of pictures, check the name"
        ) from error
    seen.sort(key=lambda entry: os.fsencode(entry.name))
    taken = [is_picture(entry) for entry in seen]
    return list(compress(seen, taken)), [entry for entry, take in zip(seen, taken, strict=True) if not take]


def scan_below(folder: Path) -> tuple[list[os.DirEntry[str]], list[os.DirEntry[str]]]:
    """As `scan`, of the folder and of those in it, one after the other. Links to folders are not followed, and what a
    run drew beside its readings is left alone."""
    pictures: list[os.DirEntry[str]] = []
    others: list[os.DirEntry[str]] = []
    waiting = [folder]
    while waiting:
        here, rest = scan(waiting.pop())
        pictures += here
        folders: list[os.DirEntry[str]] = []
        for entry in rest:
            (folders if entry.is_dir(follow_symlinks=False) else others).append(entry)
        drawn = _DRAWN if any(entry.name == _READINGS for entry in rest) else frozenset()
        waiting += [Path(entry.path) for entry in reversed(folders) if entry.name not in drawn]
    return pictures, others


def counted(entries: Sequence[os.DirEntry[str]]) -> str:
    """How many entries there are of which kind: `5 entries: 2 folders, 2 .txt, 1 without an ending`."""
    kinds = Counter(_kind(entry) for entry in entries)
    shown = [f"{number} {kind}" for kind, number in sorted(kinds.items(), key=lambda item: (-item[1], item[0]))]
    more = [f"{len(shown) - _KINDS_SHOWN} kinds more"] if len(shown) > _KINDS_SHOWN else []
    count = f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'}"
    return f"{count}: {', '.join([*shown[:_KINDS_SHOWN], *more])}" if entries else ""


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_dir():
            return "folder"
        if not entry.is_file():
            return "pipe, device or broken link"
    except OSError:
        return "pipe, device or broken link"
    ending = os.path.splitext(entry.name)[1].lower()
    return "".join(c if c.isprintable() else "?" for c in ending[:12]) or "without an ending"


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
        """How many entries of the folder are no pictures, by kind; empty for none."""
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
        entries, others = scan_below(path) if self._folder else scan(path)
        self.passed_over = counted(others)
        if not entries:
            raise SourceNotFound(
                f"folder {path} has no pictures ({self.passed_over or 'nothing at all'}); "
                f"expected files that end in {' '.join(sorted(PICTURE_SUFFIXES))}"
                f"{_ASK_BELOW if ' folder' in self.passed_over and not self._folder else ''}"
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
