"""Prints how often `compare` sees a difference where there is none, and misses one that is there.

`python tests/bench/compare_runs.py [--pairs 10] [--frames 300] [--slower 0.05] [--series 8] [--keep DIR]`: each round
is three runs of `runtime.bench`, each in a process of its own: A and B alike, and S whose frames take that much longer,
in turns A B S, S B A. A against B should show no difference; A against S a slower total, by single runs where the
machine is steady, by series of runs everywhere. Exit code 1 when fewer than nine in ten pairs are alike or a series
misses the slower total. With `--keep` valid reports that are there already are taken as they are, so that a long
series can be made in pieces.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from device.frame import Frame
from runtime.bench.arguments import parse
from runtime.bench.judge.compare import Comparison, compare
from runtime.bench.options import Single
from runtime.bench.report.export import read_report, to_json
from runtime.bench.schema import Report
from runtime.bench.session import run_session
from runtime.budget import Deadline
from runtime.bundle import Bundle
from runtime.commands.stop import Stop
from runtime.reading import Reading
from runtime.screener import Screener

NEEDED = 0.9
ATTEMPTS = 3


class SlowedScreener(Screener):
    """Computes for a share of a frame's time longer, which is a true slow-down of the total and of no stage."""

    share = 0.0

    def screen(self, frame: Frame, deadline: Deadline = Deadline(), *_: object) -> Reading:  # noqa: B008 (frozen)
        """The reading, that much later."""
        reading = super().screen(frame, deadline)
        total_ms = reading.timings_ms.total or 0.0
        began, work = time.perf_counter(), np.zeros(4096)
        while (more_ms := (time.perf_counter() - began) * 1e3) < self.share * total_ms:
            work += 1
        return replace(reading, timings_ms=replace(reading.timings_ms, total=total_ms + more_ms))


def measure(out: Path, frames: int, slower: float) -> None:
    """One run, to its report; the slowed and the unslowed take the same way."""

    def make(bundle: Bundle, precision: str) -> Screener:
        screener = SlowedScreener(bundle, precision=precision)
        screener.share = slower
        return screener

    asked = parse(["--frames", str(frames), "--percentile", "95", "--no-cold-start", "--no-accuracy"])
    assert isinstance(asked, Single)
    with Stop() as stop:
        report = run_session(asked.run, ("compare_runs",), stop, lambda line: None, make)
        if stop.requested:
            raise SystemExit(stop.exit_code)
    out.write_text(to_json(report), encoding="utf-8")


def run(out: Path, frames: int, slower: float) -> Report:
    """The report of one run in a fresh process, or the one that is there. An INVALID run is made again, as it says."""
    for _ in range(ATTEMPTS):
        if out.exists() and (report := read_report(out)).verdict != "INVALID":
            return report
        command = [sys.executable, __file__, "--one", str(out), "--frames", str(frames), "--slower", str(slower)]
        subprocess.run(command, check=True)
    return read_report(out)


def line(name: str, found: Comparison) -> str:
    """What a comparison said of the total, and what differed."""
    total = next(line for line in found.lines if line.stage == "total")
    said = ", ".join(
        f"{o.stage} p{o.percentile:g} {o.change:+.1%}" for o in found.lines if o.result in ("faster", "slower")
    )
    return (
        f"{name}: total p50 {total.a_ms:.2f} and {total.b_ms:.2f} ms, {total.change:+.1%} [{total.low:+.1%}, "
        f"{total.high:+.1%}]; {said or found.answer}{''.join(f'; {doubt}' for doubt in found.doubts)}"
    )


def alike(found: Comparison) -> bool:
    """Whether nothing is said to differ."""
    return all(line.result not in ("faster", "slower") for line in found.lines)


def slower_total(found: Comparison) -> bool:
    """Whether the total is said to be slower."""
    return any(line.result == "slower" for line in found.lines if line.stage == "total")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--series", type=int, default=8, help="runs a side that are held together")
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--slower", type=float, default=0.05)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        measure(options.one, options.frames, options.slower)
        return 0
    runs: dict[str, list[Report]] = {"a": [], "b": [], "s": []}
    single, slow_single = [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for pair in range(options.pairs):
            for name in "abs" if pair % 2 == 0 else "sba":
                slower = options.slower if name == "s" else 0.0
                runs[name].append(run(folder / f"{pair}{name}.json", options.frames, slower))
            same = compare(runs["a"][-1:], runs["b"][-1:], max_regression=0.0)
            slowed = compare(runs["a"][-1:], runs["s"][-1:], max_regression=0.0)
            single.append(alike(same))
            slow_single.append(slower_total(slowed))
            print(line(f"{pair} alike", same), line(f"{pair} {options.slower:+.0%}", slowed), sep="\n", flush=True)
    series, slow_series = [], []
    for start in range(0, options.pairs - options.series + 1, options.series):
        a, b, s = (runs[name][start : start + options.series] for name in "abs")
        same, slowed = compare(a, b, max_regression=0.0), compare(a, s, max_regression=0.0)
        series.append(alike(same))
        slow_series.append(slower_total(slowed))
        name = f"runs {start} to {start + options.series - 1}"
        print(line(f"{name} alike", same), line(f"{name} {options.slower:+.0%}", slowed), sep="\n")
    print(f"no difference of two runs alike: {sum(single)} of {len(single)}, of series: {sum(series)} of {len(series)}")
    print(
        f"a total {options.slower:.0%} slower was found by two runs: {sum(slow_single)} of {len(slow_single)}, "
        f"by series: {sum(slow_series)} of {len(slow_series)}"
    )
    return 0 if sum(single) >= NEEDED * len(single) and all(slow_series) else 1


if __name__ == "__main__":
    sys.exit(main())
