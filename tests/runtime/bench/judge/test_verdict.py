from __future__ import annotations

from array import array
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from runtime.bench.judge.findings import EXIT_CODES, Kind, Verdict, Weight
from runtime.bench.judge.stats import drift
from runtime.bench.judge.verdict import Evidence, judge
from runtime.bench.measure.sampler import Culprit, MachineLog
from runtime.bench.measure.sensors import QUOTA
from runtime.bench.options import Goals, LoadPlan, Until
from runtime.bench.schema import ColdStartPart
from runtime.outcome import Outcome
from tests.runtime.bench.planned import samples_of

QUIET = MachineLog(values={"cpu_mhz": [2000.0], "memory_mb": [100.0]}, times_ns=[0], cores=4)
STEADY = [10.0, 10.1, 10.2, 10.05] * 250


def evidence(totals: list[float] = STEADY, **changes: Any) -> Evidence:
    given = Evidence(
        samples=samples_of(totals),
        machine=QUIET,
        goals=Goals(99, 20),
        plan=LoadPlan("camera", 10),
        until=Until(len(totals)),
        stopped=False,
        unreadable=0,
        paced_by_camera=False,
        governor=None,
        soak=False,
    )
    return replace(given, **changes)


def kinds(verdict: Verdict) -> set[Kind]:
    return {finding.kind for finding in verdict.findings}


def test_a_steady_run_inside_its_budget_passes_without_a_word() -> None:
    verdict = judge(evidence())
    assert verdict == Verdict("PASS", ())
    assert [EXIT_CODES[word] for word in ("PASS", "FAIL", "INVALID")] == [0, 1, 2]


@pytest.mark.parametrize(
    ("goals", "kind"),
    [
        (Goals(99, 10.15), Kind.OVER_BUDGET),
        (Goals(99, 20, {"segment": 5}), Kind.OVER_BUDGET),
        (Goals(99, 20, {"total": 10}), Kind.OVER_BUDGET),
        (Goals(50, 10.19, miss_rate=0.1), Kind.MISSES),
    ],
)
def test_what_is_asked_and_not_kept_fails(goals: Goals, kind: Kind) -> None:
    verdict = judge(evidence(goals=goals))
    assert verdict.word == "FAIL"
    assert kind in kinds(verdict)


def test_the_percentile_decides_not_the_slowest() -> None:
    slow = [*STEADY[:-5], *[15.0] * 5]
    assert judge(evidence(slow, goals=Goals(99, 12))).word == "PASS"
    assert judge(evidence(slow, goals=Goals(99.5, 12))).word == "INVALID"
    close = judge(evidence([*STEADY[:-9], *[15.0] * 9], goals=Goals(99, 12)))
    assert (close.word, kinds(close)) == ("PASS", {Kind.NEAR_BUDGET})


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"totals": STEADY[:661]}, Kind.TOO_FEW_SAMPLES),
        ({"stopped": True}, Kind.STOPPED),
        ({"until": Until(2000)}, Kind.SOURCE_ENDED),
        ({"machine": replace(QUIET, throttled=["GPU power cap"])}, Kind.THROTTLED),
        ({"machine": replace(QUIET, clock_step_ms=-3_600_000)}, Kind.CLOCK_STEPPED),
        ({"machine": replace(QUIET, other_cores=0.5)}, Kind.CORES_TAKEN),
        ({"machine": replace(QUIET, stolen_cores=0.5)}, Kind.CORES_TAKEN),
        ({"totals": [*[10.0] * 400, *[11.5] * 400]}, Kind.DRIFT),
        ({"paced_by_camera": True, "plan": LoadPlan("camera", 12)}, Kind.CAMERA_TOO_SLOW),
    ],
)
def test_what_cannot_be_relied_on_is_invalid(changes: dict[str, Any], kind: Kind) -> None:
    verdict = judge(evidence(**changes))
    assert verdict.word == "INVALID"
    assert kinds(verdict) == {kind}


def test_661_are_too_few_for_p99_and_662_are_not() -> None:
    assert judge(evidence(STEADY[:662])).word == "PASS"


def test_invalid_comes_before_fail() -> None:
    verdict = judge(evidence(goals=Goals(99, 1), machine=replace(QUIET, throttled=["heat"])))
    assert verdict.word == "INVALID"
    assert [finding.kind for finding in verdict.findings] == [Kind.THROTTLED, Kind.OVER_BUDGET]


@pytest.mark.parametrize(
    ("reasons", "said", "not_said"),
    [
        ([QUOTA], "raise that quota", "cool"),
        (["cpu0 thermal throttling"], "cool", "quota"),
        ([QUOTA, "x"], "cool", "--cpus"),
    ],
)
def test_what_a_quota_slows_down_is_not_to_be_cooled(reasons: list[str], said: str, not_said: str) -> None:
    (finding,) = judge(evidence(machine=replace(QUIET, throttled=reasons))).findings
    assert said in finding.advice
    assert not_said not in finding.advice


def test_it_says_who_took_the_cores() -> None:
    machine = replace(QUIET, other_cores=1.5, preempted=812, culprits=(Culprit("updatedb", 77, 3.2),))
    text = judge(evidence(machine=machine)).findings[0].text
    assert "1.50 of 4 cores" in text
    assert "812 times" in text
    assert "updatedb (77) 3.2 s" in text


def test_a_frame_without_a_result_fails_the_run() -> None:
    given = evidence()
    given.samples.frames[7] = given.samples.frames[7]._replace(
        timings=replace(given.samples.frames[7].timings, classify=None),
        outcome=Outcome.NO_RESULT,
        reason="openvino: segment failed",
    )
    verdict = judge(given)
    assert verdict.word == "FAIL"
    assert "openvino: segment failed" in verdict.findings[0].text


