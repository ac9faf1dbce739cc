"""RTSP of which packets are lost, over UDP and before TCP: no frame is given that was not sent, the rest is counted."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from device import CameraError, FrameUnreadable, open_camera
from device.cameras.codecs.jpeg import decode_jpeg
from tests.device.cameras.servers import rtsp_of
from tests.pictures import retina
from tests.ports import free_port

av = pytest.importorskip("av", reason="PyAV is not installed (extra video)")

pytestmark = pytest.mark.system

FRAMES, GOP, WIDTH, HEIGHT = 60, 10, 320, 240
SMALL = 600
"""Bytes of a packet, so that each frame is in many."""


@dataclass(frozen=True)
class Kind:
    encoder: str
    ending: str
    payloader: str
    options: dict[str, str]
    pixel_format: str = "yuv420p"
    large: int = 60000
    """Bytes of a packet that holds a whole frame: a decoder that is not told misses that more easily. The payloader of
    MPEG-4 would put a whole group into one of more."""


KINDS = {
    "mpeg4": Kind("mpeg4", "mp4", "qtdemux ! rtpmp4vpay config-interval=1", {}, large=2500),
    "h264": Kind("libx264", "mp4", "qtdemux ! rtph264pay", {"preset": "veryfast", "tune": "zerolatency"}),
    "h265": Kind(
        "libx265",
        "mp4",
        "qtdemux ! rtph265pay",
        {"preset": "ultrafast", "x265-params": f"log-level=none:bframes=0:keyint={GOP}"},
    ),
    "mjpeg": Kind("mjpeg", "avi", "avidemux ! rtpjpegpay", {"huffman": "default"}, "yuvj420p"),
}


def recorded(kind: Kind, path: Path) -> None:
    """A video of a moving retina."""
    shown = retina(seed=5, width=WIDTH + FRAMES, height=HEIGHT + FRAMES)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(kind.encoder, rate=40, options=kind.options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, kind.pixel_format
        stream.codec_context.gop_size = GOP
        stream.codec_context.bit_rate = 2_000_000
        if kind.encoder == "libx265":
            stream.codec_context.codec_tag = "hvc1"
        for k in range(FRAMES):
            part = np.ascontiguousarray(shown[k : k + HEIGHT, k : k + WIDTH])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(part, "rgb24")))
        container.mux(stream.encode(None))


def sent(path: Path) -> set[bytes]:
    """The pixels of each of its frames."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if stream.codec_context.name == "mjpeg":
            return {decode_jpeg(bytes(packet)).tobytes() for packet in container.demux(stream) if packet.size}
        return {frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(stream)}


def read(url: str) -> tuple[list[bytes], list[str]]:
    """The pixels of what was given until the stream ended, and why the rest was refused."""
    given: list[bytes] = []
    refused: list[str] = []
    with open_camera(url) as camera:
        while True:
            try:
                frame = camera.read()
            except FrameUnreadable as error:
                refused.append(str(error))
                continue
            except CameraError:
                return given, refused
            assert frame is not None
            given.append(frame.pixels.tobytes())


@pytest.mark.parametrize("frames_whole", [True, False])
@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("name", KINDS)
def test_what_lost_packets_spoil_is_refused_and_counted(
    tmp_path: Path, name: str, transport: str, frames_whole: bool
) -> None:
    kind = KINDS[name]
    video = tmp_path / f"eye.{kind.ending}"
    recorded(kind, video)
    whole = sent(video)
    packet_bytes, every = (kind.large, 11) if frames_whole else (SMALL, 97)
    pipeline = f"( filesrc location={video} ! {kind.payloader} mtu={packet_bytes} name=pay0 )"
    port = free_port()
    with rtsp_of(port, pipeline, lost_every=every):
        given, refused = read(f"rtsp://127.0.0.1:{port}/eye#transport={transport},read_timeout_s=5")
    assert [pixels for pixels in given if pixels not in whole] == []
    assert refused
    assert "damaged" in refused[0]
    assert given
