"""Unpacking a bundle from an archive or a folder, neither of which is believed."""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from runtime.bundles.errors import PackageRefused

MOST_FILES = 1000
MOST_BYTES = 8 * 2**30
LARGEST_HEADER = 64 * 1024
"""Bytes of a long name or of extended facts of one member."""
DEEPEST = 8
MOST_EXPANDED = 50
"""Weights hardly shrink; what grows this many times as it is unpacked is none."""
FREE_EXPANSION = 16 * 2**20
"""Bytes that may come out of an archive of any size."""
SPARE_BYTES = 64 * 2**20
"""Stay free on the disk."""
CHUNK = 64 * 1024
LONGEST_NAME = 255
UNREADABLE = (
    tarfile.TarError,
    gzip.BadGzipFile,
    EOFError,
    zlib.error,
    ValueError,
    OverflowError,
    RecursionError,  # of headers that only announce the next one
)
HOW = "get the package anew from whoever made it"


def unpack(source: Path, into: Path) -> Path:
    """Copy a bundle's files into an empty folder, on disk when this returns; the folder that has the manifest.

    source: a folder, or a tar archive, gzipped or not. Links, devices, paths that lead out, names that are there twice
    and more than this module's limits are refused. Raises `PackageRefused`, or `OSError` of the target's disk.
    """
    target, source = _Target(into), source.resolve()
    if source.is_dir():
        for name, size, path in _files_of(source, PurePosixPath()):
            with _reading(source), _opened(path) as file:
                target.add(name, size, _chunks(file))
    else:
        with _reading(source):
            _unpack_archive(source, target)
    target.flush()
    return target.root()


class _Target:
    """The folder that is filled: each file once, none outside, counted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: set[str] = set()
        self._folders: set[Path] = {folder}
        self._bytes = self._counted = 0

    def folder(self, name: str) -> None:
        """Make a folder that an archive names by itself; the whole, as `.`, counts as often as it is named."""
        self._count()
        if name.strip("./"):
            with _one_kind(name):
                (self._folder / _checked(name)).mkdir(parents=True, exist_ok=True)

    def add(self, name: str, size: int, chunks: Iterable[bytes]) -> None:
        """One file. size: as it was announced; what comes must be that much."""
        relative = _checked(name)
        same = unicodedata.normalize("NFC", str(relative)).casefold()
        if same in self._seen:
            raise PackageRefused(f"package: {name[:100]!r} is in it twice; {HOW}")
        self._seen.add(same)
        self._count()
        self._bytes += size
        free = shutil.disk_usage(self._folder).free
        if size < 0 or self._bytes > MOST_BYTES:
            raise PackageRefused(f"package: more than {MOST_BYTES // 2**30} GiB; no bundle is so large, {HOW}")
        if size > free - SPARE_BYTES:
            raise OSError(28, f"{free // 2**20} MiB free, {name[:100]} needs {size // 2**20 + SPARE_BYTES // 2**20}")
        path = self._folder / relative
        with _one_kind(name):
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        self._folders |= {path.parent, *(self._folder / parent for parent in relative.parents)}
        written = 0
        with open(descriptor, "wb") as file:
            for chunk in chunks:
                written += len(chunk)
                if written > size:
                    break
                file.write(chunk)
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # whatever the umask: programs of other users read bundles
            os.fsync(file.fileno())
        if written != size:
            raise PackageRefused(f"package: {name[:100]!r} has not the {size} bytes that it says; {HOW}")

    def _count(self) -> None:
        self._counted += 1
        if self._counted > MOST_FILES:
            raise PackageRefused(f"package: more than {MOST_FILES} files; no bundle has so many, {HOW}")

    def flush(self) -> None:
        """Every folder's entries on disk."""
        for folder in sorted(self._folders, key=lambda path: -len(path.parts)):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fchmod(descriptor, 0o755)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def root(self) -> Path:
        """The folder with the manifest: the whole, or the one folder that all is in."""
        inside = list(self._folder.iterdir())
        if len(inside) == 1 and inside[0].is_dir():
            return inside[0]
        return self._folder


@contextmanager
def _one_kind(name: str) -> Iterator[None]:
    """What the disk says of a name that is there already as the other kind."""
    try:
        yield
    except (FileExistsError, NotADirectoryError):
        raise PackageRefused(f"package: {name[:100]!r} is a file and a folder at once; {HOW}") from None


