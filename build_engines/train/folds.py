"""Cross-validation of the classifier on the frozen U-Net: every training frame read by one that never saw its group.

A fold's state and result are files of their own, so that a stopped run goes on where it was and folds may be trained on
several days. The U-Net is one and the same throughout: its masks may show groups of the fold, its labels never do.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from build_engines.errors import TrainingDataError
from build_engines.segimgnet import NetworkSize, UNet
from build_engines.train.classification import Scores, held_out_scores, train_classifier
from build_engines.train.data import Split, TrainingFrame
from build_engines.train.phase import Report
from build_engines.train.recipe import Recipe, digest_of, recipe_of, require_same
from build_engines.train.settings import PhaseSettings
from device.checked_file import strict_json
from device.outputs import PUBLIC, write_whole


def fold_of(group: str, folds: int) -> int:
    """The fold of a group, from 0: a fixed hash of its name, so that added frames never move others."""
    return int.from_bytes(hashlib.sha256(f"rop-fold-1:{group}".encode()).digest()[:4], "big") % folds


def fold_split(frames: Sequence[TrainingFrame], fold: int, folds: int) -> Split:
    """All frames but the fold's to train on, the fold's held out."""
    inside = [fold_of(frame.group, folds) == fold for frame in frames]
    return Split(
        tuple(frame for frame, held in zip(frames, inside, strict=True) if not held),
        tuple(frame for frame, held in zip(frames, inside, strict=True) if held),
    )


def cross_validate(
    frames: Sequence[TrainingFrame],
    unet: UNet,
    size: NetworkSize,
    settings: PhaseSettings,
    folds: int,
    work: Path,
    report: Report,
    read: int = 0,
) -> Scores:
    """Train a classifier for each fold, or take up what stands in `work`; each frame's score is from its own fold's.

    read: only the first so many folds are trained, where time is short; 0: all. The scores are those of their frames.

    Raises `TrainingDataError` where a fold's frames, or the others, are all of one class.
    """
    parts = []
    for fold in range(read or folds):
        split = fold_split(frames, fold, folds)
        for name, part in (("its own frames", split.held_out), ("the others", split.train)):
            if len({frame.ridge_in_view for frame in part}) < 2:
                raise TrainingDataError(f"fold {fold + 1} of {folds}: {name} are all of one class; take fewer folds")
        place = work / f"fold-{fold + 1}-of-{folds}"
        result = place / f"scores-{settings.steps}-{settings.seed}.json"
        own = replace(settings, seed=settings.seed + fold)
        recipe = {**recipe_of(split.train, size, own, unet), "held-out frames": digest_of(split.held_out)}
        if not result.is_file():
            place.mkdir(parents=True, exist_ok=True)
            report(f"fold {fold + 1} of {folds}: {len(split.train)} frames, {len(split.held_out)} held out")
            # A seed of its own: what is validated is the recipe, not one lucky start.
            network = train_classifier(split, unet, size, own, place, report)
            write_scores(held_out_scores(network, split.held_out), result, recipe)
        parts.append(read_scores(result, recipe))
        figure = parts[-1].auc()["all"]
        report(f"fold {fold + 1} of {folds}: AUC {figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]")
    return Scores(
        np.concatenate([part.probability for part in parts]),
        np.concatenate([part.positive for part in parts]),
        tuple(device for part in parts for device in part.device),
    )


def write_scores(scores: Scores, path: Path, recipe: Recipe) -> None:
    """As JSON. recipe: what they rest on."""
    arrays = {"probability": scores.probability.tolist(), "positive": scores.positive.tolist()}
    content = {**asdict(scores), **arrays, "recipe": dict(recipe)}
    write_whole(path, (json.dumps(content) + "\n").encode(), PUBLIC)


def read_scores(path: Path, recipe: Recipe) -> Scores:
    """What `write_scores` wrote of the same recipe. Raises `TrainingDataError` for anything else."""
    try:
        content = strict_json(path.read_text(encoding="utf-8"))
        probability = np.asarray(content["probability"], np.float32)
        scores = Scores(probability, np.asarray(content["positive"], np.float32), tuple(map(str, content["device"])))
        if not len(scores.probability) == len(scores.positive) == len(scores.device):
            raise ValueError("lengths differ")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingDataError(f"{path}: no scores of a fold ({error}); delete it to train the fold again") from None
    require_same(path, content.get("recipe"), recipe)
    return scores
