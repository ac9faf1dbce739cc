"""The whole training: both phases, then a published-style checkpoint with the description that belongs to it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

from build_engines.description import Description
from build_engines.segimgnet import NetworkSize, SegImgNet
from build_engines.segimgnet.checkpoint import save_checkpoint
from build_engines.train.classification import Scores, held_out_scores, train_classifier
from build_engines.train.data import Split, TrainingFrame, ridge_frames, split_frames, vessel_frames
from build_engines.train.datasets import training_sets
from build_engines.train.metrics import Interval, mean_interval, sensitive_threshold
from build_engines.train.phase import Report
from build_engines.train.segmentation import train_segmentation, validate_segmentation
from build_engines.train.settings import PhaseSettings
from runtime.manifest import ClassLabel, Metric

CLASSES = (
    ClassLabel(name="no_ridge_in_view", meaning="No ridge or demarcation line is seen in this frame.", refer=False),
    ClassLabel(name="ridge_in_view", meaning="A ridge or demarcation line is seen in this frame.", refer=True),
)

SENSITIVITY = 0.9
"""Of the training frames with a ridge, this share must refer: to miss one is worse than to look once too often."""


def train(
    data: Path,
    out: Path,
    size: NetworkSize,
    segmentation: PhaseSettings,
    classification: PhaseSettings | None,
    held_out: float,
    report: Report,
) -> None:
    """Train both phases, or the first alone, and write `segimgnet.pth` with `segimgnet.json` beside it.

    data: folder of the data sets. out: where states and results go; what stands there is taken up. Raises
    `TrainingDataError`.
    """
    out.mkdir(parents=True, exist_ok=True)
    vessels = split_frames(vessel_frames(data), held_out)
    unet = train_segmentation(vessels, size, segmentation, out, report)
    if classification is None:
        return
    ridges = split_frames(ridge_frames(data), held_out)
    network = train_classifier(ridges, unet, size, classification, out, report)
    seen = held_out_scores(network, ridges.train)
    threshold = sensitive_threshold(seen.probability, seen.positive, SENSITIVITY)
    report(f"threshold {threshold:.2f}: {SENSITIVITY:.0%} of the training frames with a ridge are at or over it")
    metrics = (*_dice(network, vessels), *_classification(held_out_scores(network, ridges.held_out), threshold))
    for metric in metrics:
        report(
            f"held out: {metric.name} {metric.device}: {metric.value:.3f} [{metric.low:.3f}, {metric.high:.3f}], "
            f"{metric.frames} frames"
        )
    save_checkpoint(network, out / "segimgnet.pth")
    _description(size, (*vessels.train, *ridges.train), metrics, threshold).save(out / "segimgnet.json")
    report(f"written: {out / 'segimgnet.pth'} and its description")


def _dice(network: SegImgNet, split: Split) -> list[Metric]:
    datasets = {frame.device: frame.dataset for frame in split.held_out}
    figures = validate_segmentation(network.segmentation, split)
    return [_metric("segmentation", "dice", datasets[device], device, value) for device, value in figures.items()]


def _classification(scores: Scores, threshold: float) -> list[Metric]:
    figures = scores.auc()
    # A device whose held-out frames are all of one class has no AUC, and none is stated.
    auc = [
        _metric("classification", "roc_auc", "hvdropdb", device, figure)
        for device, figure in figures.items()
        if math.isfinite(figure.value)
    ]
    positive, referred = scores.positive > 0.5, scores.probability >= threshold
    shares = []
    if positive.any():
        share = mean_interval(referred[positive])
        shares.append(_metric("classification", "sensitivity", "hvdropdb", "all", share))
    if not positive.all():
        share = mean_interval(~referred[~positive])
        shares.append(_metric("classification", "specificity", "hvdropdb", "all", share))
    return auc + shares


def _metric(
    task: Literal["segmentation", "classification"],
    name: Literal["dice", "roc_auc", "sensitivity", "specificity"],
    dataset: str,
    device: str,
    figure: Interval,
) -> Metric:
    low, value, high = (round(x, 4) for x in (figure.low, figure.value, figure.high))
    return Metric(
        task=task,
        name=name,
        dataset=dataset,
        device=device,
        precision="fp32",
        value=value,
        low=low,
        high=high,
        frames=figure.frames,
    )


def _description(
    size: NetworkSize, trained_on: tuple[TrainingFrame, ...], metrics: tuple[Metric, ...], threshold: float
) -> Description:
    return Description(
        name=f"demonstration-{size.name}",
        version="1",
        intended_use=(
            "Demonstration of the pipeline on images of premature infants: vessel segmentation, and whether a ridge or "
            "demarcation line is in view. It makes no diagnostic claim and is not for clinical use."
        ),
        clinical_use=False,
        classes=CLASSES,
        refer_threshold=threshold,
        training_data=training_sets(trained_on),
        metrics=metrics,
    )
