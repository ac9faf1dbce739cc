"""How many damaged copies of readable frames still get another outcome, and how many harmless ones are refused.

    python tests/bench/damaged_pictures.py ../shared/data/hvdropdb_ridge/images --copies 10000 --log copies.jsonl

Copies are damaged by holes of zeros, of 0xFF and of noise, cuts, flipped bits, other bytes, lost and doubled packets:
files of JPEG (baseline, progressive, restart markers, MPO, CMYK), WebP, JPEG 2000, TIFF, PNG and DICOM, and videos, of
which every frame is one copy. `--formats as-they-are` damages the folder's own files, for what is not written here
(arithmetic JPEG, HTJ2K). The same seed gives the same copies, each by its own number, so that with `--log` a run that
was broken off goes on where it was. A frame whose whole copy gets no outcome is left out. Exit code 1 when any damaged
copy gets the other outcome.
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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
import pydicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from device import Frame, FrameUnreadable
from device.cameras.files import decode
from device.cameras.video import Recording
from runtime import Outcome, Screener, open_bundle

COUNTS = (Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS)
UNDAMAGED_LEVELS = 1.0
"""A mean difference under this is not seen."""
VIDEO_FRAMES, GROUP = 6, 3
IN_A_ROW = 25
"""So many copies of one picture follow each other."""
_JPEG: dict[str, object] = {"quality": 92}
_J2K: dict[str, object] = {"quality_mode": "rates", "quality_layers": [12], "irreversible": True}


def picture(kind: str, **settings: object) -> Callable[[Image.Image], bytes]:
    """Writes a picture with Pillow."""

    def write(shown: Image.Image) -> bytes:
        buffer = io.BytesIO()
        shown.save(buffer, kind, **settings)
        return buffer.getvalue()

    return write


def cmyk(shown: Image.Image) -> bytes:
    """A JPEG in CMYK."""
    return picture("JPEG", **_JPEG)(shown.convert("CMYK"))


def transparent(shown: Image.Image) -> bytes:
    """A lossy WebP with transparency, of a corner."""
    clear = shown.convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 0))
    return picture("WEBP", quality=90)(clear)


def mpo(shown: Image.Image) -> bytes:
    """A JPEG with a preview of half the size behind it."""
    preview = shown.resize((shown.width // 2, shown.height // 2))
    return picture("MPO", save_all=True, append_images=[preview], **_JPEG)(shown)


def unpacked_dicom(syntax: str) -> Callable[[Image.Image], bytes]:
    """Writes a DICOM object of pixels, packed without loss by pydicom where the syntax says so."""

    def write(shown: Image.Image) -> bytes:
        data = pydicom.Dataset()
        data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.5.1", "1.2.3"
        data.Columns, data.Rows = shown.size
        data.SamplesPerPixel, data.PlanarConfiguration, data.PhotometricInterpretation = 3, 0, "RGB"
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
        data.PixelData = np.asarray(shown).tobytes()
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        if syntax != ExplicitVRLittleEndian:
            data.compress(syntax, generate_instance_uid=False)
        buffer = io.BytesIO()
        data.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()

    return write


def dicom(syntax: str, write: Callable[[Image.Image], bytes]) -> Callable[[Image.Image], bytes]:
    """Writes a DICOM object of a compressed picture."""

    def wrapped(shown: Image.Image) -> bytes:
        data = pydicom.Dataset()
        data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.77.1.5.1", "1.2.3"
        data.Columns, data.Rows = shown.size
        data.SamplesPerPixel, data.PlanarConfiguration = 3, 0
        kinds = {JPEGBaseline8Bit: "YBR_FULL_422", JPEG2000Lossless: "YBR_RCT"}
        data.PhotometricInterpretation = kinds.get(UID(syntax), "YBR_ICT")
        data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
        data.PixelData = encapsulate([write(shown)])
        data["PixelData"].is_undefined_length = True
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.TransferSyntaxUID = UID(syntax)
        buffer = io.BytesIO()
        data.save_as(buffer, enforce_file_format=True)
        return buffer.getvalue()

    return wrapped


def video(codec: str, container: str, **options: str) -> Callable[[Image.Image], bytes]:
    """Writes a video of a camera that moves a little."""

    def write(shown: Image.Image) -> bytes:
        buffer, pixels = io.BytesIO(), np.asarray(shown)
        height, width = (side // 2 * 2 - 16 for side in pixels.shape[:2])
        with av.open(buffer, "w", format=container) as file:
            stream = file.add_stream(codec, rate=25, options=options)
            stream.width, stream.height = width, height
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for k in range(VIDEO_FRAMES):
                moved = np.ascontiguousarray(pixels[k : k + height, 2 * k : 2 * k + width])
                file.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
            file.mux(stream.encode(None))
        return buffer.getvalue()

    return write


_X265 = f"keyint={GROUP}:min-keyint={GROUP}:bframes=0:log-level=none:pools=1"
FORMATS: dict[str, Callable[[Image.Image], bytes]] = {
    "baseline.jpg": picture("JPEG", **_JPEG),
    "progressive.jpg": picture("JPEG", progressive=True, **_JPEG),
    "lossy.webp": picture("WEBP", quality=90),
    "lossy.jp2": picture("JPEG2000", **_J2K),
    "jpeg.dcm": dicom(JPEGBaseline8Bit, picture("JPEG", **_JPEG)),
    "j2k.dcm": dicom(JPEG2000, picture("JPEG2000", no_jp2=True, **_J2K)),
    "mjpeg.avi": video("mjpeg", "avi", qmin="2", qmax="3"),
    "h264.mp4": video("libx264", "mp4", crf="20", g=str(GROUP), bf="0", threads="1"),
    "h265.mkv": video("libx265", "matroska", **{"crf": "20", "x265-params": _X265}),
    "restart.jpg": picture("JPEG", restart_marker_rows=1, **_JPEG),
    "restart-progressive.jpg": picture("JPEG", progressive=True, restart_marker_rows=1, **_JPEG),
    "full-colour.jpg": picture("JPEG", quality=80, subsampling=0, optimize=True),
    "cmyk.jpg": cmyk,
    "mpo.jpg": mpo,
    "lossless.webp": picture("WEBP", lossless=True),
    "transparent.webp": transparent,
    "lossless.jp2": picture("JPEG2000", irreversible=False),
    "tiles.jp2": picture("JPEG2000", tile_size=(256, 256), **_J2K),
    "picture.png": picture("PNG"),
    "jpeg.tif": picture("TIFF", compression="jpeg", quality=92),
    "lzw.tif": picture("TIFF", compression="tiff_lzw"),
    "deflate.tif": picture("TIFF", compression="tiff_adobe_deflate"),
    "raw.dcm": unpacked_dicom(ExplicitVRLittleEndian),
    "rle.dcm": unpacked_dicom(RLELossless),
    "jpegls.dcm": unpacked_dicom(JPEGLSLossless),
    "lossless-j2k.dcm": dicom(JPEG2000Lossless, picture("JPEG2000", no_jp2=True, irreversible=False)),
    "h264-slices.mkv": video("libx264", "matroska", crf="20", g=str(GROUP), bf="2", slices="4", threads="1"),
    "h264.ts": video("libx264", "mpegts", crf="20", g=str(GROUP), bf="0", threads="1"),
    "h265-b.mp4": video("libx265", "mp4", **{"crf": "20", "x265-params": _X265.replace("bframes=0", "bframes=2")}),
    "mpeg2.mpg": video("mpeg2video", "mpeg", g=str(GROUP), qmin="2", qmax="4"),
    "vp8.webm": video("libvpx", "webm", g=str(GROUP), crf="8", b="4M", deadline="realtime"),
    "av1.mkv": video("libsvtav1", "matroska", crf="25", preset="12", g=str(GROUP)),
    "as-they-are": lambda shown: b"",
}
VIDEOS = tuple(name for name in FORMATS if name.endswith((".avi", ".mp4", ".mkv", ".ts", ".mpg", ".webm")))


def hole(data: bytearray, rng: random.Random) -> None:
    """Zeros where a sector of a disk was not written."""
    length = rng.choice((512, 4096, 8192))
    at = rng.randrange(len(data) // 8, len(data))
    data[at : at + length] = bytes(len(data[at : at + length]))


def cut(data: bytearray, rng: random.Random) -> None:
    """The rest is missing, the end is there."""
    end = data[-2:]
    del data[rng.randrange(len(data) // 8, len(data) - 2) :]
    data += end


def flip(data: bytearray, rng: random.Random) -> None:
    """One wrong bit."""
    data[rng.randrange(len(data) // 50, len(data))] ^= 1 << rng.randrange(8)


def packet(data: bytearray, rng: random.Random) -> None:
    """A packet of a network that never came."""
    at = rng.randrange(len(data) // 8, len(data))
    del data[at : at + 1400]


def doubled(data: bytearray, rng: random.Random) -> None:
    """A packet that came twice."""
    at = rng.randrange(len(data) // 8, len(data))
    data[at:at] = data[at : at + 1400]


def erased(data: bytearray, rng: random.Random) -> None:
    """A sector of erased flash."""
    at = rng.randrange(len(data) // 8, len(data))
    data[at : at + 512] = b"\xff" * len(data[at : at + 512])


def noise(data: bytearray, rng: random.Random) -> None:
    """A sector of another file."""
    length, at = rng.choice((512, 4096)), rng.randrange(len(data) // 8, len(data))
    data[at : at + length] = rng.randbytes(len(data[at : at + length]))


def moved(data: bytearray, rng: random.Random) -> None:
    """A sector of another place of the file."""
    at, of = rng.randrange(len(data) // 8, len(data)), rng.randrange(len(data))
    data[at : at + 512] = data[of : of + len(data[at : at + 512])]


def others(data: bytearray, rng: random.Random) -> None:
    """Four other bytes."""
    at = rng.randrange(len(data) // 50, len(data) - 4)
    data[at : at + 4] = rng.randbytes(4)


def gap(data: bytearray, rng: random.Random) -> None:
    """A few zeros, too few to be a run."""
    at = rng.randrange(len(data) // 50, len(data) - 16)
    data[at : at + 16] = bytes(16)


DAMAGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    *(hole, cut, flip, packet, doubled, erased, noise, moved, others, gap),
)


@dataclass(frozen=True)
class Shown:
    """A frame of a whole copy."""

    pixels: np.ndarray
    outcome: Outcome


class Copies:
    """Whole copies with their outcomes, made once each; those of one picture are kept."""

    def __init__(self, folder: Path, screener: Screener) -> None:
        self._folder, self._screener = folder, screener
        self._made: dict[tuple[Path, str], tuple[bytes, list[Shown]]] = {}

    def whole(self, of: Path, name: str) -> tuple[bytes, list[Shown]]:
        """The bytes, and the frames with an outcome."""
        if (of, name) not in self._made:
            self._made = {made: kept for made, kept in self._made.items() if made[0] == of}
            if name == "as-they-are":
                data = of.read_bytes()
            else:
                with Image.open(of) as opened:
                    data = FORMATS[name](opened.convert("RGB"))
            frames = [Shown(f, self.outcome(f)) for f in self.frames(name, data) if not isinstance(f, str)]
            self._made[of, name] = data, [frame for frame in frames if frame.outcome in COUNTS]
        return self._made[of, name]

    def outcome(self, pixels: np.ndarray) -> Outcome:
        """What the frame gets."""
        return self._screener.screen(Frame(pixels, 0, "frame")).outcome

    def frames(self, name: str, data: bytes) -> Iterator[np.ndarray | str]:
        """The frames of a copy as the commands read them, or why there is none."""
        path = self._folder / name
        path.write_bytes(data)
        if name not in VIDEOS:
            try:
                yield decode(path)
            except FrameUnreadable as error:
                yield str(error)
            return
        try:
            with Recording(path) as recording:
                while True:
                    try:
                        frame = recording.read()
                    except FrameUnreadable as error:
                        yield str(error)
                        continue
                    if frame is None:
                        return
                    yield frame.pixels
        except Exception as error:
            yield str(error)


def judged(copies: Copies, whole: list[Shown], got: np.ndarray) -> str:
    """What became of a frame that was read: it is held against the whole one that it is most like."""
    alike = [frame for frame in whole if frame.pixels.shape == got.shape]
    if not alike:
        return "read, of another size"
    nearest = min(alike, key=lambda frame: _levels(frame.pixels, got))
    if np.array_equal(nearest.pixels, got):
        return "read, not a bit different"
    other = copies.outcome(got)
    if other in COUNTS and other is not nearest.outcome:
        return f"OTHER OUTCOME ({other.value}; {_levels(nearest.pixels, got):.2f} levels)"
    return "read, same outcome"


def _levels(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(np.int16) - other).mean())


def main() -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--copies", type=int, default=300, help="damaged files (default: 300)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--formats", nargs="+", choices=list(FORMATS), default=list(FORMATS), metavar="NAME")
    parser.add_argument("--damages", nargs="+", choices=[each.__name__ for each in DAMAGES], metavar="KIND")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long, whatever is left")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the copies with the other outcome there")
    parser.add_argument("--log", type=Path, metavar="FILE", help="a line for each copy; those in it are not done again")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    pictures = sorted(options.folder.iterdir())[:40]
    lines = [json.loads(line) for line in options.log.read_text().splitlines()] if _there(options.log) else []
    done = {line["copy"] for line in lines}
    damages = [each for each in DAMAGES if each.__name__ in (options.damages or [each.__name__])]
    with tempfile.TemporaryDirectory() as folder, Screener(open_bundle(), reject_repeats=False, threads=1) as screener:
        copies = Copies(Path(folder), screener)
        for number in range(options.copies):
            if number in done or time.monotonic() > until:
                continue
            rng = random.Random(f"{options.seed} {number}")
            of, name = pictures[number // IN_A_ROW % len(pictures)], rng.choice(options.formats)
            lines.append({"copy": number, **one_copy(copies, of, name, rng, damages, options.keep)})
            if options.log:
                with options.log.open("a") as log:
                    log.write(json.dumps(lines[-1]) + "\n")
    return report(lines)


def _there(log: Path | None) -> bool:
    return log is not None and log.exists()


def one_copy(
    copies: Copies, of: Path, name: str, rng: random.Random, damages: list[Callable[..., None]], keep: Path | None
) -> dict[str, object]:
    """What became of each frame of a damaged copy: `frames` is pairs of words and, of what was refused, why."""
    data, whole = copies.whole(of, name)
    damage, broken = rng.choice(damages), bytearray(data)
    damage(broken, rng)
    frames: list[tuple[str, str]] = []
    for got in copies.frames(name, bytes(broken)) if whole else ():
        if not isinstance(got, str):
            frames.append((judged(copies, whole, got), ""))
            continue
        levels = 255.0 if name in VIDEOS else forgiven(name, bytes(broken), whole[0].pixels)
        what = "refused"
        if levels < UNDAMAGED_LEVELS:
            what += ", undamaged to the eye" if levels else ", not a bit different"
        frames.append((what, got.partition(": ")[2][:90]))
    if keep and any(what.startswith("OTHER") for what, _ in frames):
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{of.stem}-{damage.__name__}-{rng.randrange(10**6)}-{name}").write_bytes(broken)
        (keep / f"{of.stem}-whole-{name}").write_bytes(data)
    return {"of": of.name, "format": name, "damage": damage.__name__, "frames": frames}


def report(lines: list[dict[str, Any]]) -> int:
    """Print the table; 1 when any copy got the other outcome."""
    found: Counter[tuple[str, str, str]] = Counter()
    whys: Counter[str] = Counter()
    for line in lines:
        for what, why in line["frames"]:
            found[line["format"], line["damage"], what.partition(" (")[0]] += 1
            if what.startswith("refused,"):
                whys[f"{line['format']}, {line['damage']}: {why}"] += 1
            elif what.startswith("OTHER"):
                print(f"copy {line['copy']}, {line['of']}, {line['format']}, {line['damage']}: {what}")
    for (name, kind, what), number in sorted(found.items()):
        print(f"{name:16} {kind:7} {what:44} {number}")
    for why, number in whys.most_common():
        print(f"  undamaged to the eye, {number}: {why}")
    files, frames, wrong = sum(bool(line["frames"]) for line in lines), sum(found.values()), 0
    wrong = sum(number for (_, _, what), number in found.items() if what.startswith("OTHER"))
    print(f"{files} files, {frames} frames: {wrong} with the other outcome, {sum(whys.values())} undamaged and refused")
    return 1 if wrong else 0


def forgiven(name: str, data: bytes, whole: np.ndarray) -> float:
    """By how many levels what a forgiving decoder makes of it differs from the whole one, on average."""
    try:
        if name.endswith(".dcm"):
            pixels = np.asarray(pydicom.dcmread(io.BytesIO(data)).pixel_array)
        else:
            with Image.open(io.BytesIO(data)) as shown:
                pixels = np.asarray(shown.convert("RGB"))
    except Exception:  # not even that
        return 255.0
    return _levels(pixels, whole) if pixels.shape == whole.shape else 255.0


if __name__ == "__main__":
    sys.exit(main())
