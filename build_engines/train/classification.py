"""Training phase 2: the classifier "ridge or demarcation line in view", the segmentation frozen as in the paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from build_engines.segimgnet import INPUT_SIDE, NetworkSize, SegImgNet, SGAClassifier, UNet
from build_engines.train.augment import TrainingSample, augment
from build_engines.train.batches import half_precision, to_images
from build_engines.train.data import MaskedFrame, Split, TrainingFrame, load_canvas, network_image
from build_engines.train.metrics import ConfidenceInterval, auc_interval
from build_engines.train.phase import Report, TrainingPhase, run_phase
from build_engines.train.recipe import recipe_of
from build_engines.train.settings import PhaseSettings
from build_engines.train.state import PhaseState, WeightAverage, decay_groups
from runtime.arrays import FloatArray

LANDMARKS = ("ridge", "disc")
"""Structures whose outlines guide the encoders while they train; the shipped networks carry no trace of it."""
LANDMARK_SIDE = 32
"""Side of the grid on which landmarks are asked for: the second ConvNeXt stage's."""
LANDMARK_WEIGHT = 1.0
LABEL_SMOOTHING = 0.05
LAYER_SCALE = 0.1
"""Initial layer scale. The reference's 1e-6 is for long training of deep networks; a short one would never leave it."""


class TrainingBatch(NamedTuple):
    """One step's input."""

    images: Tensor
    """float [N, 3, 256, 256] in [0, 1]."""
    labels: Tensor
    """int64 [N]: 1 where a ridge or demarcation line is in view."""
    landmarks: Tensor
    """float [N, 2, 32, 32]: largest share of each landmark in a cell."""
    known: Tensor
    """float [N, 2, 1, 1]: 1 where the landmark's outline (or its absence) is known."""


