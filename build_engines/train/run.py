"""The whole training: both phases, then a published-style checkpoint and the figures that belong to it."""

from __future__ import annotations

from pathlib import Path

from build_engines.segimgnet import NetworkSize
from build_engines.train.data import split_frames, vessel_frames
from build_engines.train.segmentation import Report, train_segmentation
from build_engines.train.settings import PhaseSettings


def train(
    data: Path,
    out: Path,
    size: NetworkSize,
    segmentation: PhaseSettings,
    classification: PhaseSettings | None,
    held_out: float,
    report: Report,
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    train_segmentation(split_frames(vessel_frames(data), held_out), size, segmentation, out, report)
