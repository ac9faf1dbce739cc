"""The search for the rate that a budget holds: against servers that are simulated, and through the command."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from runtime.bench import find_rate
from runtime.bench.__main__ import main
from runtime.bench.find_rate import FoundRate, search
from runtime.bench.judge.queue import highest_rate
from runtime.bench.measure.benchmark import measure
from runtime.bench.measure.clock import ManualClock
from runtime.bench.opened import Say
from runtime.bench.options import LoadPlan, Run, Until
from runtime.bench.schema import FindingPart, Report
from runtime.bundle import Bundle
from runtime.commands.stop import Interrupted, Stop
from tests.runtime.bench.planned import PlannedReader, pool
from tests.runtime.bench.report.test_report import make_report

Serve = Callable[[int, float], float]
"""What the n-th frame of a run takes at a rate, milliseconds."""


def measured_by(bundle: Bundle, serve: Serve, frames: int = 700) -> Callable[[float | None], Report]:
    """Runs of a simulated server, on a clock that is moved by hand."""

    def run(rate_hz: float | None) -> Report:
        clock, count = ManualClock(7_000_000), iter(range(frames))
        reader = PlannedReader(clock, lambda _: serve(next(count), rate_hz or math.inf))
        plan = LoadPlan() if rate_hz is None else LoadPlan("poisson", rate_hz)
        return make_report(bundle, samples=measure(reader, pool(), plan, Until(frames), clock=clock), plan=plan)

    return run


def of_equal_times(n: int, rate_hz: float) -> float:
    return 10.0


def test_the_found_rate_is_the_simulated_servers(bundle: Bundle) -> None:
    """A server of 40 ms on average, exponential: the highest rate is mu - ln(100) / budget, by the textbook."""
    times = np.random.default_rng(5).permutation(-40 * np.log1p(-(np.arange(2000) + 0.5) / 2000))
    found = search(measured_by(bundle, lambda n, rate: float(times[n]), 2000), 99, 500)
    assert found.verdict == "PASS"
    assert found.rate_hz == pytest.approx(25 - 1000 * math.log(100) / 500, rel=0.05)
    assert found.reports[0].plan.rate_hz is None
    assert found.reports[-1].plan.rate_hz == pytest.approx(found.rate_hz, rel=0.02)


TIMES: dict[str, Callable[[np.random.Generator], float]] = {
    "exponential": lambda rng: float(rng.exponential(10)),
    "one in ten four times as slow": lambda rng: 40.0 if rng.random() < 0.1 else 10.0,
}


@pytest.mark.parametrize("kind", TIMES)
def test_of_times_that_scatter_the_rate_is_told_to_what_it_is_known(bundle: Bundle, kind: str) -> None:
    """Each run draws its own; by the first that found itself again a rate was off by up to 21 %."""
    draw, rng, long = TIMES[kind], np.random.default_rng(7), np.random.default_rng(8)
    found = search(measured_by(bundle, lambda n, rate: draw(rng)), 99, 150)
    times = [draw(long) for _ in range(200_000)]
    true = highest_rate(times, [True] * len(times), p=99, budget_ms=150)
    assert true is not None
    assert found.verdict == "PASS"
    assert found.known_to is not None
    assert found.rate_hz == pytest.approx(true, rel=1.5 * max(found.known_to, 0.03))
    assert f"known to {found.known_to:.1%}" in found.why


def test_a_server_that_is_slower_when_it_rests_is_measured_where_it_counts(bundle: Bundle) -> None:
    """Twice as slow below full load: the slow server's rate is found, and not the one that the first run saw."""
    quick = search(measured_by(bundle, of_equal_times, 700), 99, 60)
    found = search(measured_by(bundle, lambda n, rate: 5.0 if rate == math.inf else 10.0, 700), 99, 60)
    assert quick.rate_hz is not None
    assert found.rate_hz == pytest.approx(quick.rate_hz, rel=0.02)
    assert found.next_hz[0] is not None
    assert found.next_hz[0] > 1.5 * quick.rate_hz


def test_a_budget_that_no_rate_holds_fails(bundle: Bundle) -> None:
    for budget_ms in (9.0, 10.001):
        found = search(measured_by(bundle, of_equal_times), 99, budget_ms)
        assert (found.verdict, found.rate_hz, len(found.reports)) == ("FAIL", None, 1)
        assert f"within {budget_ms:g} ms" in found.why


