"""`--find-rate`: the highest rate of random arrivals at which the percentile keeps to the budget, measured there."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from typing import TextIO

from runtime.bench.judge.findings import Word
from runtime.bench.judge.queue import highest_rate, rate_spread
from runtime.bench.opened import Say
from runtime.bench.options import NOTHING_BESIDE, FindRate, LoadPlan
from runtime.bench.report.export import series_to_json
from runtime.bench.report.table import COLOURS, figure, head_lines
from runtime.bench.schema import Report
from runtime.bench.session import run_session
from runtime.commands.stop import Interrupted, Stop
from runtime.commands.table import console_for, print_table
from runtime.commands.text import printable

SETTLED = 0.02
"""The search ends when a run at a rate finds that rate again to this share of it."""
KNOWN = 0.05
"""And when the rate is known to this share, with 95 % confidence: reading times that scatter want more runs."""
NEAR = 0.1
"""Runs at rates that lie so close to one another, as a share, are taken for one: their reading times are pooled."""
MOST_RUNS = 12
"""After which it gives up: the machine's speed wanders."""
LEAST_SHARE = 1 / 16
"""Of the rate at which the reader is never idle: below it a run takes too long to be worth it, and no rate is named."""


@dataclass(frozen=True)
class FoundRate:
    """The runs of a search, the first with a frame when the one before is done, and what they say."""

    reports: tuple[Report, ...]
    next_hz: tuple[float | None, ...]
    """What each of them, with those before it near its rate, says that the highest rate is; None where none holds."""
    rate_hz: float | None
    verdict: Word
    why: str
    known_to: float | None = None
    """By what share the rate may be off, at 95 % confidence; over `KNOWN` only where `MOST_RUNS` were not enough."""

    def to_json(self) -> str:
        """`rop.bench-rate/1`: the answer, and every run's whole report."""
        plan = self.reports[0].plan
        head = {
            "schema": "rop.bench-rate/1",
            "verdict": self.verdict,
            "why": self.why,
            "rate_hz": self.rate_hz,
            "known_to": self.known_to,
            "percentile": plan.percentile,
            "budget_ms": plan.budget_ms,
            "found_hz": self.next_hz,
        }
        return series_to_json(head, self.reports)


def run_find_rate(asked: FindRate, command: tuple[str, ...], stop: Stop, say: Say) -> FoundRate:
    """Search as it is asked. Raises what `run_session` does, `Interrupted` when stopped before the first run's end.

    A run that is stopped later leaves what was found so far, with the verdict INVALID.
    """

    def measured(rate_hz: float | None) -> Report:
        say("as fast as it reads:" if rate_hz is None else f"{rate_hz:.2f} frames a second at random:")
        load = LoadPlan() if rate_hz is None else replace(asked.run.load, rate_hz=rate_hz)
        return run_session(replace(asked.run, load=load, beside=NOTHING_BESIDE), command, stop, say)

    return search(measured, asked.run.goals.percentile, asked.budget_ms)


def search(measure: Callable[[float | None], Report], p: float, budget_ms: float) -> FoundRate:
    """Measure at a rate, replay a long queue with those reading times, and measure at the rate that holds there.

    measure: a report of a run at that rate, or of one without waiting for None. Reading times may depend on the rate
    (an idle core sleeps and its caches are others'), so that only a rate that finds itself again is an answer. Further
    runs near it are pooled until it is known to `KNOWN`.
    """
    reports: list[Report] = []
    found: list[float | None] = []
    rates: list[float | None] = []
    asked: float | None = None
    rate, spread = None, math.inf

    def answer(verdict: Word, why: str, rate_hz: float | None = None) -> FoundRate:
        return FoundRate(tuple(reports), tuple(found), rate_hz, verdict, why)

    def passed(rate_hz: float) -> FoundRate:
        why = f"up to {rate_hz:.2f} frames/s at random keep p{p:g} within {budget_ms:g} ms, known to {spread:.1%}"
        more = "" if spread <= KNOWN else f" only, after {MOST_RUNS} runs; ask for more --frames"
        return replace(answer("PASS", why + more, rate_hz), known_to=spread)

    while len(reports) < MOST_RUNS:
        try:
            report = measure(asked)
        except Interrupted:
            if not reports:
                raise
            return answer("INVALID", "stopped by hand before the rate was found")
        reports.append(report)
        rates.append(asked)
        alike = [one for one, at in zip(reports, rates, strict=True) if _near(at, asked)]
        served, counted = (list(chain(*column)) for column in zip(*map(served_of, alike), strict=True))
        rate = highest_rate(served, counted, p=p, budget_ms=budget_ms) if served else None
        found.append(rate)
        for finding in report.findings:
            if finding.weight == "invalid":
                return answer("INVALID", f"{finding.text}; {finding.advice}")
            if finding.kind == "NO_RESULT":
                return answer("FAIL", f"{finding.text}; {finding.advice}")
        busiest = 1e3 * len(served) / sum(served) if served else 0.0
        if rate is None or rate < LEAST_SHARE * busiest:
            least = f"of at least 1/16 of what it can read ({busiest:.1f} frames/s)"
            return answer("FAIL", f"no rate {least} keeps p{p:g} within {budget_ms:g} ms")
        settled = asked is not None and abs(rate / asked - 1) <= SETTLED
        spread = rate_spread(served, counted, p=p, budget_ms=budget_ms) if settled else math.inf
        if spread <= KNOWN:
            return passed(rate)
        asked = rate
    if rate is not None and spread < math.inf:
        return passed(rate)
    told = ", ".join(f"{rate:.2f}" for rate in found if rate is not None)
    return answer("INVALID", f"the rate did not settle within {SETTLED:.0%} in {MOST_RUNS} runs ({told} frames/s)")


def _near(rate_hz: float | None, other_hz: float | None) -> bool:
    """Whether runs at these rates are taken for runs at one; None: without waiting."""
    if rate_hz is None or other_hz is None:
        return rate_hz is other_hz
    return abs(rate_hz / other_hz - 1) <= NEAR


def served_of(report: Report) -> tuple[list[float], list[bool]]:
    """What each frame of a run kept the next one waiting, milliseconds, and whether its latency counts."""
    served, free_ms = [], 0.0
    for at_s, age_ms in zip(report.frames.at_s, report.frames.columns["age"], strict=True):
        done_ms = at_s * 1e3 + (age_ms or 0.0)
        served.append(done_ms - max(at_s * 1e3, free_ms))
        free_ms = done_ms
    return served, [value is not None for value in report.frames.columns["classify"]]


def print_found(found: FoundRate, stream: TextIO) -> None:
    """A line a run, then the answer."""
    from rich.text import Text

    console = console_for(stream)
    first = found.reports[0]
    p = first.plan.percentile
    for line in head_lines(first)[:2]:
        console.print(Text(line))
    rows = [
        (
            "no rate, as fast as it reads" if report.plan.rate_hz is None else f"{report.plan.rate_hz:.2f} frames/s",
            figure(report.percentile.value_ms),
            "none" if rate is None else f"{rate:.2f}",
        )
        for report, rate in zip(found.reports, found.next_hz, strict=True)
    ]
    found_by = f"frames/s at which its reading times keep p{p:g} within {first.plan.budget_ms:g} ms"
    print_table(console, ("run at", f"p{p:g} of that run, ms", found_by), rows)
    console.print(Text.assemble((found.verdict, COLOURS[found.verdict]), Text(printable(f"  {found.why}"))))
