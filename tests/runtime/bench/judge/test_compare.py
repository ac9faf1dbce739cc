from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from runtime.bench.__main__ import main
from runtime.bench.errors import BenchError
from runtime.bench.judge.compare import compare, made_in_turns, timed
from runtime.bench.measure.benchmark import measure
from runtime.bench.measure.samples import Samples
from runtime.bench.measure.supply import Pool
from runtime.bench.options import LoadPlan, Until
from runtime.bench.report.export import to_json
from runtime.bench.schema import Report
from runtime.bundle import Bundle
from runtime.engines.fake import FakeEngine
from runtime.screener import Screener
from tests.runtime.bench.planned import pool
from tests.runtime.bench.report.test_report import make_report

NO_DIFFERENCE = {"alike", "undecided"}


def totals(rng: np.random.Generator, median_ms: float = 12.0, frames: int = 300) -> list[float]:
    """As a real engine gives: noise with a long tail, a slow wave from the clocks, now and then an outlier."""
    wave = 0.1 * np.sin(np.arange(frames) / 30 + rng.uniform(0, 6))
    values = median_ms * (1 + wave * 0.1) + rng.gamma(1.5, 0.2, frames) - 0.25
    values[rng.integers(0, frames, 3)] *= 3
    return [float(value) for value in values]


def test_two_runs_of_the_same_thing_show_no_difference(bundle: Bundle) -> None:
    rng = np.random.default_rng(5)
    results = [
        compare(
            (make_report(bundle, totals(rng)),), (make_report(bundle, totals(rng)),), max_regression=0.05, seed=seed
        )
        for seed in range(10)
    ]
    same = sum({line.result for line in found.lines} <= NO_DIFFERENCE for found in results)
    assert same >= 9


def test_two_runs_of_one_engine_with_delays_show_no_difference(bundle: Bundle) -> None:
    """Real clocks and sleeps. The two runs' frames come in turns, so that a busy machine slows both alike."""
    same = 0
    for attempt in range(3):
        first, second = _interleaved_runs(bundle, frames=40)
        found = compare((first,), (second,), max_regression=0.5, seed=attempt)
        same += not any(line.result not in NO_DIFFERENCE for line in found.lines if line.stage != "quality")
    assert same >= 2


def _interleaved_runs(bundle: Bundle, frames: int) -> tuple[Report, Report]:
    runs: tuple[list[float], list[float]] = ([], [])
    engine = FakeEngine()
    engine.segment_delay_ms, engine.classify_delay_ms = 4.0, 2.0
    with Screener(bundle, engine=engine, reject_repeats=False) as screener:
        supply: Pool = pool(2)
        for _ in range(frames):
            for run in runs:
                samples: Samples = measure(screener, supply, LoadPlan(), Until(1))
                run.append(float(samples.row_ms("total")[0]))
    return make_report(bundle, runs[0]), make_report(bundle, runs[1])


