"""How many bytes a part packed as PackBits (TIFF) or RLE (DICOM, the same scheme) unpacks to.

Decoders drop what is too much, so a part with damage in its counts is shown sheared.
"""

from __future__ import annotations


def unpacked_bytes(part: bytes) -> int:
    """The number of bytes that `part` unpacks to; one byte of padding at its end counts for nothing."""
    at, end, made = 0, len(part) - 1, 0
    while at < end:
        count = part[at]
        if count < 128:
            made += count + 1
            at += count + 2
        elif count > 128:
            made += 257 - count
            at += 2
        else:  # says nothing
            at += 1
    return made
