"""Reading files of our own as they must be: regular files of a bounded size, JSON that says each thing once."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def read_at_most(path: Path, limit: int) -> bytes:
    """A regular file's bytes; one more than the limit where there are more. Never waits. Raises `OSError`.

    A pipe, a device or a socket in a file's place would keep the program waiting, or never end: it is refused, as is a
    name that no file can have.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except ValueError as error:  # a NUL in the name
        raise OSError(errno.EINVAL, f"not a file's name: {error}", os.fsdecode(path).replace("\0", "?")) from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    with open(descriptor, "rb") as file:
        return file.read(min(limit, status.st_size) + 1)


def read_whole(path: Path, limit: int) -> bytes:
    """`read_at_most` of a file that must not be larger. Raises `OSError`."""
    content = read_at_most(path, limit)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"larger than {limit} bytes", os.fspath(path))
    return content


def writable_by_anybody(path: Path) -> Path | None:
    """Of a file or folder and the folders above it, the first that every user of the machine may write; None for none.

    In a folder with the sticky bit nobody exchanges what is another's; of `path` itself that does not help. Nothing is
    written where the file system is mounted to be read only, as secrets of containers are.
    """
    whole = path.resolve()
    for one in (whole, *whole.parents):
        try:
            mode, sealed = one.stat().st_mode, os.statvfs(one).f_flag & os.ST_RDONLY
        except OSError:
            return None  # whoever reads it says why it cannot be read
        if mode & stat.S_IWOTH and not sealed and (one == whole or not mode & stat.S_ISVTX):
            return one
    return None


class SumDiffers(ValueError):
    """A file is not what the sum beside it was made of; its text says what to do."""


def read_summed(path: Path, limit: int) -> bytes:
    """A file's bytes, at most `limit` of them, against `NAME.sha256` beside it where there is one.

    What a person writes bears no signature, so a disk that changed a byte of it is found by this only:
    `sha256sum NAME > NAME.sha256`. It is no guard against somebody who can write there. Raises `OSError` or
    `SumDiffers`.
    """
    content, beside = read_whole(path, limit), path.with_name(f"{path.name}.sha256")
    try:
        line = read_at_most(beside, len(path.name.encode()) + 80)
    except FileNotFoundError:
        return content
    own = hashlib.sha256(content).hexdigest()
    if line not in (f"{own}{mark}{path.name}\n".encode() for mark in ("  ", " *")):
        raise SumDiffers(
            f"it is not what {beside.name} was made of; somebody changed one of the two, or a disk did: look through "
            f"it, then run sha256sum {path.name} > {beside.name} in its folder"
        )
    return content


def place_of(location: Iterable[object]) -> str:
    """Where in a file something is wrong, as pydantic tells it; on one line, whatever the file's own keys hold."""
    return ".".join(map(one_line, location))


def one_line(part: object) -> str:
    """A key of a file as a message repeats it: no line break, nothing that acts on a terminal."""
    return repr(str(part))[1:-1]


def strict_json(raw: bytes | str) -> Any:
    """JSON in which no key stands twice in an object, and every number is one. Raises `ValueError`.

    Of two values for one key another program may believe the other one; NaN and Infinity are not JSON.
    """
    try:
        return json.loads(raw, object_pairs_hook=_once_each, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands twice in one object")
    return found


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:20]} is too large a number")
    return value
