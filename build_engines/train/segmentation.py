"""Training phase 1: the U-Net on vessel masks of infants, children and adults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from build_engines.segimgnet import INPUT_SIDE, NetworkSize, UNet
from build_engines.train.augment import augment
from build_engines.train.batches import half_precision, to_images, to_masks
from build_engines.train.data import MaskedFrame, Split, TrainingFrame, load_canvas, network_image, network_mask
from build_engines.train.metrics import ConfidenceInterval, centreline_dice, mean_interval, tolerant_f1
from build_engines.train.phase import Report, TrainingPhase, run_phase
from build_engines.train.recipe import recipe_of
from build_engines.train.settings import PhaseSettings
from build_engines.train.state import PhaseState, WeightAverage, decay_groups
from runtime.arrays import FloatArray
from runtime.manifest import MetricName
from runtime.metrics import dice

INFANT_SHARE = 0.7
"""Part of each batch that shows infants, though they are fewer: they are whom the network is for."""
SETTLING = 0.65
"""Part of the steps after which training settles on infants' frames nearly as they are. Each camera's masks were
drawn with their own stroke width, and strong changes of pose and colour hide which camera it was."""
SETTLED_INFANT_SHARE = 0.9
SETTLED_STRENGTH = 0.3
ENTROPY_WEIGHT = 0.3
"""Of the cross-entropy beside Dice. It keeps probabilities honest, but pulls uncertain vessels below 0.5, where they
are lost; Dice, which the maps are judged by, does not."""


def train_segmentation(split: Split, size: NetworkSize, settings: PhaseSettings, work: Path, report: Report) -> UNet:
    """Train or resume; the returned network carries the averaged weights and is in eval mode.

    Raises `TrainingDataError` where what stands in `work` was trained otherwise.
    """
    torch.manual_seed(settings.seed)
    network = UNet(size).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(decay_groups([network], 1e-2), lr=settings.peak_rate)
    recipe = recipe_of(split.train, size, settings)
    state = PhaseState(network, optimizer, WeightAverage(network, decay=0.995), recipe)
    phase = TrainingPhase(
        "segmentation",
        warm_up=20,
        smoothing=0.98,
        sampler=lambda: _sampler([load_canvas(frame) for frame in split.train], settings),
        step=lambda batch: {"loss": _step(network, optimizer, *batch)},
        validate=lambda: [_summary(validate_segmentation(_averaged(state, size), split))],
    )
    run_phase(phase, state, settings, work / "segmentation.state.pt", report)
    return _averaged(state, size)


Figure: TypeAlias = Callable[[FloatArray, FloatArray], float]
FIGURES: dict[MetricName, Figure] = {"dice": dice, "f1_one_pixel": tolerant_f1, "cl_dice": centreline_dice}
"""How a vessel map is held against a mask, by the names of `runtime.manifest.Metric`."""


def validate_segmentation(network: UNet, split: Split) -> dict[str, ConfidenceInterval]:
    """Held-out Dice by device, mean over frames, with a bootstrap interval."""
    return segmentation_figures(network, split.held_out, ("dice",))["dice"]


@torch.no_grad()
def segmentation_figures(
    network: UNet, frames: Sequence[TrainingFrame], names: Sequence[MetricName] = tuple(FIGURES)
) -> dict[MetricName, dict[str, ConfidenceInterval]]:
    """Each of `FIGURES` by device: means over the frames that have a vessel mask, with bootstrap intervals."""
    network.eval()
    values: dict[MetricName, dict[str, list[float]]] = {name: {} for name in names}
    for frame in frames:
        if frame.vessel_mask is None:
            continue
        image = torch.from_numpy(network_image(frame.image))
        vessels = network(to_images(image[None])).vessels[0, 0].numpy()
        mask = network_mask(frame.vessel_mask, INPUT_SIDE)
        for name in names:
            values[name].setdefault(frame.device, []).append(FIGURES[name](vessels, mask))
    return {
        name: {device: mean_interval(np.asarray(v, np.float32)) for device, v in sorted(found.items())}
        for name, found in values.items()
    }


def observer_figures(frames: Sequence[TrainingFrame]) -> dict[MetricName, ConfidenceInterval]:
    """Each of `FIGURES` of a second person's masks against the first's, over the frames that have both."""
    pairs = [
        (network_mask(frame.second_mask, INPUT_SIDE), network_mask(frame.vessel_mask, INPUT_SIDE))
        for frame in frames
        if frame.second_mask is not None and frame.vessel_mask is not None
    ]
    if not pairs:
        return {}
    return {name: mean_interval([figure(*pair) for pair in pairs]) for name, figure in FIGURES.items()}


def segmentation_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Soft Dice of each frame plus a share of cross-entropy.

    logits: float [N, 2, H, W]; target: share of vessel in each pixel, float [N, 1, H, W].
    """
    margin = logits[:, 1:2] - logits[:, 0:1]
    cross_entropy = functional.binary_cross_entropy_with_logits(margin, target)
    probability = torch.sigmoid(margin)
    overlap = (probability * target).sum(dim=(1, 2, 3))
    total = (probability + target).sum(dim=(1, 2, 3))
    return ENTROPY_WEIGHT * cross_entropy + (1 - (2 * overlap + 1) / (total + 1)).mean()


def _step(network: UNet, optimizer: torch.optim.Optimizer, images: Tensor, masks: Tensor) -> float:
    network.train()
    optimizer.zero_grad(set_to_none=True)
    with half_precision():
        logits = network(images.contiguous(memory_format=torch.channels_last)).logits
    loss = segmentation_loss(logits.float(), masks)
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    return float(loss.detach())


def _sampler(canvases: Sequence[MaskedFrame], settings: PhaseSettings) -> Callable[[int], tuple[Tensor, Tensor]]:
    """Step number to its batch: the same number and seed give the same batch, whenever it is asked for."""
    infants = [c for c in canvases if c.frame.infant]
    others = [c for c in canvases if not c.frame.infant] or infants

    def batch(step: int) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((settings.seed, 1, step))
        settled = step >= SETTLING * settings.steps
        share, strength = (SETTLED_INFANT_SHARE, SETTLED_STRENGTH) if settled else (INFANT_SHARE, 1.0)
        samples = []
        for _ in range(settings.batch):
            pool = infants if rng.random() < share else others
            samples.append(augment(pool[rng.integers(len(pool))], rng, strength))
        images = torch.from_numpy(np.stack([s.image for s in samples]))
        masks: list[FloatArray] = [s.masks["vessels"] for s in samples]
        return to_images(images), to_masks(masks)

    return batch


def _averaged(state: PhaseState, size: NetworkSize) -> UNet:
    network = UNet(size)
    network.load_state_dict(state.average.state)
    return network.eval()


def _summary(figures: dict[str, ConfidenceInterval]) -> str:
    return "held-out Dice " + ", ".join(
        f"{device} {v.value:.3f} [{v.low:.3f}, {v.high:.3f}] n={v.frames}" for device, v in figures.items()
    )
