"""The learning curve: how well the classifier does on held-out frames when it sees only a share of the others."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from build_engines.segimgnet import NetworkSize, UNet
from build_engines.train.classification import held_out_scores, train_classifier
from build_engines.train.data import Split, TrainingFrame
from build_engines.train.metrics import ConfidenceInterval
from build_engines.train.phase import Report
from build_engines.train.settings import PhaseSettings
from device.outputs import PUBLIC, write_whole

CURVE = "learning_curve.json"


def share_of(frames: Sequence[TrainingFrame], share: float) -> tuple[TrainingFrame, ...]:
    """The frames of a share of the groups; a smaller share is part of every larger one."""
    return tuple(frame for frame in frames if _place(frame.group) < share)


def learning_curve(
    split: Split,
    unet: UNet,
    size: NetworkSize,
    settings: PhaseSettings,
    shares: Sequence[float],
    work: Path,
    report: Report,
) -> dict[float, ConfidenceInterval]:
    """AUC on the held-out frames by share of the training groups; each training is resumable, all take as many steps.

    Written to `learning_curve.json` in `work`, with the number of frames behind each.
    """
    found: dict[float, ConfidenceInterval] = {}
    rows = []
    for share in sorted(shares):
        part = Split(share_of(split.train, share), split.held_out)
        place = work / f"share-{share:g}"
        place.mkdir(parents=True, exist_ok=True)
        report(f"learning curve: {len(part.train)} of {len(split.train)} frames")
        network = train_classifier(part, unet, size, settings, place, report)
        found[share] = held_out_scores(network, split.held_out).auc()["all"]
        rows.append({"share": share, "frames": len(part.train), "auc": asdict(found[share])})
        write_whole(work / CURVE, (json.dumps(rows, indent=1) + "\n").encode(), PUBLIC)
        report(f"learning curve: {len(part.train)} frames, held-out AUC {found[share].value:.3f}")
    return found


def _place(group: str) -> float:
    return int.from_bytes(hashlib.sha256(f"rop-curve-1:{group}".encode()).digest()[:4], "big") / 2**32
