"""`LiveVideo`: RTSP, or a video over HTTP, through PyAV."""

from __future__ import annotations

import time
from collections import deque
from typing import Protocol

from device.cameras.opencv.config import StreamConfig
from device.cameras.stream.camera import Arrival
from device.cameras.video.decoder import VideoDecoder
from device.cameras.video.library import pyav
from device.errors import SourceNotFound

_AHEAD = 2
"""What is missing before a packet of RTP may be of the frame that is put together, or of the one that it begins."""
_READ_TO_OPEN = 30
"""So many packets FFmpeg reads at most to learn what the stream is (eight were seen); what is lost then is of these."""
_DROPS_TORN_ONES = frozenset({"mjpeg", "vp8"})
"""Codecs whose frames FFmpeg puts together from RTP by their own numbers: one with a gap never comes out as whole."""


class SupportsRead(Protocol):
    """What bytes can be read from."""

    def read(self, size: int) -> bytes:
        """Up to so many bytes, none at the end."""
        ...


class LiveVideo:
    """Pictures of a network's video, each when it is decoded; raises `OSError` when it cannot be opened,

    `SourceNotFound` for a codec of which nobody can tell whether its data is whole.
    """

    def __init__(self, config: StreamConfig, where: str | SupportsRead) -> None:
        """where: the address, or what its answer is read from."""
        av = pyav()
        # Without `fpsprobesize`, FFmpeg collects a second of frames to learn a rate that nobody asks for, and gives
        # them as new. `nobuffer` would drop them, but with them the first whole picture of H.264.
        options = {"flags": "low_delay", "fpsprobesize": "0"}
        if config.url.startswith("rtsp"):
            options["rtsp_transport"] = config.transport
            if config.transport == "tcp":
                # A camera or relay may drop packets before they come to TCP. Without room for two, nobody counts them.
                options["reorder_queue_size"] = "2"
        try:
            with av.logging.Capture() as said:
                self._container = av.open(
                    where, options=options, timeout=(config.open_timeout_s, config.read_timeout_s)
                )
            try:
                stream = self._container.streams.video[0]
                stream.codec_context.flags |= 1 << 19  # AV_CODEC_FLAG_LOW_DELAY: no frame is held back for its order
                self._decoder = VideoDecoder(stream)
                self._decoder.heed(said, ahead=_READ_TO_OPEN)
                self._packets = self._container.demux(stream)
            except BaseException:
                self._container.close()
                raise
        except SourceNotFound as silent:
            raise SourceNotFound(f"{config.shown}: {silent}") from None
        except (av.error.FFmpegError, IndexError) as error:
            raise OSError(type(error).__name__) from None
        self._drops_torn_ones = stream.codec_context.name in _DROPS_TORN_ONES
        self._ahead = 0 if self._drops_torn_ones else _AHEAD
        self._waiting: deque[Arrival] = deque()

    def next(self) -> Arrival | None:
        """The next picture, see `PictureSource`."""
        av = pyav()
        while not self._waiting:
            try:
                with self._decoder.listening(self._ahead):
                    packet = next(self._packets, None)
            except av.error.FFmpegError as error:
                raise OSError(type(error).__name__) from None
            if packet is None or not packet.size:
                return None
            if self._drops_torn_ones and self._decoder.lost is not None:
                self._waiting.append(_refused(self._decoder.lost))
            for picture in self._decoder.decode(packet):
                if picture.pixels is None:
                    self._waiting.append(_refused(picture.why_not))
                else:
                    self._waiting.append(Arrival(picture.pixels, time.monotonic_ns()))
        return self._waiting.popleft()

    def close(self) -> None:
        """End the connection."""
        self._container.close()


def _refused(why: str) -> Arrival:
    return Arrival(None, time.monotonic_ns(), f"damaged ({why})")
