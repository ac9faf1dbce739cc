"""`python -m device grab SOURCE -n 10 --out DIR`: frames as PNG without metadata, each with a JSON beside it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from device.commands.common import SOURCES, OutputUnusable, parser, positive, up_to
from device.errors import FrameUnreadable
from device.outputs import write_whole
from device.shown import printable

if TYPE_CHECKING:
    from device.frame import Frame

SCHEMA = "rop.frame/1"


def main(words: Sequence[str]) -> int:
    made = parser("grab", "Write frames as they come, none left out: PNG files (no metadata), a JSON file beside each.")
    made.add_argument("source", metavar="SOURCE", help=SOURCES)
    made.add_argument(
        "-n", dest="frames", type=up_to(10**6), default=10, metavar="N", help="how many frames (default: 10)"
    )
    made.add_argument("--out", type=Path, default=Path("frames"), metavar="DIR", help="folder (default: frames)")
    made.add_argument(
        "--timeout", type=positive, default=10.0, metavar="S", help="wait for a good frame (default: 10 s)"
    )
    options = made.parse_args(words)
    from device.commands.frames import frames_of
    from device.live import open_source

    with open_source(options.source) as camera:
        _prepare(options.out)
        written, written_s = 0, time.monotonic()
        with frames_of(camera, options.timeout) as frames:
            for frame in frames:
                if isinstance(frame, FrameUnreadable):
                    if camera.live and time.monotonic() - written_s > options.timeout:
                        raise frame  # a frozen or torn picture without end
                    print(printable(f"device grab: {frame}"), file=sys.stderr)
                    continue
                print(printable(str(write_frame(frame, options.out))))
                written, written_s = written + 1, time.monotonic()
                if written == options.frames:
                    return 0
    print(f"device grab: got {written} frames, expected {options.frames}: the source has ended", file=sys.stderr)
    return 1


def write_frame(frame: Frame, folder: Path) -> Path:
    """Write `000012.png` and `000012.json`; each is there whole or not at all. Raises `OutputUnusable`."""
    import cv2

    path = folder / f"{frame.sequence:06d}.png"
    coded, png = cv2.imencode(".png", cv2.cvtColor(frame.pixels, cv2.COLOR_RGB2BGR))
    if not coded:
        raise OutputUnusable(f"{path.name}: OpenCV cannot write a PNG of {frame.width} x {frame.height}")
    facts = {
        "schema": SCHEMA,
        "file": path.name,
        "source": frame.source,
        "sequence": frame.sequence,
        "captured_at": frame.captured_at.isoformat(),
        "captured_ns": frame.captured_ns,
        "sha256": frame.sha256,
        "width": frame.width,
        "height": frame.height,
    }
    _write(path, png.tobytes())
    _write(path.with_suffix(".json"), json.dumps(facts, indent=2).encode() + b"\n")
    return path


def _prepare(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        earlier = next((path for path in folder.iterdir() if path.suffix == ".png"), None)
    except OSError as error:
        raise OutputUnusable(f"{folder}: {error.strerror}; name a folder that can be written") from error
    if earlier is not None:
        raise OutputUnusable(f"{folder}: holds {earlier.name} already; name another folder with --out")


def _write(path: Path, data: bytes) -> None:
    try:
        write_whole(path, data)
    except OSError as error:
        raise OutputUnusable(f"{path}: {error.strerror}; free space there or name another folder") from error
