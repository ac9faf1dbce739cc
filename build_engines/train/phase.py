"""The loop of both training phases: batch after batch, with words, saved states and looks at held-out frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from build_engines.train.batches import prefetch
from build_engines.train.settings import PhaseSettings
from build_engines.train.state import PhaseState, Schedule, set_rate

Report = Callable[[str], None]
Batch = TypeVar("Batch")
SAY_EVERY = 20
"""Steps."""


@dataclass(frozen=True)
class TrainingPhase(Generic[Batch]):
    """What one phase does its own way."""

    name: str
    warm_up: int
    """The learning rate rises over one step in so many."""
    smoothing: float
    """Share of the earlier losses in those that are said."""
    sampler: Callable[[], Callable[[int], Batch]]
    """Made once there is a step to take: from the number of a step to its batch."""
    step: Callable[[Batch], Mapping[str, float]]
    """Takes a step; its losses by name."""
    validate: Callable[[], Iterable[str]]
    """What is to be said of held-out frames."""


def run_phase(
    phase: TrainingPhase[Batch], state: PhaseState, settings: PhaseSettings, saved: Path, report: Report
) -> None:
    """Train to the last step, or resume from the state in `saved`, where it is kept on the way."""
    if state.restore(saved):
        report(f"{phase.name}: resumed at step {state.step} of {settings.steps}")
    if state.step >= settings.steps:
        return
    schedule = Schedule(settings.steps, settings.peak_rate, warmup=max(settings.steps // phase.warm_up, 1))
    running: Mapping[str, float] = {}
    for batch in prefetch(phase.sampler(), state.step, settings.steps):
        set_rate(state.optimizer, schedule.rate(state.step))
        losses = phase.step(batch)
        state.average.update(state.module, state.step)
        state.step += 1
        kept = phase.smoothing if running else 0.0
        running = {name: kept * running.get(name, 0.0) + (1 - kept) * loss for name, loss in losses.items()}
        if state.step % SAY_EVERY == 0:
            said = ", ".join(f"{name} {loss:.4f}" for name, loss in running.items())
            report(f"{phase.name}: step {state.step} of {settings.steps}, {said}")
        if state.step % settings.save_every == 0 or state.step == settings.steps:
            state.save(saved)
        if state.step % settings.validate_every == 0:
            for line in phase.validate():
                report(f"{phase.name}: {line}")
