"""What a file is by its first bytes, for names that do not say: DICOM's are often a number, or have no ending."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path

_SAYS_NOTHING = re.compile(r"(\.(\d+|ima|img))?", re.IGNORECASE)
"""Endings that do not say what a file is: none, a part of a UID or a number, and two of archives."""
_BEGINNINGS = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"\0\0\0\x0cjP  ",
    b"\xff\x4f\xff\x51",
)
_HEAD = 132


def says_nothing(name: str) -> bool:
    """Whether the name does not say what is in the file, so that its content has to; `.part` or `.txt` do say."""
    return _SAYS_NOTHING.fullmatch(os.path.splitext(name)[1]) is not None


def is_picture_by_content(path: Path | str) -> bool:
    """Whether the file begins as a DICOM object or a picture does; False also for one that cannot be read."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return False
    return _known(os.fspath(path), status.st_ino, status.st_size, status.st_ctime_ns)


@functools.lru_cache(4096)
def _known(path: str, inode: int, size: int, changed_ns: int) -> bool:
    """The same, once for each state of a file: a watched folder is looked at twice a second."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return head[128:] == b"DICM" or begins_as_picture(head)


def begins_as_picture(data: bytes) -> bool:
    """Whether the data begins as a picture that is not wrapped in a DICOM object."""
    return data.startswith(_BEGINNINGS) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP")
