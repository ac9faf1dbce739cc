"""A frozen camera at the daemon: buffers that go round, and the same pixels in other bytes."""

from __future__ import annotations

import io
from functools import partial
from typing import Any

import numpy as np
import pytest
from PIL import Image

from device.pixels import ColourMatrix, PixelFormat, Range
from runtime.daemon.client import Client
from runtime.daemon.messages import FrameOrder, Result, WireOutcome
from tests.device.test_pixels import laid_out, to_yuv
from tests.pictures import retina
from tests.runtime.daemon.conftest import Running, awaited

FINDINGS = (WireOutcome.REFER, WireOutcome.NO_REFERRAL_FINDINGS)
REPEATED = (WireOutcome.RETAKE, "repeated frame")
ROOM = 4 * 960 * 960


def sent(client: Client, data: bytes, pixel_format: PixelFormat, side: tuple[int, int], **ways: Any) -> Result:
    client.begin(0)
    client.ring.pixels(0)[: len(data)] = np.frombuffer(data, np.uint8)
    client.finish(0)
    client.submit(0, *side, pixel_format=pixel_format, **ways)
    return client.result()


def said(result: Result) -> tuple[WireOutcome, str]:
    return WireOutcome(result.outcome), result.reason


@pytest.mark.parametrize("buffers", [2, 3, 32])
def test_buffers_that_go_round_give_no_second_finding(daemon: Running, buffers: int) -> None:
    with daemon.client() as client:
        assert all(client.read(retina(number)).outcome in FINDINGS for number in range(buffers))
        assert [said(client.read(retina(number))) for number in [*range(buffers), 0]] == [REPEATED] * (buffers + 1)
        assert client.read(retina(99)).outcome in FINDINGS


@pytest.mark.parametrize("where", ["comment", "behind the end"])
def test_a_counter_in_a_jpeg_hides_nothing(daemon: Running, where: str) -> None:
    pictures: list[bytes] = []
    for seed in (0, 0, 0, 1):
        out = io.BytesIO()
        Image.fromarray(retina(seed)).save(out, "JPEG", quality=95)
        count = len(pictures).to_bytes(4, "big")
        whole = out.getvalue()
        pictures.append(whole[:2] + b"\xff\xfe\0\6" + count + whole[2:] if where == "comment" else whole + count)
    with daemon.client() as client:
        results = [
            sent(client, data, PixelFormat.JPEG, (320, 240), data_bytes=len(data)) for data in (*pictures, pictures[0])
        ]
    assert len({result.frame_sha256 for result in results}) == 4  # of the files, as ever
    assert [result.outcome in FINDINGS for result in results] == [True, False, False, True, False]
    assert [said(results[number]) for number in (1, 2, 4)] == [REPEATED] * 3


def test_a_picture_that_comes_now_as_rgb_and_now_as_a_jpeg_is_found(daemon: Running) -> None:
    out = io.BytesIO()
    Image.fromarray(retina(3)).save(out, "JPEG", quality=95)
    file, pixels = out.getvalue(), np.asarray(Image.open(out))
    with daemon.client() as client:
        first, again = client.read(pixels), sent(client, file, PixelFormat.JPEG, (320, 240), data_bytes=len(file))
    assert first.outcome in FINDINGS
    assert said(again) == REPEATED
    assert first.frame_sha256 != again.frame_sha256


@pytest.mark.parametrize("pixel_format", [PixelFormat.RGB8, PixelFormat.BGR8, PixelFormat.RGBX8])
def test_a_counter_in_the_corner_of_a_frozen_picture_hides_nothing(daemon: Running, pixel_format: PixelFormat) -> None:
    laid = {PixelFormat.RGB8: [0, 1, 2], PixelFormat.BGR8: [2, 1, 0], PixelFormat.RGBX8: [0, 1, 2, 2]}[pixel_format]
    results = []
    with daemon.client(slot_bytes=ROOM) as client:
        for count in range(3):
            picture = retina(4, width=640, height=640)
            picture[0, 0, 2] = count  # as a camera that numbers its frames in their first pixel
            results.append(sent(client, picture[..., laid].tobytes(), pixel_format, (640, 640)))
    assert results[0].outcome in FINDINGS
    assert [said(result) for result in results[1:]] == [REPEATED] * 2
    assert len({result.frame_sha256 for result in results}) == 3


@pytest.mark.parametrize("width", [320, 960])
def test_another_order_of_yuv_hides_nothing(daemon: Running, width: int) -> None:
    yuv = to_yuv(retina(2, width=width, height=width), ColourMatrix.BT709, Range.LIMITED)
    ways: dict[str, Any] = {"matrix": ColourMatrix.BT709, "levels": Range.LIMITED}
    with daemon.client(slot_bytes=ROOM) as client:
        first, again = (
            sent(client, laid_out(yuv, order, 2 * width).tobytes(), order, (width, width), **ways)
            for order in (PixelFormat.YUYV, PixelFormat.UYVY)
        )
    assert first.outcome in FINDINGS
    assert said(again) == REPEATED
    assert first.frame_sha256 != again.frame_sha256


def test_frames_that_are_dark_say_so_again(daemon: Running) -> None:
    """Made small they are one black picture; the reason stays what a person can mend."""
    ways: dict[str, Any] = {"matrix": ColourMatrix.BT709, "levels": Range.FULL}
    with daemon.client(slot_bytes=ROOM) as client:
        for spot in (2, 402):
            data = np.tile(np.array([0, 128], np.uint8), 960 * 960)
            data[spot] = 1
            assert "too dark" in sent(client, data.tobytes(), PixelFormat.YUYV, (960, 960), **ways).reason


def test_a_frame_that_was_given_up_while_it_was_read_is_known(daemon: Running) -> None:
    daemon.engine.segment_delay_ms = 300.0
    with daemon.client(order=FrameOrder.EVERY) as client:
        before = daemon.engine.frames
        client.fill(0, retina(1))
        client.submit(0, 320, 240)
        awaited(partial(_read, daemon, before), "the frame in the engine")
        client.cancel()
        assert client.result().outcome is WireOutcome.NO_RESULT
        daemon.engine.segment_delay_ms = 0.0
        assert client.read(retina(2)).outcome in FINDINGS
        assert said(client.read(retina(1))) == REPEATED


def _read(daemon: Running, before: int) -> bool:
    return daemon.engine.frames > before
