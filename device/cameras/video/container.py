"""Whether a video file is all there, by what its own boxes and chunks say of their sizes."""

from __future__ import annotations

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