class GuidedTraining(nn.Module):
    """The classifier with, for training only, a landmark map read off two stages of each branch.

    Some two hundred labels are few for two encoders learnt from nothing. The outlines that the data set has of
    ridges and discs say where to look, a thousand cells a frame.
    """

    def __init__(self, size: NetworkSize, classes: int) -> None:
        super().__init__()
        self.classifier = SGAClassifier(size, classes, layer_scale=LAYER_SCALE)
        middle, deep = size.convnext_dims[1], size.convnext_dims[2]
        self.from_middle = nn.ModuleList(nn.Conv2d(middle, len(LANDMARKS), 1) for _ in range(2))
        self.from_deep = nn.ModuleList(nn.Conv2d(deep, len(LANDMARKS), 1) for _ in range(2))
        initialise(self)

    def forward(self, image: Tensor, vessels: Tensor, features: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
        """Logits [N, C] and each branch's landmark scores [N, 2, 32, 32]."""
        network = self.classifier
        raw = network.raw.stage_outputs(image)
        guided = network.guided.stage_outputs(image * vessels, network.gates(features))
        maps = []
        for stages, middle, deep in zip((raw, guided), self.from_middle, self.from_deep, strict=True):
            coarse = functional.interpolate(deep(stages[2]), scale_factor=2.0, mode="bilinear")
            maps.append(middle(stages[1]) + coarse)
        logits = network.fused(network.raw.head(raw[-1]), network.guided.head(guided[-1])).logits
        return logits, maps


@dataclass(frozen=True)
class Scores:
    """Held-out probabilities of the refer class with what is true of each frame."""

    probability: FloatArray
    positive: FloatArray
    device: tuple[str, ...]

    def auc(self) -> dict[str, ConfidenceInterval]:
        """ROC AUC by device and for `all`, each with a bootstrap interval."""
        names = ["all", *sorted(set(self.device))]
        picks = {name: np.array([name in ("all", d) for d in self.device]) for name in names}
        return {name: auc_interval(self.probability[pick], self.positive[pick]) for name, pick in picks.items()}


def train_classifier(
    split: Split, segmentation: UNet, size: NetworkSize, settings: PhaseSettings, work: Path, report: Report
) -> SegImgNet:
    """Train or resume; the returned pair carries the averaged weights and is in eval mode.

    Raises `TrainingDataError` where what stands in `work` was trained otherwise.
    """
    torch.manual_seed(settings.seed)
    training = GuidedTraining(size, classes=2).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    frozen = folded(segmentation).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(decay_groups([training], 5e-2), lr=settings.peak_rate)
    recipe = recipe_of(split.train, size, settings, segmentation)
    state = PhaseState(training, optimizer, WeightAverage(training, decay=0.99), recipe)
    weights = _class_weights(split.train)

    def held_out() -> Iterator[str]:
        network = _averaged(state, segmentation, size)
        for name, frames in (("training frames", split.train), ("held out", split.held_out)):
            yield f"{name}: {_summary(held_out_scores(network, frames).auc())}"

    phase = TrainingPhase(
        "classification",
        warm_up=15,
        smoothing=0.97,
        sampler=lambda: _sampler([load_canvas(frame) for frame in split.train], settings),
        step=lambda batch: _step(training, frozen, optimizer, batch, weights),
        validate=held_out,
    )
    run_phase(phase, state, settings, work / "classification.state.pt", report)
    return _averaged(state, segmentation, size)


def folded(segmentation: UNet) -> UNet:
    """A copy for inference, its batch normalisations folded into the convolutions before them."""
    copy = deepcopy(segmentation).eval()
    for part in copy.modules():
        for conv, norm in (("conv", "norm"), ("conv1", "norm1"), ("conv2", "norm2")):
            if isinstance(getattr(part, norm, None), nn.BatchNorm2d):
                setattr(part, conv, fuse_conv_bn_eval(getattr(part, conv), getattr(part, norm)))
                setattr(part, norm, nn.Identity())
    return copy


@torch.no_grad()
def held_out_scores(network: SegImgNet, frames: Sequence[TrainingFrame]) -> Scores:
    """The refer class's probability for each frame, with no augmentation."""
    network.eval()
    probability = []
    for frame in frames:
        image = to_images(torch.from_numpy(network_image(frame.image))[None])
        probability.append(float(network(image)[1].probabilities[0, 1]))
    return Scores(
        np.asarray(probability, np.float32),
        np.asarray([frame.ridge_in_view for frame in frames], np.float32),
        tuple(frame.device for frame in frames),
    )


def initialise(module: nn.Module) -> None:
    """Truncated normal weights that keep the signal's size (He et al., arXiv 1502.01852), zero biases.

    The reference ConvNeXt's fixed 0.02 would lose it here: six linear layers stand between the encoders and the
    classes, with no norm among them, and a narrow network's would each let a third of it through.
    """
    for part in module.modules():
        if isinstance(part, (nn.Conv2d, nn.Linear)):
            nn.init.trunc_normal_(part.weight, std=(2.0 / part.weight[0].numel()) ** 0.5)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def landmark_loss(maps: Sequence[Tensor], batch: TrainingBatch) -> Tensor:
    """Cross-entropy and soft Dice of each branch's landmark map where the landmark is known."""
    loss = torch.zeros(())
    for scores in maps:
        entropy = functional.binary_cross_entropy_with_logits(scores, batch.landmarks, reduction="none")
        loss = loss + (entropy * batch.known).mean()
        probability = torch.sigmoid(scores) * batch.known
        target = batch.landmarks * batch.known
        overlap = (probability * target).sum(dim=(0, 2, 3))
        total = (probability.square() + target.square()).sum(dim=(0, 2, 3))
        loss = loss + 0.5 * (1 - (2 * overlap + 1) / (total + 1)).mean()
    return loss / len(maps)


def _step(
    training: GuidedTraining,
    segmentation: UNet,
    optimizer: torch.optim.Optimizer,
    batch: TrainingBatch,
    weights: Tensor,
) -> dict[str, float]:
    images = batch.images.contiguous(memory_format=torch.channels_last)
    with torch.no_grad(), half_precision():
        seen = segmentation.eval()(images)
    training.train()
    optimizer.zero_grad(set_to_none=True)
    with half_precision():
        logits, maps = training(images, seen.vessels, seen.features)
    logits, maps = logits.float(), [scores.float() for scores in maps]
    verdict = functional.cross_entropy(logits, batch.labels, weight=weights, label_smoothing=LABEL_SMOOTHING)
    landmarks = landmark_loss(maps, batch)
    (verdict + LANDMARK_WEIGHT * landmarks).backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(training.parameters(), 1.0)
    optimizer.step()
    return {"loss": float(verdict.detach()), "landmarks": float(landmarks.detach())}


def _class_weights(frames: Sequence[TrainingFrame]) -> Tensor:
    """Inverse frequency, mean one."""
    positive = sum(frame.ridge_in_view for frame in frames) / len(frames)
    return torch.tensor([0.5 / (1 - positive), 0.5 / positive])


def _sampler(canvases: Sequence[MaskedFrame], settings: PhaseSettings) -> Callable[[int], TrainingBatch]:
    """Step number to its batch; every frame comes once an epoch, in an order drawn from the seed."""

    def batch(step: int) -> TrainingBatch:
        rng = np.random.default_rng((settings.seed, 2, step))
        picked = [_nth(canvases, step * settings.batch + i, settings.seed) for i in range(settings.batch)]
        samples = [augment(canvas, rng) for canvas in picked]
        frames = [canvas.frame for canvas in picked]
        return TrainingBatch(
            to_images(torch.from_numpy(np.stack([sample.image for sample in samples]))),
            torch.tensor([int(frame.ridge_in_view) for frame in frames]),
            torch.from_numpy(np.stack([_landmarks(sample) for sample in samples])),
            torch.from_numpy(np.stack([_known(frame) for frame in frames])),
        )

    return batch


def _nth(canvases: Sequence[MaskedFrame], index: int, seed: int) -> MaskedFrame:
    epoch, place = divmod(index, len(canvases))
    order = np.random.default_rng((seed, 3, epoch)).permutation(len(canvases))
    return canvases[int(order[place])]


def _landmarks(sample: TrainingSample) -> FloatArray:
    """float32 [2, 32, 32]: the largest value of each landmark's mask in each cell; zeros where there is none."""
    cell = INPUT_SIDE // LANDMARK_SIDE
    empty = np.zeros((INPUT_SIDE, INPUT_SIDE), np.float32)
    masks = np.stack([sample.masks.get(name, empty) for name in LANDMARKS])
    grid: FloatArray = masks.reshape(len(LANDMARKS), LANDMARK_SIDE, cell, LANDMARK_SIDE, cell).max(axis=(2, 4))
    return grid


def _known(frame: TrainingFrame) -> FloatArray:
    """A ridge is outlined, or taken to be absent; a disc is known only where someone outlined it."""
    return np.array([1.0, 1.0 if frame.disc_mask is not None else 0.0], np.float32).reshape(-1, 1, 1)


def _averaged(state: PhaseState, segmentation: UNet, size: NetworkSize) -> SegImgNet:
    network = SegImgNet(size, classes=2)
    network.segmentation.load_state_dict(segmentation.state_dict())
    prefix = "classifier."
    network.classifier.load_state_dict(
        {name[len(prefix) :]: value for name, value in state.average.state.items() if name.startswith(prefix)}
    )
    return network.eval()


def _summary(figures: dict[str, ConfidenceInterval]) -> str:
    return ", ".join(
        f"AUC {name} {v.value:.3f} [{v.low:.3f}, {v.high:.3f}] n={v.frames}" for name, v in figures.items()
    )
