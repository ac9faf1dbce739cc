"""Prints how far each pixel format is from the RGB way, in levels, outcomes and time: `python -m tests.bench.formats`.

The RGB way is the picture that an exact converter makes of the same bytes (floating point, nearest chroma): what a
camera loses as it halves the chroma is lost before either way begins. Outcomes are of the daemon, which is started with
the demonstration bundle; time is processor time of one thread for what differs: from the bytes to the networks' input,
and the SHA-256.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import simplejpeg

from device.pixels import ColourMatrix, GivenFrame, Lying, PixelFormat, Range, frame_of
from runtime.daemon.client import Client
from runtime.daemon.measure import started
from runtime.daemon.messages import FrameOrder
from runtime.preprocess import network_input, reduction
from tests.device.test_pixels import Pixels, exact_rgb, laid_out, to_yuv
from tests.pictures import retina, stored_bgr

YUV = (PixelFormat.NV12, PixelFormat.YUYV, PixelFormat.UYVY)
WAYS = [(m, r) for m in (ColourMatrix.BT601, ColourMatrix.BT709) for r in (Range.LIMITED, Range.FULL)]


def given(
    picture: Pixels, pixel_format: PixelFormat, way: tuple[ColourMatrix, Range]
) -> tuple[Pixels, Pixels, dict[str, Any]]:
    """A picture's bytes in a format, the RGB that is exactly theirs, and what SUBMIT says of them."""
    if pixel_format is PixelFormat.RGBX8:
        return np.dstack((picture, picture[..., 0])).reshape(-1), picture, {}
    if pixel_format is PixelFormat.JPEG:
        file = simplejpeg.encode_jpeg(picture, quality=95, colorspace="RGB", colorsubsampling="420")
        return np.frombuffer(file, np.uint8), simplejpeg.decode_jpeg(file), {"data_bytes": len(file)}
    yuv = to_yuv(picture, *way)
    data = laid_out(yuv, pixel_format, picture.shape[1] * (1 if pixel_format is PixelFormat.NV12 else 2))
    return data, exact_rgb(yuv, pixel_format, *way), {"matrix": way[0], "levels": way[1]}


def infants(folders: list[Path], at_most: int) -> Iterator[Pixels]:
    files = sorted(file for folder in folders for file in folder.rglob("images/*") if file.suffix in (".jpg", ".png"))
    for file in files[:: max(len(files) // at_most, 1)][:at_most]:
        picture = stored_bgr(file)[..., ::-1]
        yield np.ascontiguousarray(picture[: picture.shape[0] // 2 * 2, : picture.shape[1] // 2 * 2])


def outcome(client: Client, data: Pixels, picture: Pixels, pixel_format: PixelFormat, **said: Any) -> tuple[str, float]:
    slot = client.free_slot()
    assert slot is not None
    client.fill(slot, data)
    client.submit(slot, picture.shape[1], picture.shape[0], pixel_format=pixel_format, **said)
    result = client.result()
    return result.outcome.name, max(result.probabilities)


def compare(folders: list[Path], at_most: int) -> None:
    asked, same, worst = Counter[str](), Counter[str](), Counter[str]()
    moved: defaultdict[str, float] = defaultdict(float)
    beyond = dict.fromkeys((f.name for f in (*YUV, PixelFormat.RGBX8, PixelFormat.JPEG)), 0.0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        command = [sys.executable, "-m", "runtime.daemon", "--socket", str(path)]
        with started(command, path):
            for number, picture in enumerate(infants(folders, at_most)):
                with Client(
                    path, slots=2, slot_bytes=4 * picture.nbytes, order=FrameOrder.EVERY, stored_pictures=True
                ) as client:
                    for pixel_format in (*YUV, PixelFormat.RGBX8, PixelFormat.JPEG):
                        data, exact, said = given(picture, pixel_format, WAYS[number % 4])
                        wanted, sure = outcome(client, exact, picture, PixelFormat.RGB8)
                        got, other = outcome(client, data, picture, pixel_format, **said)
                        name = pixel_format.name
                        asked[name] += 1
                        same[name] += wanted == got
                        if wanted != got:
                            print(
                                f"  picture {number} ({picture.shape[1]} x {picture.shape[0]}), {name}: {wanted}, {got}"
                            )
                        moved[name] = max(moved[name], abs(sure - other)) if wanted == got else moved[name]
                        if pixel_format is not PixelFormat.JPEG:
                            off = levels(data, picture, pixel_format, said, exact)
                            worst[name] = max(worst[name], int(off.max()))
                            beyond[name] += float((off > 1).mean())
    for name, count in asked.items():
        share = beyond[name] / count
        print(
            f"{name}: outcomes {same[name]} of {count}; a probability moved by {moved[name]:.4f} at most; "
            f"levels at the networks' input: {worst[name]} at most, above 1 in {share:.2%} of places"
        )


def levels(data: Pixels, picture: Pixels, pixel_format: PixelFormat, said: dict[str, Any], exact: Pixels) -> Pixels:
    seen = network_input(read(data, picture, pixel_format, said).pixels).astype(int)
    return np.asarray(np.abs(seen - network_input(exact)))


def read(data: Pixels, picture: Pixels, pixel_format: PixelFormat, said: dict[str, Any]) -> GivenFrame:
    """As the daemon takes it."""
    height, width = picture.shape[:2]
    row = width * {PixelFormat.NV12: 1, PixelFormat.RGBX8: 4, PixelFormat.RGB8: 3}.get(pixel_format, 2)
    lying = Lying(
        pixel_format, width, height, row, said.get("matrix", ColourMatrix.NONE), said.get("levels", Range.NONE)
    )
    return frame_of(data, lying, 0, "bench", 0, datetime.now(timezone.utc), 0.0, reduction(picture) % 2 == 0)


def timed(side: int, times: int) -> None:
    cv2.setNumThreads(1)
    picture = retina(3, width=side, height=side)
    ways: dict[PixelFormat, tuple[Pixels, Pixels, dict[str, Any]]] = {
        PixelFormat.RGB8: (picture.reshape(-1), picture, {})
    }
    ways |= {f: given(picture, f, WAYS[2]) for f in (*YUV, PixelFormat.RGBX8)}
    taken: dict[PixelFormat, list[tuple[float, float]]] = {f: [] for f in ways}
    for _ in range(times):
        for pixel_format, (data, _, said) in ways.items():
            start = time.thread_time()
            seen = read(data, picture, pixel_format, said)
            network_input(seen.pixels)
            made = time.thread_time()
            assert seen.sha256
            taken[pixel_format].append(((time.thread_time() - made) * 1e3, (made - start) * 1e3))
    print(f"{side} x {side}, to the networks' input and SHA-256; in brackets the least, as of a quiet machine")
    plain = np.asarray(taken[PixelFormat.RGB8])
    for pixel_format, values in taken.items():
        (digest, made), (least_digest, least_made) = np.median(values, axis=0), np.min(values, axis=0)
        on_top = np.median((values - plain).sum(axis=1))
        least_on_top = least_digest + least_made - plain.min(axis=0).sum()
        print(
            f"{pixel_format.name}: {made:.2f} ({least_made:.2f}) and {digest:.2f} ({least_digest:.2f}) ms, "
            f"on top of RGB8 {on_top:+.2f} ({least_on_top:+.2f}) ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="data sets with pictures under images/")
    parser.add_argument("--at-most", type=int, default=100)
    parser.add_argument("--times", type=int, default=60)
    options = parser.parse_args()
    timed(2040, options.times)
    if options.folders:
        compare(options.folders, options.at_most)


if __name__ == "__main__":
    main()
