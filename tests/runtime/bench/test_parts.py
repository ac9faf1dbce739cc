"""What a run knows beside latencies: warm-up, energy, sizes, layers, baselines, charts, and advice that fits."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as oracle
from statsmodels.nonparametric.bandwidths import bw_silverman

from runtime.bench import baselines
from runtime.bench.__main__ import main
from runtime.bench.errors import BenchError
from runtime.bench.judge.compare import compare
from runtime.bench.judge.findings import Kind
from runtime.bench.judge.verdict import judge
from runtime.bench.measure.benchmark import CALM, MOST_WINDOWS, WINDOW, settled, warm_up
from runtime.bench.measure.clock import ManualClock
from runtime.bench.measure.energy import NOT_READABLE, NOT_THERE, EnergyCounter, energy_counters, from_powers, why_none
from runtime.bench.measure.layers import medians
from runtime.bench.measure.sampler import MachineLog, joined_logs
from runtime.bench.measure.samples import Samples, joined_samples
from runtime.bench.measure.supply import Pool
from runtime.bench.options import Goals, ModelOptions
from runtime.bench.report.charts import Curve, bandwidth, density, distribution, kernel_density
from runtime.bench.report.page import render, render_comparison
from runtime.bench.report.table import print_report
from runtime.bench.schema import FindingPart
from runtime.bundle import Bundle
from runtime.engines import layer_times
from runtime.engines.base import LayerTime
from runtime.engines.tensorrt.layers import profiled
from runtime.errors import EngineError
from runtime.preprocess import network_input
from tests.pictures import retina
from tests.runtime.bench.judge.test_verdict import evidence
from tests.runtime.bench.planned import PlannedReader, pool, samples_of
from tests.runtime.bench.report.test_report import make_report
from tests.runtime.engines.tensorrt.fake_plans import both_plans, fake_machine, write_plans
from tests.runtime.engines.tiny import tiny_bundle


def test_the_warm_up_ends_when_nothing_is_gained_any_more() -> None:
    clock = ManualClock()
    reader = PlannedReader(clock, lambda number: 100 - min(number, 80))
    found = warm_up(reader, pool(), None, clock=clock)
    assert found.steady is True
    # Down to the 80th frame; then the window that is the lowest, and three that are not lower.
    assert 80 + WINDOW * CALM <= found.frames <= 80 + WINDOW * (CALM + 1)
    ever = warm_up(PlannedReader(ManualClock(), lambda n: 1.0), pool(), 7)
    assert (ever.frames, ever.steady) == (7, None)
    clock = ManualClock()
    falling = warm_up(PlannedReader(clock, lambda number: 1000 * 0.97**number + 1e-6), pool(), None, clock=clock)
    assert (falling.frames, falling.steady) == (WINDOW * MOST_WINDOWS, False)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(1, 9), min_size=WINDOW * (CALM + 1), max_size=WINDOW * (CALM + 1)))
def test_a_speed_that_wanders_is_no_gain_for_ever(took: list[float]) -> None:
    """Whatever comes, repeated it ends: only a new lowest goes on."""
    assert settled(took * (CALM + 1))


def test_energy_is_counted_over_the_end_of_a_counter() -> None:
    values = iter([900.0, 990.0, 40.0, 100.0])
    counter = EnergyCounter("package-0", lambda: next(values), comes_round=1000.0)
    assert counter.start()
    for _ in range(3):
        counter.take()
    assert counter.joules == pytest.approx(200)
    counter.take()  # it has gone: no figure is better than a wrong one
    assert counter.joules is None
    values = iter([900.0, 100.0])
    back = EnergyCounter("gpu", lambda: next(values))
    assert back.start()
    back.take()
    assert back.joules is None


def test_rapls_packages_and_memory_are_found(tmp_path: Path) -> None:
    zones = {"intel-rapl:0": "package-0", "intel-rapl:0:0": "core", "intel-rapl:0:1": "dram", "intel-rapl:1": "psys"}
    for zone, name in zones.items():
        folder = tmp_path / "class/powercap" / zone
        folder.mkdir(parents=True)
        (folder / "name").write_text(name + "\n")
        (folder / "max_energy_range_uj").write_text("262143328850\n")
        (folder / "energy_uj").write_text("1000000\n")
    found = energy_counters(tmp_path)
    assert [counter.name for counter in found] == ["package-0", "package-0:dram"]
    assert found[0].start()
    (tmp_path / "class/powercap/intel-rapl:0/energy_uj").write_text("3500000\n")
    found[0].take()
    assert found[0].joules == pytest.approx(2.5)
    assert why_none(tmp_path) == NOT_READABLE
    assert why_none(tmp_path / "none") == NOT_THERE


@given(st.lists(st.tuples(st.floats(0.01, 5), st.floats(0, 500)), min_size=2, max_size=30))
def test_energy_of_watts_is_their_integral(steps: list[tuple[float, float]]) -> None:
    at_s = np.cumsum([step for step, _ in steps])
    watts = [watt for _, watt in steps]
    found = from_powers(list(at_s), {"VDD_IN_w": watts, "cpu_mhz": watts})
    assert found == {"VDD_IN": pytest.approx(float(np.trapezoid(watts, at_s)), rel=1e-12, abs=1e-12)}
    assert from_powers([1.0], {"VDD_IN_w": [5.0]}) == {}


def test_energy_is_told_or_why_not(bundle: Bundle) -> None:
    samples = samples_of([10.0] * 40)
    told = io.StringIO()
    print_report(make_report(bundle, samples=samples), told)
    assert "energy: cannot be told: " in told.getvalue()
    log = MachineLog(joules={"package-0": 80.0})
    parts = make_report(bundle, samples=samples, machine=log).energy
    assert parts is not None
    assert (parts.joules_per_frame, parts.why_none) == ({"package-0": 2.0}, "")


def test_sizes_are_told_apart(bundle: Bundle) -> None:
    samples = samples_of([10.0, 40.0] * 40)
    mixed = Samples(0, samples.ended_ns)
    mixed.own_ns = samples.own_ns
    sides = ((640, 480), (2040, 2040))
    mixed.frames.extend(
        sample._replace(width=sides[n % 2][0], height=sides[n % 2][1]) for n, sample in enumerate(samples.frames)
    )
    report = make_report(bundle, samples=mixed)
    assert {size: (row.n, row.p50) for size, row in report.by_size.items()} == {
        "640x480": (40, 10.0),
        "2040x2040": (40, 40.0),
    }
    assert report.frames.size[:2] == ("640x480", "2040x2040")
    told = io.StringIO()
    print_report(report, told)
    assert "total of 2040 x 2040: n 40, mean 40.00, p50 40.00, p95 -" in told.getvalue()
    assert make_report(bundle, samples=samples).by_size == {}
    facts = Pool(
        [*pool(2).frames, *(replace(f, pixels=np.zeros((99, 99, 3), np.uint8)) for f in pool(1).frames)]
    ).facts("x")
    assert (facts.width, sorted(facts.sizes.values())) == (None, [1, 2])


def test_turns_are_put_end_to_end() -> None:
    turns = [samples_of([10.0] * 5), samples_of([20.0] * 7)]
    turns[1] = replace(turns[1], started_ns=0)
    joined = joined_samples(turns)
    assert joined.seconds == pytest.approx(sum(turn.seconds for turn in turns))
    assert [sample.number for sample in joined.frames] == list(range(12))
    assert list(joined.camera_to_result_ms()) == [10.0] * 5 + [20.0] * 7
    logs = [
        MachineLog(
            times_ns=[10**9, 3 * 10**9], values={"a": [1.0, 2.0]}, other_cores=1.0, throttled=["x"], joules={"p": 1}
        ),
        MachineLog(times_ns=[9 * 10**9], values={"b": [5.0]}, other_cores=0.0, throttled=["x", "y"], joules={"p": 2}),
    ]
    log = joined_logs(logs, [3.0, 1.0])
    assert log.times_ns == [10**9, 3 * 10**9, 4 * 10**9]
    assert log.values == {"a": [1.0, 2.0, None], "b": [None, None, 5.0]}
    assert (log.other_cores, log.throttled, log.joules) == (0.75, ["x", "y"], {"p": 3})


@pytest.mark.parametrize(
    ("precision", "model", "advised", "not_advised"),
    [
        ("fp32", ModelOptions(), "--precision int8, another --engine", "--threads"),
        ("int8", ModelOptions(), "another --engine", "--precision"),
        ("int8", ModelOptions(engine="openvino", threads=1), "more --threads (now 1 of 2 cores)", "--engine"),
        ("int8", ModelOptions(engine="openvino"), "a faster machine", "try"),
    ],
)
def test_nothing_is_advised_that_is_in_force(
    precision: str, model: ModelOptions, advised: str, not_advised: str
) -> None:
    given = replace(evidence([30.0] * 700), goals=Goals(99, 20.0), precision=precision, model=model)
    given = replace(given, machine=replace(given.machine, cores=2))
    (found,) = [finding for finding in judge(given).findings if finding.kind is Kind.OVER_BUDGET]
    assert advised in found.advice
    assert not_advised not in found.advice


def test_the_density_is_a_gaussian_kernels() -> None:
    rng = np.random.default_rng(1)
    values = np.sort(rng.gamma(9, 1.2, 5000))
    width = bandwidth(values, 1e-9)
    assert width == pytest.approx(bw_silverman(values), rel=1e-12)
    at = np.linspace(0, 40, 60)
    expected = oracle.gaussian_kde(values, width / values.std(ddof=1))(at)
    np.testing.assert_allclose(kernel_density(values, at, width), expected, rtol=1e-9, atol=1e-14)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.001, 1e5), min_size=1, max_size=80), st.booleans())
def test_charts_hold_whatever_was_measured(values: list[float], twice: bool) -> None:
    """Every dot lies on its curve, every label inside the picture, and no two labels on one another."""
    curves = [Curve.of(np.array(values)), *([Curve.of(np.array(values) * 1.5, "B")] if twice else [])]
    picture = distribution(curves, 20.0, (50.0, 90.0, 99.0)) + density(curves, None)
    assert "nan" not in picture
    lines = [line.split() for line in re.findall(r'class="trace" points="([^"]*)"', picture)]
    vertices = {vertex for line in lines for vertex in line}
    dots = re.findall(r'<circle class="dot" cx="([\d.]+)" cy="([\d.]+)"', picture)
    assert dots
    assert {f"{x},{y}" for x, y in dots} <= vertices
    labels = re.findall(r'<text class="strong" x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)">(?:p\d|max)', picture)
    places = [(float(x) - (90 if anchor == "end" else 0), float(y)) for x, y, anchor in labels]
    assert all(0 <= x <= 800 for x, _ in places)
    for number, (x, y) in enumerate(places):
        assert all(abs(x - a) > 90 or abs(y - b) > 13 for a, b in places[:number])


def test_before_and_after_lie_over_one_another(bundle: Bundle) -> None:
    rng = np.random.default_rng(0)
    a, b = (make_report(bundle, list(rng.gamma(9, scale, 800))) for scale in (1.2, 1.5))
    page = render_comparison(compare((a,), (b,), max_regression=0.05), (a,), (b,))
    assert page.count("A, before") == page.count("B, after") == 2
    assert "trace before" in page
    assert not re.search(r"<script|(src|href)=|url\(|https?://", page)
    assert "<h2>Layers</h2>" not in render(a)


def test_layers_are_told_by_both_engines(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "tiny")
    images = [network_input(retina(seed)) for seed in range(2)]
    runs = layer_times(bundle, "openvino", "fp32", 1, images)
    assert len(runs) == 2
    assert {layer.network for layer in runs[0]} == {"segmentation", "classifier"}
    # OpenVINO takes a layer of less than a microsecond for one that did not run.
    large = [
        [layer.name for layer in run if re.match("Convolution|FullyConnected|MaxPool", layer.kind)] for run in runs
    ]
    assert large[0] == large[1]
    assert len(large[0]) == 6
    with pytest.raises(EngineError, match=r"tensorrt"):
        layer_times(bundle, "tensorrt", "fp32", 1, images)
    write_plans(bundle, both_plans(bundle))
    for machine in fake_machine(bundle):
        runs = profiled(machine.load(), images)
        assert len(runs) == 2
        assert {layer.network for layer in runs[1]} == {"segmentation", "classifier"}
    parts = medians([[LayerTime("n", "a", "", 1.0), LayerTime("n", "b", "", 3.0)]])
    assert [(part.name, part.share) for part in parts] == [("b", 0.75), ("a", 0.25)]


def test_baselines_are_kept_by_name(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = make_report(bundle)
    baselines.save(report, "monday", tmp_path)
    assert baselines.side(Path("monday"), tmp_path).reports == (report,)
    with pytest.raises(BenchError, match="baselines here: monday"):
        baselines.side(Path("tuesday"), tmp_path)
    with pytest.raises(BenchError, match="cannot be read"):
        baselines.side(Path("monday.json"), tmp_path)
    (tmp_path / "blocked").write_text("")
    with pytest.raises(BenchError, match="ROP_SITE_STATE"):
        baselines.place("monday", tmp_path / "blocked")


def test_a_baseline_is_replaced_with_a_word_and_by_nothing_that_decides_less(bundle: Bundle, tmp_path: Path) -> None:
    valid = make_report(bundle)
    ended = FindingPart(kind=Kind.SOURCE_ENDED.name, weight="invalid", text="planted", advice="none")
    invalid = valid.model_copy(update={"verdict": "INVALID", "findings": (ended,)})
    assert "decides nothing" in baselines.save(invalid, "monday", tmp_path)
    assert f"in place of the one of {invalid.created}" in baselines.save(valid, "monday", tmp_path)
    for worse, words in ((invalid, "INVALID"), (valid.model_copy(update={"interrupted": True}), "stopped")):
        said = baselines.save(worse, "monday", tmp_path)
        assert ("not kept" in said, words in said) == (True, True)
    assert baselines.side(Path("monday"), tmp_path).reports == (valid,)


def test_a_baseline_through_the_commands(
    write_bundle: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from runtime.bench import session as session_module
    from tests.runtime.bench.test_session import fake

    monkeypatch.setenv("ROP_SITE_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(session_module, "maker", lambda *_, repeats: fake())
    cv2.imwrite(str(tmp_path / "a.png"), retina(1)[..., ::-1])
    common = ["--bundle", str(write_bundle()), "--source", str(tmp_path / "a.png"), "--frames", "40", "--no-cold-start"]
    kept = ["--no-accuracy", "--percentile", "99", "--save-baseline", "monday"]
    assert main([*common, *kept]) == 2, "too few frames for a p99"
    assert main(["compare", "monday", "monday", "--html", str(tmp_path / "c.html")]) == 2
    assert "UNDECIDED" in capsys.readouterr().out
    assert "B, after" in (tmp_path / "c.html").read_text()
    assert main(["compare", "monday", "friday"]) == 2
    assert "baselines here: monday" in capsys.readouterr().err