def flicker(rng: np.random.Generator, runs: int, frames: int, share: float) -> np.ndarray:
    """Speeds of runs made one after the other on a machine that wanders: noise with as much power in each octave."""
    n = 2 ** int(np.ceil(np.log2(runs * frames)))
    spectrum = rng.normal(size=n // 2 + 1) + 1j * rng.normal(size=n // 2 + 1)
    spectrum *= 1 / np.sqrt(np.maximum(1, np.arange(n // 2 + 1)))
    spectrum[0] = 0
    wave = np.fft.irfft(spectrum)[: runs * frames]
    return np.exp(wave / wave.std() * share).reshape(runs, frames)


def wandering(bundle: Bundle, rng: np.random.Generator, runs: int, slower: float = 0.0) -> list[Report]:
    """Runs one after the other, every second one slower by a share."""
    speeds = flicker(rng, runs, 300, 0.02)
    return [
        dated(make_report(bundle, [value * (1 + slower * (k % 2)) for value in totals(rng) * speeds[k]]), k)
        for k in range(runs)
    ]


def valid(report: Report) -> Report:
    """As of a quiet machine and a percentile that so few frames can tell."""
    return report.model_copy(update={"verdict": "PASS", "findings": ()})


def dated(report: Report, minute: int) -> Report:
    return report.model_copy(update={"created": f"2026-11-25T10:{minute:02}:00+00:00"})


def test_the_machines_wandering_is_no_difference(bundle: Bundle) -> None:
    """Its speed is another in the next run, which the frames of one run alone would call a difference."""
    rng = np.random.default_rng(11)
    runs = wandering(bundle, rng, 40)
    found = [compare(runs[i : i + 1], runs[i + 1 : i + 2], max_regression=0.0) for i in range(0, 40, 2)]
    assert sum({line.result for line in one.lines} <= NO_DIFFERENCE for one in found) >= 18
    widths = [line.high - line.low for one in found for line in one.lines if line.stage == "total"]
    assert max(widths) < 0.5, "an interval that says nothing would pass, too"


def test_a_series_of_runs_by_turns_shows_what_a_single_run_cannot(bundle: Bundle) -> None:
    rng = np.random.default_rng(12)
    alike, slowed = wandering(bundle, rng, 16), wandering(bundle, rng, 16, slower=0.05)
    same = compare(alike[::2], alike[1::2], max_regression=0.0)
    assert (same.runs, same.in_turns) == ((8, 8), True)
    assert {line.result for line in same.lines} <= NO_DIFFERENCE
    found = compare(slowed[::2], slowed[1::2], max_regression=0.02)
    line = next(line for line in found.lines if line.stage == "total" and line.percentile == 50)
    assert line.result == "slower"
    assert line.low < 0.05 < line.high
    assert any("total p50" in text for text in found.regressions)


def test_turns_are_told_from_the_times_of_the_runs(bundle: Bundle) -> None:
    runs = [dated(make_report(bundle, [10.0, 10.1] * 50), minute) for minute in range(6)]
    assert made_in_turns(runs[::2], runs[1::2])
    assert made_in_turns([runs[0], runs[3], runs[4]], [runs[1], runs[2], runs[5]]), "A B B A is by turns, too"
    assert not made_in_turns(runs[:3], runs[3:])
    assert not made_in_turns([runs[0]] * 3, [runs[0]] * 3)
    assert not made_in_turns(runs[:4], runs[4:])


def test_series_that_are_too_short_or_mixed_are_refused(bundle: Bundle) -> None:
    run = make_report(bundle, [10.0, 10.1] * 50)
    for a, b in (([run] * 2, [run] * 2), ([run], [run] * 3), ([run] * 5, [run] * 2)):
        with pytest.raises(BenchError, match="at least 3 each"):
            compare(a, b, max_regression=0.05)
    other = run.model_copy(update={"input": run.input.model_copy(update={"sha256": "cd" * 32})})
    with pytest.raises(BenchError, match="other input"):
        compare([run, run, other], [run] * 3, max_regression=0.05)


def test_a_slower_run_is_a_regression_with_its_size(bundle: Bundle) -> None:
    rng = np.random.default_rng(6)
    before, after = make_report(bundle, totals(rng)), make_report(bundle, totals(rng, 14.4))
    found = compare((before,), (after,), max_regression=0.05)
    line = next(line for line in found.lines if line.stage == "total")
    assert line.result == "slower"
    assert line.low < line.change < line.high
    assert line.change == pytest.approx(0.2, abs=0.02)
    assert any("total p50" in text for text in found.regressions)
    assert not compare((before,), (after,), max_regression=0.25).regressions
    back = compare((after,), (before,), max_regression=0.05)
    assert not back.regressions
    assert next(line for line in back.lines if line.stage == "total").result == "faster"


def test_a_slower_tail_is_seen_by_the_highest_percentile_that_both_can_state(bundle: Bundle) -> None:
    plain = make_report(bundle, [10.0 + 0.01 * (n % 7) for n in range(700)])
    tail = make_report(bundle, [(100.0 if n % 10 == 0 else 10.0) + 0.01 * (n % 7) for n in range(300)])
    assert (plain.percentile.p, tail.percentile.p) == (99, 99)
    plan, stated = tail.plan.model_copy(update={"percentile": 95}), tail.percentile.model_copy(update={"p": 95})
    for b in (tail, tail.model_copy(update={"plan": plan, "percentile": stated})):
        found = compare((valid(plain),), (valid(b),), max_regression=0.05)
        assert (found.answer, found.exit_code) == ("slower", 1)
        assert ("total", 95.0) in [(line.stage, line.percentile) for line in found.lines]


def test_runs_with_few_frames_that_were_read_are_refused(bundle: Bundle) -> None:
    few = make_report(bundle, totals(np.random.default_rng(1), frames=20))
    frames = few.frames.model_copy(update={"camera_to_result_ms": few.frames.camera_to_result_ms * 3})
    with pytest.raises(BenchError, match="at least 30 timed ones"):
        compare((few.model_copy(update={"frames": frames}),), (few,), max_regression=0.05)


def test_differences_too_small_to_be_told_are_none(bundle: Bundle) -> None:
    exact = [10.0 + (i % 7) / 1000 for i in range(200)]
    found = compare(
        (make_report(bundle, exact),), (make_report(bundle, [value * 1.01 for value in exact]),), max_regression=0
    )
    assert {line.result for line in found.lines} == {"alike"}
    assert not found.regressions


def test_a_small_stage_that_hardly_moves_the_whole_is_no_difference(bundle: Bundle) -> None:
    """Preprocess of 1.0 and of 1.1 ms in a frame of 20: a tenth of it, and half a percent of the whole."""
    rng = np.random.default_rng(9)
    before = make_report(bundle, totals(rng, 20.0))

    def with_preprocess(ms: float) -> Report:
        frames = before.frames
        noisy = tuple(float(value) for value in ms + rng.normal(0, 0.005, len(frames.number)))
        columns = {**frames.columns, "preprocess": noisy}
        return before.model_copy(update={"frames": frames.model_copy(update={"columns": columns})})

    def said(ms: float) -> tuple[str, float]:
        found = compare((with_preprocess(1.0),), (with_preprocess(ms),), max_regression=0.05)
        line = next(line for line in found.lines if line.stage == "preprocess")
        return line.result, round(line.change, 2)

    assert said(1.1) == ("alike", 0.1)
    assert said(1.3) == ("slower", 0.3)


def test_only_timed_frames_are_compared(bundle: Bundle) -> None:
    report = make_report(bundle, [10.0] * 40)
    columns = report.frames.columns
    half = {**columns, "classify": (*columns["classify"][:20], *[None] * 20)}
    cut = report.model_copy(update={"frames": report.frames.model_copy(update={"columns": half})})
    assert timed(cut, "total").size == 20
    with pytest.raises(BenchError, match="too few frames"):
        compare((make_report(bundle, [10.0] * 9),), (make_report(bundle, [10.0] * 9),), max_regression=0.05)


@pytest.mark.parametrize(
    ("part", "changes", "said"),
    [
        ("environment", {"machine_id": "other"}, "other machine"),
        ("environment", {"power_mode": "MAXN"}, "other power mode"),
        ("input", {"sha256": "cd" * 32}, "other input"),
        ("input", {"sha256": None}, "other input"),
        ("plan", {"load": "burst"}, "other load"),
        ("plan", {"rate_hz": 60.0}, "other rate_hz"),
    ],
)
def test_what_is_not_comparable_is_refused_unless_told(
    bundle: Bundle, part: str, changes: dict[str, object], said: str
) -> None:
    report = make_report(bundle, [10.0, 10.1] * 50)
    other = report.model_copy(update={part: getattr(report, part).model_copy(update=changes)})
    with pytest.raises(BenchError, match=said):
        compare((other,), (report,), max_regression=0.05)
    forced = compare((other,), (report,), max_regression=0.05, anyway=True)
    assert said in forced.differences[0]


def test_the_command_gives_table_json_and_exit_code(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(7)
    (tmp_path / "a.json").write_text(to_json(valid(make_report(bundle, totals(rng)))))
    (tmp_path / "b.json").write_text(to_json(valid(make_report(bundle, totals(rng, 15)))))
    a, b, out = str(tmp_path / "a.json"), str(tmp_path / "b.json"), tmp_path / "c.json"
    assert main(["compare", a, a]) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[-1].startswith("ALIKE within what matters: total p50 +0.0%")
    assert "A: bundle " in told
    assert "A and B are the same in all that is recorded" in told
    assert main(["compare", a, b, "--json", str(out)]) == 1
    assert "SLOWER, a REGRESSION: " in capsys.readouterr().out
    assert main(["compare", b, a]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("FASTER: total p50 by ")
    content = json.loads(out.read_text())
    assert (content["answer"], content["runs_needed"]) == ("slower", None)
    assert content["schema"] == "rop.bench-comparison/1"
    assert content["regressions"]
    assert main(["compare", a, b, "--max-regression", "60"]) == 0
    capsys.readouterr()
    (tmp_path / "b.json").write_text((tmp_path / "b.json").read_text()[:5000])
    assert main(["compare", a, b]) == 2
    error = capsys.readouterr().err
    assert "not a whole rop.bench/1 report" in error
    assert len(error.strip().splitlines()) == 1


def test_an_answer_that_cannot_be_printed_is_none(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(to_json(valid(make_report(bundle, totals(np.random.default_rng(7))))))
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "runtime.bench", "compare", str(path), str(path)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[4],
        )
    assert done.returncode == 2, "1 would say that it is slower"
    assert done.stderr == "runtime.bench: cannot write to standard output: No space left on device\n"


def test_folders_of_reports_are_compared(bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = wandering(bundle, np.random.default_rng(13), 8, slower=0.3)
    folders = {"a": runs[::2], "b": runs[1::2], "none": []}
    for name, reports in folders.items():
        (tmp_path / name).mkdir()
        for number, report in enumerate(reports):
            (tmp_path / name / f"{number}.json").write_text(to_json(valid(report)))
    a, b, none = (str(tmp_path / name) for name in folders)
    assert main(["compare", a, b]) == 1
    told = capsys.readouterr().out
    assert "4 runs each, by turns" in told
    assert "REGRESSION: " in told
    assert main(["compare", a, none]) == 2
    assert "holds no .json file" in capsys.readouterr().err
    assert main(["compare", a, str(tmp_path / "b" / "0.json")]) == 2
    assert "at least 3 each" in capsys.readouterr().err


def test_comparing_is_quick_enough_to_be_used(bundle: Bundle) -> None:
    rng = np.random.default_rng(8)
    reports = [make_report(bundle, totals(rng, frames=1000)) for _ in range(2)]
    start = time.process_time()
    compare(*[(report,) for report in reports], max_regression=0.05)
    assert time.process_time() - start < 10
