"""The training frames: which files there are, what is known of each, and the split by frame group."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from build_engines.errors import TrainingDataError
from calibration.split import held_out
from runtime.arrays import FloatArray, UInt8Array
from runtime.csv_rows import read_rows
from runtime.preprocess import network_input

CANVAS_SIDE = 512
"""Side in pixels of the square on which frames are augmented, before the last halving to the network's 256."""

VESSEL_SETS = ("hvdropdb_vessels", "hrf", "chase_db1", "fives_amd20")
INFANT_SETS = ("hvdropdb_vessels", "hvdropdb_disc", "hvdropdb_ridge")


@dataclass(frozen=True)
class TrainingFrame:
    """One file of a data set, with the masks that exist for it."""

    dataset: str
    device: str
    """Camera for infants (`RetCam`, `Neo`), the data set's name for adults and children."""
    group: str
    """Frames that share a group never stand on both sides of the split."""
    image: Path
    vessel_mask: Path | None = None
    ridge_mask: Path | None = None
    disc_mask: Path | None = None
    second_mask: Path | None = None
    """The vessels as a second person drew them."""
    ridge_in_view: bool = False

    @property
    def infant(self) -> bool:
        """Whether the frame shows a premature infant's eye."""
        return self.dataset in INFANT_SETS


@dataclass(frozen=True)
class Split:
    """Training frames and held-out frames, disjoint by group."""

    train: tuple[TrainingFrame, ...]
    held_out: tuple[TrainingFrame, ...]


@dataclass(frozen=True)
class MaskedFrame:
    """A frame and its masks on a 512 x 512 canvas, in memory."""

    frame: TrainingFrame
    image: UInt8Array
    """RGB, uint8 [512, 512, 3]."""
    masks: dict[str, FloatArray] = field(default_factory=dict)
    """By name (`vessels`, `ridge`, `disc`): share of mask in each pixel, float32 [512, 512]."""


def split_frames(frames: Iterable[TrainingFrame], share: float = 0.2) -> Split:
    """Split by group; `share` is the expected part that is held out."""
    train: list[TrainingFrame] = []
    out: list[TrainingFrame] = []
    for frame in frames:
        (out if held_out(frame.group, share) else train).append(frame)
    return Split(tuple(train), tuple(out))


def vessel_frames(root: Path) -> list[TrainingFrame]:
    """All frames with a vessel mask, of infants, children and adults."""
    return [
        TrainingFrame(
            dataset=name,
            device=row.get("device", name),
            group=_group(name, row),
            image=root / name / row["image"],
            vessel_mask=root / name / row["mask"],
            second_mask=root / name / row["mask_2nd"] if row.get("mask_2nd") else None,
        )
        for name in VESSEL_SETS
        for row in _rows(root, name)
    ]


def ridge_frames(root: Path) -> list[TrainingFrame]:
    """Infants' frames with the label "ridge or demarcation line in view", one frame of each group.

    Positives are all of `hvdropdb_ridge`; negatives the frames of the other two parts whose
    `also_in_ridge_set` is 0.
    """
    by_group: dict[str, TrainingFrame] = {}
    disc_masks = {row["frame_group"]: root / "hvdropdb_disc" / row["mask"] for row in _rows(root, "hvdropdb_disc")}
    for name in ("hvdropdb_ridge", "hvdropdb_disc", "hvdropdb_vessels"):
        for row in _rows(root, name):
            positive = name == "hvdropdb_ridge"
            group = row["frame_group"]
            if group in by_group or (not positive and row["also_in_ridge_set"] != "0"):
                continue
            by_group[group] = TrainingFrame(
                dataset=name,
                device=row["device"],
                group=group,
                image=root / name / row["image"],
                ridge_mask=root / name / row["mask"] if positive else None,
                disc_mask=disc_masks.get(group),
                ridge_in_view=positive,
            )
    return list(by_group.values())


def load_canvas(frame: TrainingFrame) -> MaskedFrame:
    """Read a frame and its masks onto the canvas, antialiased bilinear."""
    masks = {
        name: _mask(path)
        for name, path in (("vessels", frame.vessel_mask), ("ridge", frame.ridge_mask), ("disc", frame.disc_mask))
        if path is not None
    }
    canvas = Image.fromarray(_rgb(frame.image)).resize((CANVAS_SIDE, CANVAS_SIDE), Image.Resampling.BILINEAR)
    return MaskedFrame(frame, np.asarray(canvas), masks)


def network_image(path: Path) -> UInt8Array:
    """A file as the cart's networks see it, by the cart's own resize: RGB, uint8 [256, 256, 3]."""
    image: UInt8Array = network_input(_rgb(path))[0]
    return image


def network_mask(path: Path, side: int) -> FloatArray:
    """A mask as share of mask in each pixel, float32 [side, side]."""
    return shrink_mask(_mask(path), side)


def shrink_mask(mask: FloatArray, side: int) -> FloatArray:
    """Mean over each pixel's area: float32 [H, W] to [side, side]."""
    return cv2.resize(mask, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


def _rgb(path: Path) -> UInt8Array:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def _mask(path: Path) -> FloatArray:
    with Image.open(path) as image:
        full = np.asarray(image.convert("L"), dtype=np.float32) / np.float32(255)
    return shrink_mask(full, CANVAS_SIDE)


def _group(dataset: str, row: dict[str, str]) -> str:
    if "frame_group" in row:
        return row["frame_group"]
    return f"{dataset}:{row.get('subject') or row['original']}"


def _rows(root: Path, dataset: str) -> list[dict[str, str]]:
    table = root / dataset / "labels.csv"
    if not table.is_file():
        raise TrainingDataError(
            f"training data: no {table}; expected the data sets {', '.join(sorted({*VESSEL_SETS, *INFANT_SETS}))} "
            f"as folders with labels.csv; name their parent with --data"
        )
    try:
        return read_rows(table)[1]
    except (OSError, ValueError) as error:
        raise TrainingDataError(f"training data: {table}: no table ({error}); get the data set anew") from None
