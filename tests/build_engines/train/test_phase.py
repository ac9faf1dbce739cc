from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from build_engines.train.phase import TrainingPhase, run_phase
from build_engines.train.settings import PhaseSettings
from build_engines.train.state import PhaseState, WeightAverage


class Stopped(Exception):
    """As if the power had gone."""


class Made:
    """A phase on one weight whose loss is the number of its step; notes what it was asked."""

    def __init__(self, smoothing: float = 0.5, stop_at: int | None = None) -> None:
        module = nn.Linear(1, 1)
        optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
        self.state = PhaseState(module, optimizer, WeightAverage(module, 0.9), {"seed": "1"})
        self.steps: list[int] = []
        self.rates: list[float] = []
        self.samplers = self.looks = 0
        self.lines: list[str] = []
        self.stop_at = stop_at
        self.phase = TrainingPhase("toy", 10, smoothing, self.sampler, self.step, self.validate)

    def sampler(self) -> Callable[[int], int]:
        self.samplers += 1
        return lambda number: number

    def step(self, batch: int) -> dict[str, float]:
        if batch == self.stop_at:
            raise Stopped
        self.steps.append(batch)
        self.rates.append(self.state.optimizer.param_groups[0]["lr"])
        return {"loss": float(batch), "other": 1.0}

    def validate(self) -> list[str]:
        self.looks += 1
        return [f"look {self.looks}"]

    def run(self, settings: PhaseSettings, saved: Path) -> Made:
        run_phase(self.phase, self.state, settings, saved, self.lines.append)
        return self


def settings(steps: int, save_every: int = 50, validate_every: int = 300) -> PhaseSettings:
    return PhaseSettings(steps=steps, batch=1, peak_rate=1.0, save_every=save_every, validate_every=validate_every)


def test_every_step_is_taken_once_with_the_schedules_rate(tmp_path: Path) -> None:
    made = Made().run(settings(40), tmp_path / "state.pt")
    assert made.steps == list(range(40))
    assert made.rates[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert made.rates[-1] < 0.1
    assert made.state.step == 40
    assert made.samplers == 1


def test_losses_are_said_smoothed_and_held_out_frames_looked_at(tmp_path: Path) -> None:
    made = Made(smoothing=0.5).run(settings(40, validate_every=15), tmp_path / "state.pt")
    assert made.lines == [
        "toy: look 1",
        "toy: step 20 of 40, loss 18.0000, other 1.0000",
        "toy: look 2",
        "toy: step 40 of 40, loss 38.0000, other 1.0000",
    ]


def test_a_phase_that_was_stopped_goes_on_behind_its_last_saved_state(tmp_path: Path) -> None:
    saved = tmp_path / "state.pt"
    with pytest.raises(Stopped):
        Made(stop_at=8).run(settings(10, save_every=3), saved)
    made = Made().run(settings(10, save_every=3), saved)
    assert made.lines[0] == "toy: resumed at step 6 of 10"
    assert made.steps == [6, 7, 8, 9]


def test_a_phase_that_is_done_loads_no_data(tmp_path: Path) -> None:
    saved = tmp_path / "state.pt"
    Made().run(settings(3), saved)
    made = Made().run(settings(3), saved)
    assert (made.steps, made.samplers, made.lines) == ([], 0, ["toy: resumed at step 3 of 3"])
