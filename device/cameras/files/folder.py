"""`Pictures`: a picture or a folder of pictures, read in the order of their names."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from device.cameras.files.decode import PICTURE_SUFFIXES, decode_picture, shown_name
from device.errors import SourceNotFound
from device.frame import Frame


def is_picture(entry: os.DirEntry[str]) -> bool:
    """Whether the entry of a folder is to be read: a file with a known ending that is not hidden.

    A broken link counts, so that it is reported and not passed over; pipes and devices do not, they could block.
    """
    if entry.name.startswith(".") or os.path.splitext(entry.name)[1].lower() not in PICTURE_SUFFIXES:
        return False
    return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))


def scan(folder: Path) -> tuple[list[os.DirEntry[str]], int]:
    """The pictures of a folder by the bytes of their names, and how many other entries (not hidden) there are.

    Raises `SourceNotFound` when it cannot be listed.
    """
    try:
        with os.scandir(folder) as entries:
            seen = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise SourceNotFound(
            f"folder {folder} cannot be read ({error.strerror}); expected a folder of pictures, check the name"
        ) from error
    pictures = sorted(filter(is_picture, seen), key=lambda entry: os.fsencode(entry.name))
    return pictures, len(seen) - len(pictures)


def read_picture(path: Path, sequence: int) -> Frame:
    """The picture at `path` as a frame; raises `FrameUnreadable`."""
    captured_ns, captured_at = time.monotonic_ns(), datetime.now(timezone.utc)
    picture = decode_picture(path, sequence=sequence)
    return Frame(
        pixels=picture.pixels,
        changes=picture.changes,
        sequence=sequence,
        source=shown_name(path),
        captured_ns=captured_ns,
        captured_at=captured_at,
        capture_ms=(time.monotonic_ns() - captured_ns) / 1e6,
    )


class Pictures:
    """A camera of stored pictures: one file, or the files of a folder (not of the folders in it).

    While one picture is used, the next is decoded in another thread; never more than one ahead.

    Raises `SourceNotFound` when there is no such file or folder, or no picture in it.
    """

    live = False

    def __init__(self, path: Path | str) -> None:
        self.name = str(path)
        self.ignored = 0
        """How many entries of the folder are no pictures."""
        self._paths: Sequence[Path] = self._find(Path(path))
        self._next = 0
        self._ahead: Future[Frame] | None = None
        self._worker: ThreadPoolExecutor | None = None

    def _find(self, path: Path) -> list[Path]:
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise SourceNotFound(f"{path}: no such file or folder; expected a picture or a folder of pictures")
        entries, self.ignored = scan(path)
        if not entries:
            raise SourceNotFound(
                f"folder {path} has no pictures ({self.ignored} other entries); "
                f"expected files that end in {' '.join(sorted(PICTURE_SUFFIXES))}"
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
            return ahead.result() if ahead else read_picture(self._paths[sequence], sequence)
        finally:
            self._decode_ahead()

    def _decode_ahead(self) -> None:
        if self._next >= len(self._paths):
            return
        if self._worker is None:
            self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decode")
        self._ahead = self._worker.submit(read_picture, self._paths[self._next], self._next)

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
