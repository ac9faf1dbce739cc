"""Whether a video file is all there, by what its own boxes and chunks say of their sizes."""

from __future__ import annotations

import re
from pathlib import Path


def is_cut(path: Path) -> bool:
    """Whether an AVI, MP4 or MOV file is shorter than it says; False for other kinds, which say nothing."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
            at = 0
            while at + 8 <= size:
                file.seek(at)
                head = file.read(8)
                if head[:4] != b"RIFF":
                    return False
                length = int.from_bytes(head[4:8], "little")
                at += 8 + length + length % 2
            return at > size + 1
        if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"wide", b"skip"):
            at = 0
            while at + 8 <= size:
                file.seek(at)
                head = file.read(16)
                length = int.from_bytes(head[:4], "big")
                if length == 1:
                    length = int.from_bytes(head[8:16], "big")
                if length == 0:  # to the end of the file
                    return False
                if length < 8:
                    return True
                at += length
            return at != size
    return False


_BESIDE = re.compile(rb"[0-9A-Za-z ]{4}")
_LISTS = (b"LIST", b"RIFF")
_HEAD = 8
"""Bytes of a chunk's name and length."""
_CHUNKS_MAX = 100_000


def chunks_follow(path: Path, end: int, begin: int) -> bool:
    """Whether whole chunks lie between two pictures of an AVI: FFmpeg passes over what is none, in silence.

    end: behind the data of the one picture, with its padding; begin: where that of the next one begins, which has a
    chunk's head before it.
    """
    if end == begin - _HEAD:
        return True
    with path.open("rb") as file:
        for _ in range(_CHUNKS_MAX):
            if end >= begin - _HEAD:
                break
            file.seek(end)
            head = file.read(_HEAD)
            if not _BESIDE.fullmatch(head[:4]) or len(head) < _HEAD:
                return False
            length = int.from_bytes(head[4:], "little")
            end += _HEAD + (4 if head[:4] in _LISTS else length + length % 2)
    return end == begin - _HEAD
