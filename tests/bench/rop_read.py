"""Holds rop-read against Python on the same pictures: `python tests/bench/rop_read.py --program ROP_READ --bundle DIR`.

The bundle needs saved graphs for this CPU. Frames are those of the simulated camera and, where named, pictures of a
folder; both sides read them in turns, one process each. Prints how many outcomes and reasons are equal, the largest
difference in a probability and, as a share, in the distance of the learnt test, the networks' times and their ratio,
and what the program said as it was ready.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import cv2

from device.cameras import open_camera
from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from device.errors import DeviceError
from runtime import open_bundle
from runtime.screener import Screener

TURN = 400


def simulated(folder: Path, count: int, seed: int) -> list[Path]:
    """Frames of both kinds of camera, a fifth of them spoilt."""
    paths: list[Path] = []
    for device, size in (("retcam", (320, 240)), ("neo", (301, 299))):
        config = SimulatedConfig(device, seed, size, ridge=0.5, vessel_width=0.5, faults=0.2, frames_per_eye=2)
        with SimulatedCamera(config) as camera:
            for number in range(count // 2):
                frame = camera.read()
                assert frame is not None
                paths.append(folder / f"{device}_{number:04}.png")
                cv2.imwrite(str(paths[-1]), frame.pixels[..., ::-1])
    return paths


def natives(program: Path, bundle: Path, paths: list[Path]) -> tuple[list[dict[str, Any]], str]:
    """Its readings, and what it said."""
    done = subprocess.run(
        [program, "--bundle", bundle, "--verbose", *paths], capture_output=True, text=True, check=False
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.strip()


def pythons(screener: Screener, path: Path) -> dict[str, Any] | None:
    """None for a picture that it refuses."""
    try:
        with open_camera(str(path)) as camera:
            frame = camera.read()
    except DeviceError:
        return None
    return None if frame is None else screener.screen(frame).to_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--simulated", type=int, default=240)
    parser.add_argument("--seed", type=int, default=40, help="of the simulated frames")
    parser.add_argument("--pictures", type=Path, help="a folder; every picture below it that rop-read reads")
    parser.add_argument("--at-most", type=int, default=100, help="of these")
    options = parser.parse_args()
    equal = compared = refused = same_pixels = 0
    strange, told, off = 0.0, 0, 0.0
    times: dict[str, list[float]] = {"rop-read": [], "python": []}
    unequal: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        paths = simulated(Path(folder), options.simulated, options.seed)
        if options.pictures:
            found = sorted(p for p in options.pictures.rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
            paths += found[:: max(1, len(found) // options.at_most)][: options.at_most]
        said = ""
        with Screener(open_bundle(options.bundle), engine="openvino", reject_repeats=False) as screener:
            for start in range(0, len(paths), TURN):
                turn = paths[start : start + TURN]
                readings, said = natives(options.program, options.bundle, turn)
                for path, ours in zip(turn, readings, strict=True):
                    theirs = pythons(screener, path)
                    if theirs is None or ours["frame"]["sha256"] is None:
                        refused += 1
                        continue
                    compared += 1
                    same_pixels += ours["frame"]["sha256"] == theirs["frame"]["sha256"]
                    if (ours["outcome"], ours["reason"]) == (theirs["outcome"], theirs["reason"]):
                        equal += 1
                    else:
                        said_each = [f"{side['outcome']} ({side['reason']})" for side in (ours, theirs)]
                        unequal.append(f"{path.name}: {', '.join(said_each)}")
                    distances = [(side["quality"] or {}).get("strangeness") for side in (ours, theirs)]
                    if distances != [None, None]:
                        told += 1
                        a, b = (float("nan") if distance is None else distance for distance in distances)
                        strange = max(strange, abs(a - b) / b) if a == a and b == b else float("inf")
                    for name, value in (ours["probabilities"] or {}).items():
                        off = max(off, abs(value - (theirs["probabilities"] or {}).get(name, 1e9)))
                        if name == next(iter(ours["probabilities"])):
                            for side, reading in (("rop-read", ours), ("python", theirs)):
                                ms = reading["timings_ms"]
                                times[side].append(ms["segment"] + ms["classify"])
    print(f"{compared} compared, {refused} refused by one or both; same pixels {same_pixels}")
    print(f"same outcome and reason {equal}")
    print(*unequal, sep="\n")
    print(f"largest difference of a probability {off:.2g}; {said}")
    print(f"{told} have a distance; its largest difference, as a share, {strange:.2g}")
    middle = {side: statistics.median(values) for side, values in times.items()}
    best = {side: statistics.quantiles(values, n=10)[0] for side, values in times.items()}
    print(f"networks, p50: {middle}, ratio {middle['rop-read'] / middle['python']:.3f}")
    print(f"networks, p10: {best}, ratio {best['rop-read'] / best['python']:.3f}")


if __name__ == "__main__":
    main()