def test_a_rate_that_does_not_settle_is_no_answer(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_rate, "MOST_RUNS", 4)
    runs = iter([10.0, 20.0] * 4)
    run = None

    def serve(n: int, rate_hz: float) -> float:
        nonlocal run
        if n == 0:
            run = next(runs)
        assert run is not None
        return run

    found = search(measured_by(bundle, serve, 700), 99, 60)
    assert (found.verdict, found.rate_hz, len(found.reports)) == ("INVALID", None, 4)
    assert "did not settle" in found.why


@pytest.mark.parametrize(
    ("kind", "weight", "verdict"),
    [("CORES_TAKEN", "invalid", "INVALID"), ("TOO_FEW_SAMPLES", "invalid", "INVALID"), ("NO_RESULT", "fail", "FAIL")],
)
def test_a_run_that_says_nothing_finds_no_rate(bundle: Bundle, kind: str, weight: str, verdict: str) -> None:
    runs = measured_by(bundle, of_equal_times)
    finding = FindingPart.model_validate({"kind": kind, "weight": weight, "text": "so it was", "advice": "do this"})
    found = search(lambda rate: runs(rate).model_copy(update={"findings": (finding,)}), 99, 60)
    assert (found.verdict, found.rate_hz, found.why) == (verdict, None, "so it was; do this")


def test_a_stop_leaves_no_rate(bundle: Bundle) -> None:
    runs = measured_by(bundle, of_equal_times)

    def stopped(rate_hz: float | None) -> Report:
        if rate_hz is not None:
            raise Interrupted
        return runs(rate_hz)

    found = search(stopped, 99, 60)
    assert (found.verdict, found.rate_hz) == ("INVALID", None)
    with pytest.raises(Interrupted):
        search(lambda rate: stopped(1.0), 99, 60)


def through_the_command(monkeypatch: pytest.MonkeyPatch, bundle: Bundle, arguments: list[str]) -> tuple[int, list[Run]]:
    asked: list[Run] = []
    runs = measured_by(bundle, of_equal_times)

    def session(run: Run, command: tuple[str, ...], stop: Stop, say: Say) -> Report:
        asked.append(run)
        return runs(run.load.rate_hz)

    monkeypatch.setattr(find_rate, "run_session", session)
    return main(["--find-rate", *arguments]), asked


def test_the_command_tells_and_writes_the_rate(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, asked = through_the_command(
        monkeypatch, bundle, ["--budget-ms", "60", "--seed", "4", "--json", str(tmp_path / "rate.json")]
    )
    assert code == 0
    assert [run.load.kind for run in asked] == ["back-to-back", *["poisson"] * (len(asked) - 1)]
    assert all(run.load.seed == 4 for run in asked[1:])
    assert not any(run.beside.accuracy or run.beside.cold_start for run in asked)
    written = json.loads((tmp_path / "rate.json").read_text())
    assert (written["schema"], written["verdict"], len(written["reports"])) == ("rop.bench-rate/1", "PASS", len(asked))
    assert f"up to {written['rate_hz']:.2f} frames/s at random keep p99 within 60 ms" in capsys.readouterr().out
    for report in written["reports"]:
        Report.model_validate(report)
    assert through_the_command(monkeypatch, bundle, ["--budget-ms", "9"])[0] == 1
    assert "no rate" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--find-rate"], "--budget-ms"),
        (["--find-rate", "--budget-ms", "60", "--rate", "5"], "finds the rate itself"),
        (["--find-rate", "--budget-ms", "60", "--load", "camera"], "leave --load out"),
        (["--find-rate", "--budget-ms", "60", "--matrix"], "name one of them"),
        (["--find-rate", "--budget-ms", "60", "--csv", "x"], "--arrivals poisson"),
        (["--arrivals", "poisson", "--load", "back-to-back"], "leave --load out"),
        (["--arrivals", "poisson", "--rate", "0"], "--rate"),
        (["--find-rate", "--budget-ms", "60", "--miss-rate", "0.1"], "leave --miss-rate"),
        (["--find-rate", "--budget-ms", "60", "--stage-budget", "segment=5"], "leave --miss-rate"),
        (["--arrivals", "normal"], "poisson"),
        (["--seed", "3"], "without --arrivals"),
        (["--rate", "5"], "--arrivals poisson"),
    ],
)
def test_calls_that_make_no_sense_are_refused(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_an_answer_without_a_rate_is_plain_json(bundle: Bundle) -> None:
    found = FoundRate((make_report(bundle),), (None,), None, "FAIL", "no rate")
    assert json.loads(found.to_json())["rate_hz"] is None
