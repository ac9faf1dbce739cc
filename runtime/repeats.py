"""`LastPictures`: what tells a frozen camera, also one whose few buffers go round."""

from __future__ import annotations

KEPT = 32
"""Pictures that are remembered: more than a driver has buffers (V4L2 has 32 at most)."""


class LastPictures:
    """Digests of the last pictures of one live camera, `KEPT` of each kind. Used by one thread at a time.

    A picture is known by its frame's SHA-256 and by the networks' input: the same pixels in another JPEG file, or now
    as a JPEG and now as RGB, or with a counter in a corner, have another SHA-256 and the same input.
    """

    def __init__(self) -> None:
        self._frames: dict[str, None] = {}
        self._inputs: dict[str, None] = {}
        self._before = self._frames, self._inputs

    def repeated(self, frame_sha256: str, input_sha256: str = "") -> bool:
        """Whether this picture is one of the last; it is from now on, and a repeated one stays.

        input_sha256: of the networks' input, "" where there is none.
        """
        self._before = dict(self._frames), dict(self._inputs)
        frame, shown = _known(self._frames, frame_sha256), _known(self._inputs, input_sha256)
        return frame or shown

    def take_back(self) -> None:
        """Forget the last call: what it was asked of was no picture after all."""
        self._frames, self._inputs = self._before


def _known(last: dict[str, None], digest: str) -> bool:
    """Whether it is there, and make it the newest."""
    if not digest:
        return False
    known = digest in last
    last.pop(digest, None)
    last[digest] = None
    if len(last) > KEPT:
        del last[next(iter(last))]
    return known
