"""Writes `golden_messages.json`, which C and Python are both tested against: `python -m runtime.daemon.golden`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from device.pixels import ColourMatrix, PixelFormat, Range
from runtime.daemon.messages import (
    AskBundle,
    AskHealth,
    BundleInfo,
    Cancel,
    Configure,
    DaemonState,
    Error,
    FrameOrder,
    Health,
    Hello,
    Obtained,
    Reload,
    Reloaded,
    Result,
    RingLayout,
    Submit,
    Welcome,
    WireOutcome,
)
from runtime.daemon.slots import SlotLayout
from runtime.daemon.wire import CRC, HEADER, VERSION, ErrorCode, Message

PATH = Path(__file__).parent / "golden_messages.json"
SHA_A, SHA_B = bytes(range(32)), bytes(range(255, 223, -1))
PIXELS = 2040 * 2040 * 3


def examples() -> dict[str, tuple[int, Message]]:
    """Every kind of message with its tag, by name."""
    layout = SlotLayout(4, PIXELS)
    return {
        "hello": (1, Hello(VERSION, VERSION, "camera-firmware:3.1")),
        "configure": (2, Configure(4, PIXELS, FrameOrder.NEWEST, 0)),
        "configure_every_stored": (0xFFFFFFFF, Configure(2, 320 * 240, FrameOrder.EVERY, 1)),
        "submit": (3, _submit(2, 41, 10**9, 10**9 + 50_000_000, 3, 2040, 2040, 6120, PixelFormat.RGB8, 1, 12_500)),
        "submit_grey_no_deadline": (4, _submit(2**63, 2**40, 2**62, 0, 0, 320, 240, 320, PixelFormat.GRAY8, 0, 0)),
        "submit_nv12": (
            9,
            Submit(
                6,
                42,
                10**9,
                0,
                1,
                320,
                240,
                384,
                PixelFormat.NV12,
                0,
                ColourMatrix.BT709,
                Range.LIMITED,
                0,
                384 * 256,
                0,
            ),
        ),
        "submit_jpeg": (
            10,
            Submit(8, 43, 10**9, 0, 2, 320, 240, 0, PixelFormat.JPEG, 0, ColourMatrix.NONE, Range.NONE, 0, 0, 48_123),
        ),
        "health?": (5, AskHealth()),
        "bundle?": (6, AskBundle()),
        "reload": (7, Reload()),
        "cancel": (11, Cancel()),
        "welcome": (1, Welcome(VERSION, 4711, 16, 64 * 2**20, 512 * 2**20)),
        "ring": (
            2,
            RingLayout(
                layout.ring_bytes,
                layout.slot_stride,
                layout.pixels_offset,
                layout.vessels_offset,
                layout.slots,
                layout.slot_bytes,
                Obtained.NOT_ASKED,
            ),
        ),
        "result_refer": (3, _result(WireOutcome.REFER, 8 | 16 | 32, 0.0625, (0.25, 0.75, 0, 0, 0, 0, 0, 0))),
        "result_cancelled": (9, _result(WireOutcome.NO_RESULT, 128, -1.0, (0.0,) * 8)),
        "result_late": (4, _result(WireOutcome.NO_RESULT, 1, -1.0, (0.0,) * 8)),
        "health": (
            5,
            Health(
                60_000,
                10**9,
                1000,
                3,
                1,
                2,
                7,
                1,
                4711,
                8,
                2,
                34,
                DaemonState.DEGRADED,
                *_obtained(),
                SHA_B,
                "no self-test; ä",
            ),
        ),
        "bundle": (
            6,
            BundleInfo(
                SHA_B,
                "demonstration",
                "1.0",
                "openvino",
                "fp32",
                "CPU",
                "Screening aid; not a medical device.",
                0.5,
                2,
                2,
                ("no_ridge", "ridge", "", "", "", "", "", ""),
            ),
        ),
        "reloaded": (7, Reloaded(SHA_B, 1, "manifest.json is not JSON; build the bundle again")),
        "error": (8, Error(ErrorCode.SLOT_IN_USE, VERSION, VERSION, 3, "slot 3 holds a frame that is being read")),
    }


def _submit(
    generation: int,
    sequence: int,
    captured_ns: int,
    deadline_ns: int,
    slot: int,
    width: int,
    height: int,
    stride: int,
    pixel_format: PixelFormat,
    flags: int,
    capture_us: int,
) -> Submit:
    """A frame that is neither YUV nor JPEG."""
    place = generation, sequence, captured_ns, deadline_ns, slot, width, height, stride
    return Submit(*place, pixel_format, flags, ColourMatrix.NONE, Range.NONE, capture_us, 0, 0)


def _obtained() -> tuple[Obtained, Obtained, Obtained, Obtained]:
    return Obtained.REFUSED, Obtained.OBTAINED, Obtained.NOT_ASKED, Obtained.NOT_ASKED


def _result(outcome: WireOutcome, flags: int, fraction: float, probabilities: tuple[float, ...]) -> Result:
    counts = outcome is WireOutcome.REFER
    return Result(
        41,
        2,
        10**9,
        10**9 + 20_000_000,
        3,
        flags,
        outcome,
        2 if counts else 0,
        fraction,
        50.0,
        (0.125, 0.5, 1.5, 8.0, 4.0, 0.25, 14.5) if counts else (60.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0),
        probabilities,
        SHA_A if counts else bytes(32),
        SHA_B,
        "probability of ridge 0.75, threshold 0.50" if counts else "late: deadline passed",
        "Refer: examination by an ophthalmologist needed" if counts else "No result - late: deadline passed",
    )


def refused() -> dict[str, tuple[bytes, ErrorCode]]:
    """Messages that the daemon must refuse, with the error that it gives."""
    good = Configure(4, 100, FrameOrder.NEWEST, 0).encode(9)
    submit = _submit(2, 0, 0, 0, 0, 1, 1, 3, PixelFormat.RGB8, 0, 0).encode(9)
    return {
        "empty": (b"", ErrorCode.BAD_SIZE),
        "cut": (good[:-1], ErrorCode.BAD_SIZE),
        "longer": (good + b"\0", ErrorCode.BAD_SIZE),
        "magic": (b"X" + good[1:], ErrorCode.BAD_MAGIC),
        "bit_flipped": (good[:20] + bytes([good[20] ^ 1]) + good[21:], ErrorCode.BAD_CRC),
        "version_1": (_spoiled(good, 4, 1), ErrorCode.BAD_VERSION),
        "version_4": (_spoiled(good, 4, 4), ErrorCode.BAD_VERSION),
        "hello_of_version_3": (_spoiled(Hello(1, 3, "new").encode(9), 4, 3), ErrorCode.BAD_VERSION),
        "unknown_type": (_spoiled(good, 6, 0x7F), ErrorCode.BAD_TYPE),
        "wrong_size_for_type": (_spoiled(good, 6, Submit.TYPE), ErrorCode.BAD_SIZE),
        "order_3": (_spoiled(good, 24, 3), ErrorCode.BAD_FIELD),
        "unknown_flag": (_spoiled(good, 25, 0x80), ErrorCode.BAD_FIELD),
        "reserved_not_zero": (_spoiled(good, 26, 1), ErrorCode.BAD_FIELD),
        "no_slots": (_spoiled(good, 16, 0), ErrorCode.BAD_FIELD),
        "format_99": (_spoiled(submit, 64, 99), ErrorCode.BAD_FIELD),
        "matrix_3": (_spoiled(submit, 66, 3), ErrorCode.BAD_FIELD),
        "range_3": (_spoiled(submit, 67, 3), ErrorCode.BAD_FIELD),
        "from_the_other_side": (Welcome(1, 1, 1, 1, 1).encode(9), ErrorCode.BAD_TYPE),
    }


def _spoiled(message: bytes, at: int, value: int) -> bytes:
    """One byte changed and the CRC made to fit."""
    import zlib

    body = bytearray(message[: -CRC.size])
    body[at] = value
    return bytes(body) + CRC.pack(zlib.crc32(body))


def golden() -> str:
    """The file's text."""

    def plain(value: Any) -> Any:
        return value.hex() if isinstance(value, bytes) else value

    content = {
        "protocol": "ROPD",
        "version": VERSION,
        "header_bytes": HEADER.size,
        "messages": [
            {
                "name": name,
                "message": type(message).__name__,
                "type": message.TYPE,
                "tag": tag,
                "bytes": message.size(),
                "fields": {k: plain(v) for k, v in asdict(message).items() if k != "reserved"},
                "hex": message.encode(tag).hex(),
            }
            for name, (tag, message) in examples().items()
        ],
        "refused_from_a_client": [
            {"name": name, "error": int(code), "hex": data.hex()} for name, (data, code) in refused().items()
        ],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(golden(), encoding="utf-8")
