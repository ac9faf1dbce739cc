"""Writing files of our own where others may write, too: never through a link, never into a file that was there.

A file is written under a random name that is new, with its mode from the start, in a folder held by its descriptor, and
then takes the place of what had its name. So whoever plants a link, a pipe or a file of theirs, or exchanges the
folder while the program runs, gets nothing overwritten, nothing deleted and nothing to read.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

PRIVATE, PUBLIC = 0o600, 0o644
"""Modes at creation: findings are for their owner; PUBLIC is for what other users' programs have to read."""
_PART, _PART_END = ".rop-", ".part"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class OutputFolder:
    """A folder held by its descriptor, to write, read and remove files of ours by name. Use it as a context manager.

    A last part of the path that is a link is followed when it belongs to root or to this user and `link_ok`, as for a
    folder that the user named; never for a folder that a program of ours makes inside another. Every method raises
    `OSError` with the file's name.
    """

    def __init__(self, path: Path, *, make: bool = False, link_ok: bool = True) -> None:
        self.path = path
        if make:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path.parent)) from None
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
        self._fd = _open_folder(path, link_ok)

    @contextlib.contextmanager
    def writing(self, name: str, mode: int = PRIVATE) -> Iterator[BinaryIO]:
        """A new file to fill, which takes the name when the block ends well, and is gone when it does not."""
        self._check(name)
        part = f"{_PART}{secrets.token_hex(8)}{_PART_END}"
        try:
            with open(self._create(part, mode), "wb") as file:
                yield file
                file.flush()
                os.replace(part, name, src_dir_fd=self._fd, dst_dir_fd=self._fd)
                if not _alike(os.fstat(file.fileno()), self._status(name)):
                    self.remove(name)
                    raise OSError(errno.EEXIST, "another program put its file there meanwhile", str(self.path / name))
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part, dir_fd=self._fd)
            raise

    def write(self, name: str, content: bytes, mode: int = PRIVATE) -> None:
        """Write a file that is either whole or not there."""
        with self.writing(name, mode) as file:
            file.write(content)

    def try_writing(self) -> None:
        """Write a file and remove it."""
        name = f"{_PART}{secrets.token_hex(8)}{_PART_END}"
        with open(self._create(name, PRIVATE), "wb") as file:
            os.unlink(name, dir_fd=self._fd)
            file.write(b"writable?\n")

    def start(self, name: str, mode: int = PRIVATE, flags: int = 0) -> int:
        """The descriptor of a new empty file in the place of what had the name; for what grows while it is read."""
        self._check(name)
        self.remove(name)
        return self._create(name, mode, flags)

    def read(self, name: str) -> BinaryIO | None:
        """A regular file opened for reading, None where nothing or something else stands. Never waits."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
                return None
            raise
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            return None
        return open(fd, "rb")

    def remove(self, name: str) -> None:
        """Remove what has the name, a link itself and not what it shows; nothing there is fine."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def remove_parts(self) -> None:
        """Remove files that a killed program of ours had begun."""
        for name in os.listdir(self._fd):
            if name.startswith(_PART) and name.endswith(_PART_END):
                self.remove(name)

    def close(self) -> None:
        """Give the folder back. Closing twice is fine."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _create(self, name: str, mode: int, flags: int = 0) -> int:
        fd = os.open(name, _NEW | flags, mode, dir_fd=self._fd)
        with contextlib.suppress(PermissionError):  # some file systems have one mode for all
            os.fchmod(fd, mode)  # whatever the umask: a private file stays private, a public one can be read
        return fd

    def _status(self, name: str) -> os.stat_result:
        return os.stat(name, dir_fd=self._fd, follow_symlinks=False)

    def _check(self, name: str) -> None:
        """A file or a link may be replaced; a pipe, a device or a folder is somebody's."""
        if not name or name in (".", "..") or "/" in name or "\0" in name:
            raise OSError(errno.EINVAL, "not a file's name", name.replace("\0", "?"))
        try:
            mode = self._status(name).st_mode
        except FileNotFoundError:
            return
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(self.path / name))
        if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
            raise OSError(errno.EEXIST, "a pipe or device stands there", str(self.path / name))

    def __enter__(self) -> OutputFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _alike(ours: os.stat_result, named: os.stat_result) -> bool:
    """Whether what has the name now can be our file; by no inode's number, which network file systems may change."""
    return stat.S_ISREG(named.st_mode) and (ours.st_uid, ours.st_size) == (named.st_uid, named.st_size)


def _open_folder(path: Path, link_ok: bool) -> int:
    try:
        return os.open(path, _FOLDER | os.O_NOFOLLOW)
    except OSError as error:
        if not path.is_symlink():
            raise
        if not link_ok or path.lstat().st_uid not in (0, os.geteuid()):
            raise OSError(errno.ELOOP, "a link stands there, which is not followed", str(path)) from error
        return os.open(path, _FOLDER)


@contextlib.contextmanager
def writing(path: Path, mode: int = PRIVATE) -> Iterator[BinaryIO]:
    """A new file to fill that takes the place of `path` when the block ends well. Raises `OSError`."""
    with OutputFolder(path.parent) as folder, folder.writing(path.name, mode) as file:
        yield file


def write_whole(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Write a file that is either whole or not there. Raises `OSError`."""
    with writing(path, mode) as file:
        file.write(content)
