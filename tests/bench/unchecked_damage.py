"""How many damaged copies of referred frames read NO REFERRAL FINDINGS in formats that hold no check sums.

    python -m tests.bench.unchecked_damage ../shared/data/hvdropdb_ridge/images --copies 2000 --log copies.jsonl

PPM, BMP, uncompressed and LZW TIFF, uncompressed DICOM and AVI of raw pictures, damaged as disks and copies do it:
sectors of zeros, of 0xFF, of noise, of another picture, of the same one's other place, bytes that are missing with all
after them moved, one wrong bit. The same seed gives the same copies; with `--log` a run that was broken off goes on.
Exit code 1 when any reads NO REFERRAL FINDINGS.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from PIL import Image
from pydicom.uid import ExplicitVRLittleEndian

from device import Frame, FrameUnreadable
from device.cameras.files import decode
from device.cameras.video import Recording
from runtime import Outcome, Screener, open_bundle
from tests.bench.damaged_pictures import unpacked_dicom

LENGTHS = (512, 4096, 8192, 16384, 65536, 131072)
HEADER_BYTES = 2048
"""Damage begins after so many: what a torn header does is another question."""


def _pillow(kind: str, **settings: object) -> Callable[[Image.Image], bytes]:
    def write(shown: Image.Image) -> bytes:
        buffer = io.BytesIO()
        shown.save(buffer, kind, **settings)
        return buffer.getvalue()

    return write


def _raw_avi(shown: Image.Image) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="avi") as file:
        stream = file.add_stream("rawvideo", rate=25)
        stream.width, stream.height = (side // 4 * 4 for side in shown.size)
        stream.pix_fmt = "yuyv422"
        pixels = np.ascontiguousarray(np.asarray(shown)[: stream.height, : stream.width])
        file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode(None))
    return buffer.getvalue()


FORMATS: dict[str, Callable[[Image.Image], bytes]] = {
    "ppm": _pillow("PPM"),
    "bmp": _pillow("BMP"),
    "raw.tif": _pillow("TIFF"),
    "lzw.tif": _pillow("TIFF", compression="tiff_lzw"),
    "dcm": unpacked_dicom(ExplicitVRLittleEndian),
    "raw.avi": _raw_avi,
}


@dataclass(frozen=True)
class Place:
    """Where a copy is damaged, and what the bytes of another picture of the same format are."""

    at: int
    length: int
    other: bytes
    rng: random.Random


def zeros(data: bytearray, p: Place) -> None:
    """A sector that was never written."""
    data[p.at : p.at + p.length] = bytes(len(data[p.at : p.at + p.length]))


def ones(data: bytearray, p: Place) -> None:
    """A sector of erased flash."""
    data[p.at : p.at + p.length] = b"\xff" * len(data[p.at : p.at + p.length])


def noise(data: bytearray, p: Place) -> None:
    """A sector of some other file's."""
    data[p.at : p.at + p.length] = p.rng.randbytes(len(data[p.at : p.at + p.length]))


def same_place(data: bytearray, p: Place) -> None:
    """A sector of a picture that lay there before."""
    part = p.other[p.at : p.at + p.length]
    data[p.at : p.at + len(part)] = part[: max(0, len(data) - p.at)]


def other_place(data: bytearray, p: Place) -> None:
    """A sector of another picture's other place."""
    end = min(p.at + p.length, len(data))
    begin = p.rng.randrange(HEADER_BYTES, max(HEADER_BYTES + 1, len(p.other) - p.length))
    part = p.other[begin : begin + end - p.at]
    data[p.at : p.at + len(part)] = part


def repeated(data: bytearray, p: Place) -> None:
    """A sector that holds what the one before it holds."""
    begin = max(HEADER_BYTES, p.at - p.length)
    part = data[begin : begin + min(p.length, len(data) - p.at)]
    data[p.at : p.at + len(part)] = part


def moved(data: bytearray, p: Place) -> None:
    """Some bytes never came, all after them moved up, zeros at the end."""
    gap = p.rng.choice((1, 2, 3, 64, 300, 512, 1400, 4096))
    del data[p.at : p.at + gap]
    data.extend(bytes(gap))


def bit(data: bytearray, p: Place) -> None:
    """One wrong bit."""
    data[p.at] ^= 1 << p.rng.randrange(8)


DAMAGES: tuple[Callable[[bytearray, Place], None], ...] = (
    zeros,
    ones,
    noise,
    same_place,
    other_place,
    repeated,
    moved,
    bit,
)


def pixels_of(path: Path) -> np.ndarray:
    """The first frame as the commands read it. Raises `FrameUnreadable`."""
    if path.suffix != ".avi":
        return decode(path)
    with Recording(path) as recording:
        frame = recording.read()
    if frame is None:
        raise FrameUnreadable("no frame", source=path.name, sequence=0)
    return frame.pixels


def main() -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--copies", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long, whatever is left")
    parser.add_argument("--log", type=Path, metavar="FILE", help="a line for each copy; those in it are not done again")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the copies that read so there")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    log = options.log
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log and log.exists() else []
    done = {line["copy"] for line in lines}
    pictures = sorted(options.folder.iterdir())
    with tempfile.TemporaryDirectory() as folder, Screener(open_bundle(), reject_repeats=False, threads=1) as screener:

        def reading(path: Path) -> tuple[str, str]:
            try:
                pixels = pixels_of(path)
            except Exception as error:
                return "unreadable", str(error).partition(": ")[2][:80]
            read = screener.screen(Frame(pixels, 0, path.name))
            return read.outcome.value, read.reason or ""

        for number in range(options.copies):
            if number in done:
                continue
            if time.monotonic() > until:
                break
            rng = random.Random(f"{options.seed} {number}")
            of, another = rng.sample(pictures, 2)
            name, damage = rng.choice(list(FORMATS)), rng.choice(DAMAGES)
            path = Path(folder) / f"copy.{name}"
            with Image.open(of) as one, Image.open(another) as two:
                whole, other = (FORMATS[name](shown.convert("RGB")) for shown in (one, two))
            path.write_bytes(whole)
            before = reading(path)[0]
            line: dict[str, object] = {"copy": number, "of": of.name, "format": name, "damage": damage.__name__}
            if before == Outcome.REFER.value:
                data, length = bytearray(whole), rng.choice(LENGTHS)
                at = rng.randrange(HEADER_BYTES, len(data)) // 512 * 512
                damage(data, Place(at, length, other, rng))
                path.write_bytes(data)
                line |= {"length": length, "at": at / len(data)}
                line["got"], line["why"] = reading(path)
                if options.keep and line["got"] == Outcome.NO_REFERRAL_FINDINGS.value:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    (options.keep / f"{number}-{damage.__name__}-{of.stem}.{name}").write_bytes(data)
            lines.append(line)
            if log:
                with log.open("a") as file:
                    file.write(json.dumps(line) + "\n")
    found = Counter((line["damage"], line.get("length"), line["got"]) for line in lines if "got" in line)
    for key, count in sorted(found.items(), key=str):
        print(*(f"{part!s:14}" for part in key), count)
    wrong = [line for line in lines if line.get("got") == Outcome.NO_REFERRAL_FINDINGS.value]
    for line in wrong:
        print("NO REFERRAL FINDINGS:", line)
    print(f"{sum(found.values())} damaged copies of referred frames, {len(wrong)} read NO REFERRAL FINDINGS")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
