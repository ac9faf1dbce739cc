"""Frames as files named by their hash, each on disk with its folder before any row may name it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from device.checked_file import read_whole
from runtime.exam.errors import JournalDamaged
from runtime.exam.journal.flush import flush
from runtime.exam.journal.secrets import Secrets

SEALED, PLAIN = ".sealed", ".png"
LARGEST_BYTES = 1 << 30
"""Of a picture of 100 megapixels that no compression helps."""


class ImageStore:
    """The folders `images` and `incoming` of a journal.

    A file is sealed; its name is the hash of the picture's PNG. One of a journal before version 5 lies there as the PNG
    itself until `seal_plain` came to it.
    A file is written in `incoming`, linked into `images`, flushed there with its folder, and taken out of `incoming`
    only after its row was committed: what a crash leaves behind can be found there without looking through all images.
    """

    def __init__(self, folder: Path, secrets: Callable[[], Secrets]) -> None:
        self.folder = folder / "images"
        self.incoming = folder / "incoming"
        self._secrets = secrets

    def prepare(self) -> None:
        """Make the folders, those of a new store all at once, so that no append has to; raises `OSError`."""
        new = [folder for folder in (self.folder, self.incoming) if not folder.is_dir()]
        for folder in new:
            folder.mkdir(mode=0o700, exist_ok=True)
            for number in range(256 if folder == self.folder else 0):
                (folder / f"{number:02x}").mkdir(mode=0o700, exist_ok=True)
            flush(folder)
        if new:
            flush(self.folder.parent)

    def path(self, sha256: str) -> Path:
        """Where the file of that hash lies."""
        return self.folder / sha256[:2] / f"{sha256}{SEALED}"

    def _plain(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / f"{sha256}{PLAIN}"

    def put(self, content: bytes) -> str:
        """Keep a picture; on disk when this returns. Call `settle` once its row is committed, or `discard`.

        To be called with the journal's write lock held. Returns its SHA-256. Raises `OSError`.
        """
        sha256 = hashlib.sha256(content).hexdigest()
        arriving, path = self.incoming / f"{sha256}{SEALED}", self.path(sha256)
        _write_new(arriving, self._secrets().seal("image", sha256, content))
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700)
            flush(self.folder)
        if path.exists() and not self._sound(sha256):
            path.unlink()
        with contextlib.suppress(FileExistsError):
            os.link(arriving, path)
        # After the link, so that one commit of the file system takes content and entry together.
        flush(path)
        flush(path.parent)
        return sha256

    def settle(self, sha256: str) -> None:
        """The row is committed."""
        with contextlib.suppress(OSError):
            (self.incoming / f"{sha256}{SEALED}").unlink()

    def discard(self, sha256: str, named: Callable[[str], bool]) -> None:
        """The row was not committed: remove the file, unless `named` says that another row names it."""
        if not named(sha256):
            self.remove(sha256)
        self.settle(sha256)

    def depart(self, hashes: Sequence[str]) -> None:
        """Mark files that are about to lose their rows, so that they go even if power fails before `discard`."""
        for sha256 in hashes:
            with contextlib.suppress(FileExistsError):
                there = self.path(sha256) if self.path(sha256).exists() else self._plain(sha256)
                with contextlib.suppress(FileNotFoundError):
                    os.link(there, self.incoming / f"{sha256}{SEALED}")
        flush(self.incoming)

    def remove(self, sha256: str) -> None:
        """Remove a file for good."""
        for path in (self.path(sha256), self._plain(sha256)):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def clean(self, named: Callable[[str], bool]) -> int:
        """Remove what a crash left on its way in; how many. To be called with the journal's write lock held."""
        left = list(self.incoming.iterdir())
        for arriving in left:
            sha256 = arriving.name.partition(".")[0]
            if not named(sha256):
                self.remove(sha256)
            with contextlib.suppress(FileNotFoundError):
                arriving.unlink()
        return len(left)

    def read(self, sha256: str) -> bytes:
        """A picture's PNG, checked against its name. Raises `JournalDamaged`."""
        try:
            sealed = self.path(sha256)
            content = read_whole(sealed if sealed.exists() else self._plain(sha256), LARGEST_BYTES)
        except OSError as error:
            raise JournalDamaged(f"image {sha256[:12]}: cannot be read ({error.strerror}); bring back a copy") from None
        altered = JournalDamaged(f"image {sha256[:12]}: it was altered; bring back a copy")
        if sealed.exists():
            try:
                content = self._secrets().open("image", sha256, content)
            except JournalDamaged:
                raise altered from None
        if hashlib.sha256(content).hexdigest() != sha256:
            raise altered
        return content

    def _sound(self, sha256: str) -> bool:
        try:
            self.read(sha256)
        except JournalDamaged:
            return False
        return True

    def plain(self) -> Iterator[str]:
        """The pictures that lie there unsealed."""
        for folder in sorted(self.folder.iterdir()):
            for path in sorted(folder.glob(f"*{PLAIN}")):
                yield path.name.removesuffix(PLAIN)

    def seal_plain(self, seconds: float) -> bool:
        """Seal pictures of an older journal for about so long; whether none is left. Raises `OSError`.

        A sealed file is on disk before the plain one goes; a picture that was altered stays as it is, to be named.
        To be called with the journal's write lock held.
        """
        until, left = time.monotonic() + seconds, False
        for sha256 in list(self.plain()):
            if time.monotonic() > until:
                return False
            try:
                content = self.read(sha256)
            except JournalDamaged:
                left = True
                continue
            if not self.path(sha256).exists():
                arriving = self.incoming / f"{sha256}{SEALED}"
                _write_new(arriving, self._secrets().seal("image", sha256, content))
                flush(arriving)
                os.replace(arriving, self.path(sha256))
                flush(self.path(sha256).parent)
            self._plain(sha256).unlink()
        return not left


def _write_new(path: Path, content: bytes) -> None:
    """Never into a file that is there: it may share its content with one that a row names."""
    path.unlink(missing_ok=True)
    try:
        with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(content)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise
