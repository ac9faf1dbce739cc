"""The whole training: both phases, then a published-style checkpoint with the description that belongs to it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from build_engines.description import Description
from build_engines.segimgnet import NetworkSize, SegImgNet
from build_engines.segimgnet.checkpoint import save_checkpoint
from build_engines.train.calibrate import apply_temperature, calibration_error, fit_temperature, reliability, tempered
from build_engines.train.classification import Scores, held_out_scores, train_classifier
from build_engines.train.curve import learning_curve
from build_engines.train.data import Split, TrainingFrame, ridge_frames, split_frames, vessel_frames
from build_engines.train.datasets import training_sets
from build_engines.train.folds import cross_validate
from build_engines.train.metrics import ConfidenceInterval, sensitive_threshold, share_interval, threshold_interval
from build_engines.train.phase import Report
from build_engines.train.segmentation import observer_figures, segmentation_figures, train_segmentation
from build_engines.train.settings import PhaseSettings
from runtime.checked_json import model_from
from runtime.decide import apart
from runtime.manifest import ClassLabel, CrossValidation, Metric, MetricName, ReliabilityBin, Stated

CLASSES = (
    ClassLabel(name="no_ridge_in_view", meaning="No ridge or demarcation line is seen in this frame.", refer=False),
    ClassLabel(name="ridge_in_view", meaning="A ridge or demarcation line is seen in this frame.", refer=True),
)

SENSITIVITY = 0.9
"""Of the training frames with a ridge, this share must refer: to miss one is worse than to look once too often."""


@dataclass(frozen=True)
class TrainingPlan:
    """What is trained, and how long."""

    size: NetworkSize
    segmentation: PhaseSettings
    classification: PhaseSettings | None
    """None trains the segmentation alone."""
    held_out: float = 0.2
    """Share of the frame groups."""
    folds: int = 0
    """Of the classifier's cross-validation on the training frames; 0 leaves it out."""
    folds_read: int = 0
    """Only the first so many of the folds are trained; 0: all."""
    curve: tuple[float, ...] = ()
    """Shares of the training groups for the learning curve."""


def train(data: Path, out: Path, plan: TrainingPlan, report: Report) -> None:
    """Train both phases, or the first alone, and write `segimgnet.pth` with `segimgnet.json` beside it.

    data: folder of the data sets. out: where states and results go; what stands there is taken up. Raises
    `TrainingDataError`.

    The threshold and the probabilities rest on the cross-validation where there is one; without it the threshold is
    taken from the training frames, and probabilities stay as the network gives them. Held-out frames decide nothing.
    """
    out.mkdir(parents=True, exist_ok=True)
    vessels = split_frames(vessel_frames(data), plan.held_out)
    unet = train_segmentation(vessels, plan.size, plan.segmentation, out, report)
    if plan.classification is None:
        return
    ridges = split_frames(ridge_frames(data), plan.held_out)
    network = train_classifier(ridges, unet, plan.size, plan.classification, out, report)
    validation: CrossValidation | None = None
    if plan.folds:
        scores = cross_validate(
            ridges.train, unet, plan.size, plan.classification, plan.folds, out, report, plan.folds_read
        )
        threshold, validation = judged(scores, plan.folds, plan.folds_read)
        apply_temperature(network, validation.temperature)
        used, low, high = apart(threshold, validation.threshold_low, validation.threshold_high)
        report(
            f"threshold {used} [{low}, {high}] by "
            f"{plan.folds_read or plan.folds} of {plan.folds} folds, temperature {validation.temperature:g}, "
            f"calibration error {validation.calibration_error:.3f}"
        )
        _say("cross-validation", validation.metrics, report)
    else:
        seen = held_out_scores(network, ridges.train)
        threshold = sensitive_threshold(seen.probability, seen.positive, SENSITIVITY)
        report(
            f"threshold {apart(threshold)[0]}: {SENSITIVITY:.0%} of the training frames with a ridge are at or over it"
        )
    metrics = (*_vessels(network, vessels), *_classification(held_out_scores(network, ridges.held_out), threshold))
    _say("held out", metrics, report)
    if plan.curve:
        learning_curve(ridges, unet, plan.size, plan.classification, plan.curve, out, report)
    save_checkpoint(network, out / "segimgnet.pth")
    described = _description(plan.size, (*vessels.train, *ridges.train), metrics, threshold, validation)
    described.save(out / "segimgnet.json")
    report(f"written: {out / 'segimgnet.pth'} and its description")


def judged(scores: Scores, folds: int, read: int = 0) -> tuple[float, CrossValidation]:
    """The threshold for `SENSITIVITY` and what else a cross-validation says, probabilities tempered by it.

    The threshold is the lower end of its interval: one that holds for frames like these, not just for these, since each
    fold's reader is sure of itself in its own way and the largest that fits all of them is a lottery.
    """
    temperature = fit_temperature(scores.probability, scores.positive)
    calm = replace(scores, probability=tempered(scores.probability, temperature).astype(np.float32))
    interval = threshold_interval(calm.probability, calm.positive, SENSITIVITY)
    threshold = math.floor(interval.low * 100) / 100
    bins = reliability(calm.probability, calm.positive)
    return threshold, CrossValidation(
        folds=folds,
        read=read or None,
        metrics=tuple(_classification(calm, threshold)),
        sensitivity=SENSITIVITY,
        threshold_low=round(interval.low, 4),
        threshold_high=round(interval.high, 4),
        temperature=temperature,
        calibration_error=round(calibration_error(bins), 4),
        reliability=tuple(
            ReliabilityBin(stated=round(found.stated, 4), observed=round(found.observed, 4), frames=found.frames)
            for found in bins
        ),
    )


def _say(of: str, metrics: Iterable[Metric], report: Report) -> None:
    for metric in metrics:
        report(
            f"{of}: {metric.name} {metric.device}: {metric.value:.3f} [{metric.low:.3f}, {metric.high:.3f}], "
            f"{metric.frames} frames"
        )


def _vessels(network: SegImgNet, split: Split) -> list[Metric]:
    """The held-out figures of vessel maps by device, and of a second person's masks where the data sets have them."""
    datasets = {frame.device: frame.dataset for frame in split.held_out}
    found = [
        _metric("segmentation", name, datasets[device], device, figure)
        for name, figures in segmentation_figures(network.segmentation, split.held_out).items()
        for device, figure in figures.items()
    ]
    second = tuple(frame for frame in (*split.train, *split.held_out) if frame.second_mask is not None)
    found += [
        _metric("segmentation", name, second[0].dataset, "second observer", figure)
        for name, figure in observer_figures(second).items()
    ]
    return found


def _classification(scores: Scores, threshold: float) -> list[Metric]:
    """AUC, and sensitivity and specificity at the threshold, by device and over all."""
    figures = scores.auc()
    # A device whose frames are all of one class has no AUC, and none is stated.
    found = [
        _metric("classification", "roc_auc", "hvdropdb", device, figure)
        for device, figure in figures.items()
        if math.isfinite(figure.value)
    ]
    positive, referred = scores.positive > 0.5, scores.probability >= threshold
    shares: tuple[tuple[MetricName, NDArray[np.bool_], NDArray[np.bool_]], ...] = (
        ("sensitivity", positive, referred),
        ("specificity", ~positive, ~referred),
    )
    for device in figures:
        here = np.array([device in ("all", name) for name in scores.device])
        for name, of, right in shares:
            if (here & of).any():
                share = share_interval(right[here & of])
                found.append(_metric("classification", name, "hvdropdb", device, share))
    return found


def _metric(
    task: Literal["segmentation", "classification"],
    name: MetricName,
    dataset: str,
    device: str,
    figure: ConfidenceInterval,
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
    size: NetworkSize,
    trained_on: tuple[TrainingFrame, ...],
    metrics: tuple[Metric, ...],
    threshold: float,
    validation: CrossValidation | None,
) -> Description:
    return Description(
        name=f"demonstration-{size.name}",
        version="4",
        intended_use=(
            "Demonstration of the pipeline on images of premature infants: vessel segmentation, and whether a ridge or "
            "demarcation line is in view. It makes no diagnostic claim and is not for clinical use."
        ),
        clinical_use=False,
        classes=CLASSES,
        refer_threshold=threshold,
        training_data=training_sets(trained_on),
        metrics=metrics,
        cross_validation=validation,
        stated=_stated(validation),
    )


def _stated(validation: CrossValidation | None) -> Stated:
    """What holds of every demonstration, and where this one's threshold is from."""
    always = model_from(Stated, (Path(__file__).parent / "stated.json").read_text(encoding="utf-8"))
    where = "the training frames as the trained network reads them, so it flatters"
    if validation is not None:
        some = "training frames" if validation.read is None else "a part of the training frames"
        where = f"{some}, each read by a network that never saw it ({validation.folds} parts)"
    aim = f"at which {SENSITIVITY:.0%} of the frames with a ridge refer"
    which = "The largest" if validation is None else "The lower end of the 95 % interval of the largest"
    return always.model_copy(update={"threshold_origin": f"{which} {aim}, on {where}."})
