"""What wrong bits do to videos, by codec: frames that count and are not those of the whole video.

    python -m tests.bench.wrong_bits ../shared/data/hvdropdb_ridge/images --copies 50 [--codecs h264-cabac mpeg2]

A moving camera over frames with an outcome is recorded by each codec; one packet of each copy gets one wrong bit, four
within 16 bytes, eight other bytes, or 512 bytes of zeros or of 0xFF. `off` counts the copies with a frame that counts
and differs from each whole one, `seen` those in which one differs by over a level on average, `other` those of which
such a frame gets the other outcome.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from PIL import Image

from device import Frame, FrameUnreadable
from device.cameras.video import Recording
from runtime import Outcome, Screener, open_bundle

FRAMES, WIDTH, HEIGHT = 8, 480, 360


@dataclass(frozen=True)
class Codec:
    """How a video is made."""

    encoder: str
    pixels: str = "yuv420p"
    options: dict[str, str] = field(default_factory=dict)
    bit_rate: int = 0


_X264 = {"crf": "20", "g": "8", "threads": "1"}
CODECS = {
    "mpeg1": Codec("mpeg1video", bit_rate=4_000_000, options={"g": "8"}),
    "mpeg2": Codec("mpeg2video", bit_rate=4_000_000, options={"g": "8"}),
    "mpeg4": Codec("mpeg4", bit_rate=4_000_000, options={"g": "8"}),
    "mpeg4-b": Codec("mpeg4", bit_rate=4_000_000, options={"g": "8", "bf": "2"}),
    "msmpeg4": Codec("msmpeg4", bit_rate=4_000_000, options={"g": "8"}),
    "h264-cabac": Codec("libx264", options=_X264 | {"bf": "0"}),
    "h264-cabac-b": Codec("libx264", options=_X264 | {"bf": "2"}),
    "h264-cavlc": Codec("libx264", options=_X264 | {"profile": "baseline"}),
    "h265": Codec("libx265", options={"crf": "20", "x265-params": "keyint=8:bframes=0:log-level=none:pools=1"}),
    "vp8": Codec("libvpx", bit_rate=4_000_000, options={"g": "8", "cpu-used": "8", "deadline": "realtime"}),
    "av1": Codec("libsvtav1", options={"crf": "25", "preset": "12", "g": "8", "svtav1-params": "lp=1"}),
    "mjpeg": Codec("mjpeg", "yuvj420p", options={"qmin": "2", "qmax": "3"}),
    "ffv1": Codec("ffv1", "yuv420p", options={"level": "3", "slicecrc": "1"}),
    "prores": Codec("prores_ks", "yuv422p10le"),
    "dnxhd": Codec("dnxhd", "yuv422p", options={"profile": "dnxhr_sq"}),
    "raw": Codec("rawvideo", "yuv420p"),
}


def whole(of: Path, codec: Codec, path: Path) -> list[bytes]:
    """Record a camera that moves a little over a picture; the packets."""
    with Image.open(of) as opened:
        pixels = np.asarray(opened.convert("RGB").resize((WIDTH + 2 * FRAMES, HEIGHT + FRAMES)))
    packets = []
    with av.open(str(path), "w", format="matroska") as file:
        stream = file.add_stream(codec.encoder, rate=25, options=dict(codec.options))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, codec.pixels
        if codec.bit_rate:
            stream.bit_rate = codec.bit_rate
        shown = (np.ascontiguousarray(pixels[k : k + HEIGHT, 2 * k : 2 * k + WIDTH]) for k in range(FRAMES))
        for frame in (*(av.VideoFrame.from_ndarray(each, format="rgb24") for each in shown), None):
            for packet in stream.encode(frame):
                packets.append(bytes(packet))
                file.mux(packet)
    return packets


def frames(path: Path) -> list[np.ndarray]:
    """Those that count."""
    found: list[np.ndarray] = []
    try:
        with Recording(path) as recording:
            while True:
                try:
                    frame = recording.read()
                except FrameUnreadable:
                    continue
                if frame is None:
                    return found
                found.append(frame.pixels)
    except Exception as error:
        print("   ", str(error)[:150])
        return found


def bit(part: bytearray, rng: random.Random) -> None:
    """One wrong bit."""
    part[rng.randrange(len(part))] ^= 1 << rng.randrange(8)


def bits(part: bytearray, rng: random.Random) -> None:
    """Four within 16 bytes."""
    at = rng.randrange(len(part))
    for _ in range(4):
        part[min(at + rng.randrange(16), len(part) - 1)] ^= 1 << rng.randrange(8)


def others(part: bytearray, rng: random.Random) -> None:
    """Eight other bytes."""
    at = rng.randrange(max(1, len(part) - 8))
    part[at : at + 8] = rng.randbytes(len(part[at : at + 8]))


def zeros(part: bytearray, rng: random.Random) -> None:
    """A sector."""
    at = rng.randrange(max(1, len(part) - 512))
    part[at : at + 512] = bytes(len(part[at : at + 512]))


def ones(part: bytearray, rng: random.Random) -> None:
    """A sector of erased flash."""
    at = rng.randrange(max(1, len(part) - 512))
    part[at : at + 512] = b"\xff" * len(part[at : at + 512])


DAMAGES = (bit, bits, others, zeros, ones)


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--copies", type=int, default=50, help="of each codec")
    parser.add_argument("--codecs", nargs="+", choices=list(CODECS), default=list(CODECS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    pictures = sorted(options.folder.iterdir())
    with tempfile.TemporaryDirectory() as folder, Screener(open_bundle(), reject_repeats=False, threads=1) as screener:

        def outcome(pixels: np.ndarray) -> Outcome:
            return screener.screen(Frame(pixels, 0, "frame")).outcome

        for name in options.codecs:
            began, found, most = time.monotonic(), Counter[tuple[str, str]](), dict[str, float]()
            for number in range(options.copies):
                rng = random.Random(f"{options.seed} {name} {number}")
                if number % 10 == 0:
                    path = Path(folder) / "whole.mkv"
                    packets = whole(rng.choice(pictures), CODECS[name], path)
                    data, good = path.read_bytes(), frames(path)
                    if len(good) < FRAMES:
                        print(f"{name}: {len(good)} of {FRAMES} frames of the whole video count")
                damage = DAMAGES[number % len(DAMAGES)]
                packet = rng.choice(packets)
                at = data.find(packet)
                part = bytearray(packet)
                damage(part, rng)
                copy = Path(folder) / "copy.mkv"
                copy.write_bytes(data[:at] + part + data[at + len(packet) :])
                levels, other = 0.0, False
                for got in frames(copy):
                    off = [float(np.abs(one.astype(np.int16) - got).mean()) for one in good]
                    nearest = int(np.argmin(off))
                    levels = max(levels, off[nearest])
                    if off[nearest] > 0 and not other:
                        pair = {outcome(good[nearest]), outcome(got)}
                        other = pair == {Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS}
                kind = damage.__name__
                found[kind, "copies"] += 1
                found[kind, "off"] += levels > 0
                found[kind, "seen"] += levels > 1
                found[kind, "other"] += other
                most[kind] = max(most.get(kind, 0.0), levels)
                if options.keep and levels > 1:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    (options.keep / f"{name}-{number}-{kind}.mkv").write_bytes(copy.read_bytes())
                    (options.keep / f"{name}-{number}-{kind}-whole.mkv").write_bytes(data)
            for damage in DAMAGES:
                kind = damage.__name__
                told = ", ".join(f"{what} {found[kind, what]}" for what in ("copies", "off", "seen", "other"))
                print(f"{name:14} {kind:7} {told}; most {most.get(kind, 0):.2f} levels", flush=True)
            print(f"  {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
