"""PyAV, imported where it is used: it carries FFmpeg with the means to hear of damage that OpenCV's has not."""

from __future__ import annotations

import functools
from typing import Any

from device.errors import DriverMissing
from device.extras import how_to_install


@functools.cache
def pyav() -> Any:
    """The module, set to hand over FFmpeg's lines instead of printing them; raises `DriverMissing`."""
    try:
        import av
        import av.logging
    except ImportError:
        raise DriverMissing(
            "videos and streams need PyAV, which is not installed; " + how_to_install("video")
        ) from None
    av.logging.set_level(av.logging.DEBUG)  # a gap between frames of H.264 is told so low at times
    av.logging.set_skip_repeated(False)
    return av
