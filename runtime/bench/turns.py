"""Several runs by turns, A B C, B C A, ...: a slow minute of the machine falls on all of them alike."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from runtime.bench.beside import look_after
from runtime.bench.judge.stats import FEWEST_RUNS, Interval, runs_interval
from runtime.bench.measure.supply import Supply
from runtime.bench.opened import Say
from runtime.bench.options import Run, Until
from runtime.bench.schema import Report
from runtime.bench.session import Session, opened, opened_supply
from runtime.commands.stop import Interrupted, Stop
from runtime.errors import EngineError
from runtime.percentiles import percentile

SETTLING = 5
"""Frames at the head of a turn that are read and not timed: the caches hold another engine's weights."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Measured:
    """The reports of all that works, by name, what each turn's median was, and why the rest does not."""

    reports: Mapping[str, Report]
    medians_ms: Mapping[str, tuple[float, ...]]
    """Of the total, by turn; a turn in which nothing was timed is left out."""
    left_out: tuple[str, ...]

    def ratio(self, name: str, to: str) -> Interval | None:
        """How many times as long that one takes as `to`, from medians side by side; None from under three turns."""
        ours, theirs = self.medians_ms[name], self.medians_ms[to]
        if name == to or len(ours) != len(theirs) or len(ours) < FEWEST_RUNS:
            return None
        return runs_interval(theirs, ours, CONFIDENCE, in_turns=True)


def run_by_turns(runs: Mapping[str, Run], turns: int, command: tuple[str, ...], stop: Stop, say: Say) -> Measured:
    """Measure each in so many turns, its frames shared out among them; all engines stay open, each source is read once.

    What cannot load is left out with its reason. A stop ends with what was measured in whole turns. Raises what
    `run_session` raises, and `Interrupted` when no turn was done.
    """
    left_out: list[str] = []
    with contextlib.ExitStack() as stack:
        sessions = _opened(runs, stack, stop, say, left_out)
        for name, session in sessions.items():
            say(f"{name}: warming up")
            session.warm_up(stop)
        medians: dict[str, list[float]] = {name: [] for name in sessions}
        done = 0
        for turn in range(turns if sessions else 0):
            say(f"turn {turn + 1} of {turns}")
            if not _turn(sessions, turn, turns, medians, stop):
                break
            done += 1
        if sessions and not done:
            raise Interrupted
        reports = {}
        for name, session in sessions.items():
            if not stop.requested:
                look_after(session.opened, session.found, stop, lambda line, name=name: say(f"{name}: {line}"))  # type: ignore[misc]
            session.stopped = done < turns
            reports[name] = session.report(command)
    return Measured(reports, {name: tuple(found) for name, found in medians.items()}, tuple(left_out))


def _opened(
    runs: Mapping[str, Run], stack: contextlib.ExitStack, stop: Stop, say: Say, left_out: list[str]
) -> dict[str, Session]:
    sessions: dict[str, Session] = {}
    supplies: dict[str, Supply] = {}
    for name, run in runs.items():
        say(f"{name}: loading")
        one = replace(run, beside=replace(run.beside, cold_start=False))
        if run.source not in supplies:
            supplies[run.source] = stack.enter_context(opened_supply(run, stop))
        try:
            sessions[name] = stack.enter_context(opened(one, stop, supply=supplies[run.source]))
        except EngineError as error:
            left_out.append(f"{name}: {error}")
    return sessions


def _turn(
    sessions: Mapping[str, Session], turn: int, turns: int, medians: Mapping[str, list[float]], stop: Stop
) -> bool:
    """One turn of all, another one first each time; False when it was stopped, and nothing of it is kept."""
    names = list(sessions)
    first = turn % len(names)
    for name in (*names[first:], *names[:first]):
        session = sessions[name]
        session.settle(SETTLING, stop)
        session.measure(share_of(session.opened.run.until, turn, turns), stop)
        if stop.requested:
            break
    else:
        for name, session in sessions.items():
            totals = session.newest_totals_ms()
            if totals.size:
                medians[name].append(percentile(totals, 50))
        return True
    for session in sessions.values():
        session.keep(turn)
    return False


def share_of(until: Until, turn: int, turns: int) -> Until:
    """A turn's part of the frames, so that all parts together are as many."""
    if until.frames is None:
        return replace(until, seconds=(until.seconds or 0.0) / turns)
    return Until(frames=until.frames * (turn + 1) // turns - until.frames * turn // turns)