def _checked(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    parts = [part for part in path.parts if part != "."]
    bad = (
        not parts
        or path.is_absolute()
        or ".." in parts
        or "\\" in name
        or not name.isprintable()
        or len(parts) > DEEPEST
        or any(len(part.encode("utf-8", "surrogateescape")) > LONGEST_NAME for part in parts)
    )
    if bad:
        raise PackageRefused(f"package: the path {name[:100]!r} is not one inside a bundle; {HOW}")
    return PurePosixPath(*parts)


@contextmanager
def _reading(source: Path) -> Iterator[None]:
    """What reading can raise for a file that is damaged or no archive, in one line."""
    try:
        yield
    except UNREADABLE as error:
        raise PackageRefused(
            f"{source}: not a whole tar archive ({str(error) or type(error).__name__}); {HOW}"
        ) from None


def _unpack_archive(source: Path, target: _Target) -> None:
    if not hasattr(tarfile, "data_filter"):
        raise PackageRefused(
            "package: this Python's tarfile has no data filter; update Python (3.10.12 or newer), or unpack by hand"
        )
    with _opened(source) as packed, tarfile.open(fileobj=cast("IO[bytes]", _Bounded(packed)), mode="r:") as archive:
        for member in archive:
            _add_member(archive, member, target)


def _add_member(archive: tarfile.TarFile, member: tarfile.TarInfo, target: _Target) -> None:
    if not (member.isdir() and member.name.strip("./") == ""):
        _checked(member.name)  # as it stands: the filter would take a leading slash away
    checked = tarfile.data_filter(member, str(target._folder))  # links, absolute and outside paths, devices
    if checked.isdir():
        target.folder(checked.name)
        return
    if checked.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or checked.issparse():
        raise PackageRefused(f"package: {checked.name[:100]!r} is neither file nor folder; {HOW}")
    content = archive.extractfile(checked)
    if content is None:
        raise PackageRefused(f"package: {checked.name[:100]!r} cannot be read; {HOW}")
    target.add(checked.name, checked.size, _chunks(content))


class _Bounded:
    """An archive's bytes, unpacked where it is gzipped, forward only: what goes back or asks for too much is refused.

    So neither a header of gigabytes nor one that points backwards keeps `tarfile` busy.
    """

    def __init__(self, packed: IO[bytes]) -> None:
        size = os.fstat(packed.fileno()).st_size
        gzipped = packed.read(2) == b"\x1f\x8b"
        packed.seek(0)
        self._file = cast("IO[bytes]", gzip.GzipFile(fileobj=packed)) if gzipped else packed
        self._most = min(MOST_BYTES + LARGEST_HEADER * MOST_FILES, size * MOST_EXPANDED + FREE_EXPANSION)
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        found = self._file.read(size)
        self._at += len(found)
        if self._at > self._most:
            raise tarfile.ReadError(f"it unpacks to more than {MOST_EXPANDED} times its size")
        return found

    def seek(self, to: int) -> int:
        if to < self._at:
            raise tarfile.ReadError("it points backwards")
        while self._at < to and self.read(min(CHUNK, to - self._at)):
            pass
        return self._at

    def tell(self) -> int:
        return self._at

    def seekable(self) -> bool:
        return True


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


def _opened(path: Path) -> IO[bytes]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise PackageRefused(
            f"{path}: cannot be read ({error.strerror or error}); name a bundle's package or folder"
        ) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PackageRefused(f"{path}: not a regular file; name a bundle's package or folder")
    return open(descriptor, "rb")


def _files_of(folder: Path, inside: PurePosixPath) -> Iterator[tuple[str, int, Path]]:
    """Every file of a folder: its path inside, its size, where it is. Links and devices are refused, not followed."""
    if len(inside.parts) > DEEPEST:
        raise PackageRefused(f"package: {inside} lies too deep; {HOW}")
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise PackageRefused(f"{folder}: cannot be read ({error.strerror or error}); allow it") from None
    for entry in entries:
        name, status = inside / entry.name, entry.stat(follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            yield from _files_of(Path(entry.path), name)
        elif stat.S_ISREG(status.st_mode):
            yield str(name), status.st_size, Path(entry.path)
        else:
            raise PackageRefused(f"{entry.path}: neither file nor folder; a bundle has no links or devices")