def test_thirds_that_differ_by_chance_are_no_drift() -> None:
    rng = np.random.default_rng(3)
    few = list(10 * np.exp(rng.normal(0, 0.4, 60)))
    while abs(drift(few)) <= 0.1:
        few = list(10 * np.exp(rng.normal(0, 0.4, 60)))
    verdict = judge(evidence(few, goals=Goals(50, 100)))
    assert verdict.word == "PASS"
    assert Kind.SCATTER in kinds(verdict)
    drifting = [value * (1 if n < 30 else 3) for n, value in enumerate(few)]
    assert Kind.DRIFT in kinds(judge(evidence(drifting, goals=Goals(50, 100))))


def test_a_run_that_doubles_is_never_excused_by_chance() -> None:
    """Ten frames a third, of which the last are now quick, now slow: its interval is as wide as it likes."""
    rng = np.random.default_rng(4)
    wild = [10.0] * 20 + [float(10 * value) for value in np.exp(rng.normal(0.7, 1.0, 10))]
    assert drift(wild) > 0.8
    verdict = judge(evidence(wild, goals=Goals(50, 1000)))
    assert verdict.word == "INVALID"
    assert Kind.SCATTER not in kinds(verdict)


COLD = ColdStartPart(
    processes=4, interpreter=20, import_runtime=40, open_bundle=80, compile=900, load=300, first_result=60,
    second_result=40, first_after_idle=45, idle_s=1, other_cores=0.1, spread=1.05,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"other_cores": None, "spread": None}, None),
        ({"other_cores": 1.76}, "other processes took 1.76 of 4 cores meanwhile"),
        ({"spread": 3.1}, "the slowest of 3 equal starts took 3.10 x the quickest"),
    ],
)
def test_a_spoilt_cold_start_is_said(changes: dict[str, object], said: str | None) -> None:
    verdict = judge(evidence(cold_start=COLD.model_copy(update=changes)))
    assert verdict.word == "PASS"
    assert [f.text.rpartition(": ")[2] for f in verdict.findings] == ([] if said is None else [said])


def test_outliers_are_reported() -> None:
    verdict = judge(evidence([*STEADY[:-1], 90.0]))
    assert (verdict.word, kinds(verdict)) == ("PASS", {Kind.OUTLIERS})


def test_a_soak_finds_a_leak_and_a_slowing_machine() -> None:
    rng = np.random.default_rng(0)
    steady = list(rng.normal(10, 0.2, 3000))
    memory: list[float | None] = list(rng.normal(300, 0.3, 1800))
    leaking: list[float | None] = list(300 + np.linspace(0, 20, 1800) + rng.normal(0, 0.3, 1800))
    soak = {"soak": True, "until": Until(seconds=1800)}

    def watched(memory_mb: list[float | None]) -> MachineLog:
        return replace(QUIET, times_ns=[k * 10**9 for k in range(1800)], values=QUIET.values | {"memory_mb": memory_mb})

    assert judge(evidence(steady, machine=watched(memory), **soak)) == Verdict("PASS", ())
    leak = judge(evidence(steady, machine=watched(leaking), **soak))
    assert (leak.word, kinds(leak)) == ("FAIL", {Kind.MEMORY_GROWS})
    slowing = judge(evidence(list(np.linspace(10, 12.5, 3000)), **soak))
    assert (slowing.word, kinds(slowing)) == ("FAIL", {Kind.LATENCY_GROWS})


def test_what_the_samples_themselves_take_is_no_leak() -> None:
    """As many frames, of 165 bytes each, as would count as a leak twice over."""
    frames = 50_000
    given = evidence([10.0] * 3000, soak=True, until=Until(seconds=frames / 10))
    times_ns = [round(k * frames / 600 * 1e8) for k in range(600)]
    grown_mb = given.samples.own_mb(times_ns)
    assert grown_mb[-1] == pytest.approx(3000 * 165 / 1e6)
    many = [given.samples.frames[0]._replace(number=k, done_ns=k * 10**8) for k in range(frames)]
    given.samples.frames[:] = many
    grown_mb = given.samples.own_mb(times_ns)
    assert grown_mb[-1] == pytest.approx(frames * 165 / 1e6, rel=0.01)
    log = replace(QUIET, times_ns=times_ns, values=QUIET.values | {"memory_mb": [300 + mb for mb in grown_mb]})
    assert Kind.MEMORY_GROWS not in kinds(judge(replace(given, machine=log)))


def test_every_kind_has_advice_that_reads_as_one_line() -> None:
    for kind in Kind:
        assert isinstance(kind.weight, Weight)
        assert 10 < len(kind.advice) < 110
        assert not kind.advice.endswith(".")


def test_too_much_work_of_the_benchmarks_own_is_said() -> None:
    given = evidence()
    given.samples.own_ns[:] = array("q", [51_000] * len(given.samples.own_ns))
    assert Kind.OVERHEAD in kinds(judge(given))
    assert Kind.OVERHEAD not in kinds(judge(replace(given, plan=LoadPlan("idle"))))


def test_a_lost_camera_and_a_part_that_failed_are_invalid() -> None:
    given = evidence(failed_parts=("accuracy could not be measured: no",))
    given.samples.lost = "camera:0 is gone"
    verdict = judge(given)
    assert verdict.word == "INVALID"
    assert {Kind.CAMERA_LOST, Kind.PART_FAILED} <= kinds(verdict)
