"""What a training phase keeps between steps, so that it can stop at any moment and go on: weights, averages, step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from build_engines.train.recipe import Recipe, require_same
from device.outputs import PUBLIC, writing


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then a cosine to nearly nothing."""

    steps: int
    peak: float
    warmup: int

    def rate(self, step: int) -> float:
        """Learning rate at a step counted from 0."""
        if step < self.warmup:
            return self.peak * (step + 1) / self.warmup
        part = (step - self.warmup) / max(self.steps - self.warmup, 1)
        return self.peak * (0.005 + 0.995 * 0.5 * (1 + math.cos(math.pi * min(part, 1.0))))


class WeightAverage:
    """Exponential moving average of a module's state, batch-norm statistics included."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """Fold the module's present state in; early steps count more (decay grows to its limit)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)


@dataclass
class PhaseState:
    """A training phase under way. Everything in it is saved and restored together."""

    module: nn.Module
    optimizer: torch.optim.Optimizer
    average: WeightAverage
    recipe: Recipe
    """What the training rests on."""
    step: int = 0

    def save(self, path: Path) -> None:
        """Write beside and rename, so that a crash leaves the earlier state whole."""
        state = {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state,
            "step": self.step,
            "recipe": dict(self.recipe),
        }
        with writing(path, PUBLIC) as file:
            torch.save(state, file)

    def restore(self, path: Path) -> bool:
        """Take up a saved state; False where there is none. Raises `TrainingDataError` for one of another recipe."""
        if not path.is_file():
            return False
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        require_same(path, saved.get("recipe"), self.recipe)
        self.module.load_state_dict(saved["module"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.average.state = saved["average"]
        self.step = saved["step"]
        return True


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """One learning rate for every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def decay_groups(modules: list[nn.Module], weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups: weights of more than one dimension decay, biases, norms and scales do not."""
    parameters: list[Tensor] = [p for module in modules for p in module.parameters() if p.requires_grad]
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
