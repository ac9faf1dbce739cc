"""`--sweep`: the same run with other threads, sizes, precisions, engines or rates, every combination by turns."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from runtime.bench.errors import BenchError
from runtime.bench.matrix import MatrixTable
from runtime.bench.opened import Say
from runtime.bench.options import Run, Sweep
from runtime.bench.turns import run_by_turns
from runtime.commands.stop import Stop
from runtime.errors import EngineError

SCHEMA = "rop.bench-sweep/1"
MOST = 48
"""Combinations: each keeps an engine open."""


def runs_of(asked: Sweep) -> dict[str, Run]:
    """Every combination by its name, the last axis the quickest. Raises `BenchError` of too many."""
    names = [name for name, _ in asked.axes]
    runs = {}
    for values in product(*(values for _, values in asked.axes)):
        run = asked.run
        for name, value in zip(names, values, strict=True):
            run = _with(run, name, value)
        runs[", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))] = run
    if len(runs) > MOST:
        raise BenchError(f"--sweep: {len(runs)} combinations, at most {MOST} stay open at once; sweep fewer values")
    return runs


def run_sweep(asked: Sweep, command: tuple[str, ...], stop: Stop, say: Say) -> MatrixTable:
    """Measure all by turns. Raises what `run_session` raises, and `EngineError` when nothing can be loaded."""
    measured = run_by_turns(runs_of(asked), asked.turns, command, stop, say)
    if not measured.reports and not stop.requested:
        raise EngineError("; ".join(measured.left_out))
    return MatrixTable(measured, next(iter(measured.reports), None), SCHEMA)


def _with(run: Run, name: str, value: str) -> Run:
    """The run with one thing changed."""
    if name == "threads":
        return replace(run, model=replace(run.model, threads=int(value)))
    if name == "rate":
        return replace(run, load=replace(run.load, rate_hz=float(value)))
    if name == "size":
        return replace(run, source=_sized(run.source, value))
    model = replace(run.model, engine=value) if name == "engine" else replace(run.model, precision=value)
    return replace(run, model=model)


def _sized(source: str, size: str) -> str:
    """The simulated camera's source with frames of that size."""
    from device.cameras.simulated import SimulatedConfig

    width, height = map(int, size.split("x"))
    try:
        return str(replace(SimulatedConfig.parse(source), size=(width, height)))
    except ValueError as error:
        raise BenchError(f"--sweep size={size}: {error}") from None
