"""Frames for the report and what is true of them: public data sets, a table of labels, or the simulated camera."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from build_engines.errors import BuildError
from build_engines.report.schema import ALL
from build_engines.train.data import (
    INFANT_SETS,
    VESSEL_SETS,
    TrainingFrame,
    network_mask,
    ridge_frames,
    split_frames,
    vessel_frames,
)
from device.cameras.files.folder import read_picture
from device.errors import DeviceError
from runtime.arrays import UInt8Array
from runtime.bench.errors import BenchError
from runtime.bench.measure.accuracy import judged_frames
from runtime.bench.measure.labels import Label, read_labels, read_mask
from runtime.preprocess import SIDE, network_input

SIMULATED = "sim:seed=7"
INFANTS = "hvdropdb"
"""Its three parts are one data set here: ridges are in view in one of them, and not in the other two."""


@dataclass(frozen=True, eq=False)
class ReportFrame:
    """A frame as the networks see it, and what is true of it."""

    image: UInt8Array
    """RGB, uint8 [1, 256, 256, 3]."""
    dataset: str
    device: str
    judged: bool
    """Whether the figures of tasks are taken on it."""
    held_out: bool
    """Whether it is known to have taken no part in training."""
    vessels: UInt8Array | None
    """Mask, uint8 [256, 256], 0 or 255; only on judged frames."""
    refer: bool | None


@dataclass(frozen=True)
class NamedFrames:
    """Frames, not yet read, and where they are from in words."""

    truth: str
    frames: Iterable[ReportFrame]


def report_frames(data: Path | None, held_out: bool = False) -> NamedFrames:
    """The frames of the folder of the public data sets, of a table of labels beside its pictures, or simulated ones.

    data: the folder that holds `hvdropdb_vessels` and the others, or a CSV file with the columns `image` and `mask` or
    `refer`; None for the simulated camera. held_out: the caller says that the frames of the CSV file took no part in
    training. Raises `BuildError` when it is none of them.
    """
    if held_out and (data is None or data.is_dir()):
        raise BuildError("--held-out: is said of a CSV file's frames (--data CSV); of the data sets the split is known")
    if data is None:
        return NamedFrames("frames of the simulated camera, which knows their vessels and ridges", _simulated())
    if data.is_dir():
        if not (data / VESSEL_SETS[0] / "labels.csv").is_file():
            raise BuildError(f"--data {data}: no {VESSEL_SETS[0]}/labels.csv in it; name the data sets or a CSV file")
        return NamedFrames(
            "public data sets, held out by frame group as in training; refer is a ridge in view", _sets(data)
        )
    try:
        labels = read_labels(data)
    except BenchError as error:
        raise BuildError(f"--data: {error}") from error
    absent = [image for image in labels if not (data.parent / image).is_file()]
    if absent:
        raise BuildError(
            f"--data {data}: {len(absent)} of {len(labels)} pictures are not there ({', '.join(absent[:3])}); expected "
            f"paths from {data.parent}"
        )
    words = "held out, as the caller says" if held_out else "whether held out of training is not stated"
    return NamedFrames(f"{len(labels)} labelled pictures, {words}", _labelled(data, labels, held_out))


def _simulated() -> Iterator[ReportFrame]:
    for judged in judged_frames(SIMULATED, None):
        image = network_input(judged.frame.pixels)
        yield ReportFrame(image, "simulated", ALL, True, False, judged.vessels, judged.refer)


def _labelled(data: Path, labels: Mapping[str, Label], held_out: bool) -> Iterator[ReportFrame]:
    try:
        for number, (image, label) in enumerate(labels.items()):
            pixels = read_picture(data.parent / image, number).pixels
            vessels = None if label.mask is None else read_mask(label.mask, SIDE)
            device = label.device or ALL
            yield ReportFrame(network_input(pixels), data.stem, device, True, held_out, vessels, label.refer)
    except (BenchError, DeviceError) as error:
        raise BuildError(f"--data {data}: {error}") from error


def _sets(root: Path) -> Iterator[ReportFrame]:
    """Held-out frames of both tasks with their truth, then every other picture of the sets without."""
    vessels, ridges = (split_frames(frames(root)).held_out for frames in (vessel_frames, ridge_frames))
    seen: set[Path] = set()
    by_file: dict[Path, tuple[TrainingFrame, bool | None]] = {frame.image: (frame, None) for frame in vessels}
    for frame in ridges:
        known = by_file.get(frame.image)
        by_file[frame.image] = (known[0] if known else frame, frame.ridge_in_view)
    for path, (frame, refer) in by_file.items():
        seen.add(path)
        mask = None if frame.vessel_mask is None else _mask(frame.vessel_mask)
        name = INFANTS if frame.infant else frame.dataset
        yield ReportFrame(_image(path), name, frame.device, True, True, mask, refer)
    for name in dict.fromkeys((*VESSEL_SETS, *INFANT_SETS)):
        for path in sorted((root / name / "images").iterdir()):
            if path not in seen:
                yield ReportFrame(_image(path), INFANTS if name in INFANT_SETS else name, ALL, False, False, None, None)


def _image(path: Path) -> UInt8Array:
    try:
        with Image.open(path) as picture:
            return network_input(np.asarray(picture.convert("RGB")))
    except OSError as error:
        raise BuildError(f"--data: {path} is no picture ({error}); copy the data set again") from error


def _mask(path: Path) -> UInt8Array:
    mask: UInt8Array = np.where(network_mask(path, SIDE) >= 0.5, np.uint8(255), np.uint8(0))
    return mask
