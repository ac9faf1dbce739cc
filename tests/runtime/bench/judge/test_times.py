"""Reports whose frames were made quicker than the clock of the same report says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from runtime.bench.judge.compare import compare
from runtime.bench.judge.times import times_apart
from runtime.bench.measure.samples import Samples
from runtime.bench.options import LoadPlan
from runtime.bench.report.assemble import row_part
from runtime.bench.report.export import to_json
from runtime.bench.schema import Report
from runtime.bundle import Bundle
from tests.runtime.bench.judge.test_compare import dated, valid
from tests.runtime.bench.planned import samples_of
from tests.runtime.bench.report.test_report import make_report


def run(bundle: Bundle, minute: int = 0, own_ms: float = 0.03, load: str = "back-to-back") -> Report:
    """Frames of about 10 ms, one after the other, the benchmark's own work between them."""
    totals = list(np.random.default_rng(minute).gamma(40, 0.25, 300))
    made, samples, now = samples_of(totals), Samples(0), 0
    for sample in made.frames:
        took = sample.done_ns - sample.begun_ns
        samples.frames.append(sample._replace(due_ns=now, begun_ns=now + 10_000, done_ns=now + 10_000 + took))
        samples.own_ns.append(10_000)
        now += 10_000 + took + round(own_ms * 1e6)
    samples.ended_ns = now
    report = make_report(bundle, samples=samples, plan=LoadPlan(load))  # type: ignore[arg-type]
    return dated(valid(report), minute)


def scaled(report: Report, factor: float, change: Callable[[dict[str, Any]], object] = lambda content: None) -> Report:
    """Every latency of the frames, and what is figured from them; checked as a file would be."""
    content = json.loads(to_json(report))
    frames = content["frames"]
    times = [*frames["columns"].values(), frames["camera_to_result_ms"]]
    for values in times:
        values[:] = [None if value is None else round(value * factor, 3) for value in values]
    for row, part in content["rows"].items():
        values = frames["columns"].get(row, frames["camera_to_result_ms"])
        kept = [value for value in values if value is not None]
        made = row_part(np.array(kept), part["budget_ms"])
        assert made is not None
        part |= made.model_dump()
    change(content)
    return Report.model_validate(content)


def test_an_honest_run_contradicts_nothing(bundle: Bundle) -> None:
    for own_ms in (0.0, 0.03, 0.2):
        assert not list(times_apart(run(bundle, own_ms=own_ms)))
    assert not list(times_apart(make_report(bundle)))
    assert not compare((run(bundle),), (run(bundle, 1),), max_regression=0.05).doubts


@pytest.mark.parametrize("factor", [0.001, 0.1, 0.7, 0.85])
def test_frames_that_were_scaled_decide_nothing(bundle: Bundle, factor: float) -> None:
    found = compare((run(bundle),), (scaled(run(bundle, 1), factor),), max_regression=0.05)
    assert (found.answer, found.exit_code) == ("undecided", 2)
    assert any("B contradicts itself: frames without a pause between them took" in doubt for doubt in found.doubts)


def test_of_a_series_the_run_is_named(bundle: Bundle) -> None:
    a, b = ([run(bundle, 2 * n + side) for n in range(3)] for side in (0, 1))
    found = compare(a, [*b[:2], scaled(b[2], 0.7)], max_regression=0.05)
    assert any("1 of 3 in B, run 3, contradicts itself: frames" in doubt for doubt in found.doubts)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["run"].update(frames_per_s=c["run"]["frames_per_s"] * 1.4), "frames/s over"),
        (lambda c: c["run"].update(seconds=c["run"]["seconds"] * 0.7), "frames/s over"),
        (
            lambda c: c["run"].update(
                seconds=c["run"]["seconds"] * 0.7, frames_per_s=c["run"]["frames_per_s"] / 0.7
            ),
            "the last result came",
        ),
        (
            lambda c: c["run"].update(seconds=c["run"]["seconds"] * 2, frames_per_s=c["run"]["frames_per_s"] / 2),
            "and the run went on to",
        ),
        (
            lambda c: c["frames"]["columns"].update(wait=[0.0] * 300, age=c["was"]),
            "totals are",
        ),
    ],
)  # fmt: skip
def test_each_time_is_held_against_the_others(
    bundle: Bundle, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    report = run(bundle)
    content = json.loads(to_json(report)) | {"was": list(report.frames.columns["age"])}
    if said == "totals are":
        content = json.loads(to_json(scaled(report, 0.7))) | {"was": content["was"]}
    change(content)
    frames = report.frames.model_copy(
        update={"columns": content["frames"]["columns"], "at_s": content["frames"]["at_s"]}
    )
    changed = report.model_copy(update={"run": report.run.model_copy(update=content["run"]), "frames": frames})
    assert any(said in text for text in times_apart(changed))


def test_where_frames_are_waited_for_nothing_is_held_against_the_pauses(bundle: Bundle) -> None:
    assert not list(times_apart(scaled(run(bundle, load="camera"), 0.7)))
