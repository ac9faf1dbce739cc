"""`CleanRun`: which frames of a video count, when data of it is damaged or lost.

Frames of a video are built on frames before them, so damage lasts: nothing counts from there on until a key frame has
been decoded without a complaint.
"""

from __future__ import annotations

from device.cameras.codecs.runs import longest_run
from device.cameras.video.units import length_bytes, split

_RUN_MAX = 100
"""Longest run of one byte in a packet of VP8: frames of eyes have 10, black ones of 4 megapixels 63, a sector 512."""


class CleanRun:
    """Told of damage and of frames in the order of decoding; says of each frame why it does not count."""

    def __init__(self) -> None:
        self._why: str | None = None
        self._after: int | None = None
        """A key frame must be of a later packet than this."""

    def damage(self, why: str, packet: int) -> None:
        """Something is wrong with packet number `packet`, or with what came before it."""
        self._why = self._why or why
        self._after = packet if self._after is None else max(self._after, packet)

    def refuse(self, packet: int, *, key: bool, why: str | None = None) -> str | None:
        """Why the frame of packet number `packet` does not count; None when it does.

        key: whether it is a key frame, which stands on no other. why: what the decoder says of this very frame.
        """
        if why is not None:
            self.damage(why, packet)
        if self._why is not None and key and (self._after is None or packet > self._after):
            self._why = self._after = None
        return self._why


def units_damaged(data: bytes, codec: str, extradata: bytes) -> str | None:
    """What is wrong with a packet of H.264, H.265 or VP8 by its form alone; None for other codecs too.

    No encoder writes two zero bytes followed by one under 3 within a unit (NAL; ITU-T H.264 and H.265, 7.4.1); zeros
    that a disk or network put there do. VP8 has no such rule, and its decoder takes a hole for plain blocks and says
    nothing; an arithmetic code writes no long run of one byte.
    """
    if codec == "vp8":
        return f"{run} equal bytes in a row" if (run := longest_run(data)) > _RUN_MAX else None
    if codec not in ("h264", "hevc"):
        return None
    if not length_bytes(codec, extradata):
        run = data.rstrip(b"\0").find(bytes(16))
        return "a hole of zeros" if run >= 0 else None
    units = split(data, codec, extradata)
    if units is None:
        return "units that do not fit their packet"
    for unit in units:
        body = unit.rstrip(b"\0")
        if len(unit) - len(body) > 8 or b"\0\0\0" in body or b"\0\0\1" in body:
            return "a hole of zeros"
    return None
