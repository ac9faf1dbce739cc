"""Whether a comparison decides: never green while it cannot see, and how often it errs, by simulation."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from runtime.bench.__main__ import main
from runtime.bench.judge.compare import Comparison, compare
from runtime.bench.judge.sides import ranges
from runtime.bench.judge.stats import runs_needed, spread_of_runs
from runtime.bench.report.comparison import head, words
from runtime.bench.report.export import to_json
from runtime.bench.schema import FindingPart, Report
from runtime.bundle import Bundle
from tests.runtime.bench.judge.test_compare import dated, flicker, valid
from tests.runtime.bench.report.test_report import make_report

FRAMES = 120


@pytest.fixture
def plain(bundle: Bundle) -> Report:
    """A valid report to put latencies into."""
    return valid(make_report(bundle, [10.0] * FRAMES))


def with_totals(report: Report, totals: np.ndarray) -> Report:
    """The same run with these latencies, as total and, most of it, classify."""
    columns = {"total": tuple(totals.tolist()), "classify": tuple((totals * 0.6).tolist())}
    frames = report.frames.model_copy(update={"columns": columns, "camera_to_result_ms": ()})
    return report.model_copy(update={"frames": frames})


def pair(report: Report, rng: np.random.Generator, slower: float, share: float) -> tuple[Report, Report]:
    """Two runs one after the other on a machine whose speed wanders by a share, the second slower."""
    speeds = flicker(rng, 2, FRAMES, share)
    noise = 12.0 + rng.gamma(1.5, 0.2, (2, FRAMES))
    first, second = speeds * noise * np.array([[1.0], [1 + slower]])
    return with_totals(report, first), with_totals(report, second)


def answers(report: Report, slower: float, seed: int) -> Counter[int]:
    """Exit codes of 100 comparisons, on machines from quiet to wild."""
    rng = np.random.default_rng(seed)
    codes: Counter[int] = Counter()
    for number, share in enumerate(np.geomspace(0.005, 0.5, 100)):
        a, b = pair(report, rng, slower, float(share))
        codes[compare((a,), (b,), max_regression=0.05, seed=number).exit_code] += 1
    return codes


def test_of_100_pairs_slowed_by_30_percent_at_most_one_passes(plain: Report) -> None:
    codes = answers(plain, 0.3, 21)
    assert codes[0] <= 1
    assert codes[1] >= 40, "a comparison that never decides would pass, too"


def test_of_100_equal_pairs_at_most_five_are_called_slower(plain: Report) -> None:
    codes = answers(plain, 0.0, 22)
    assert codes[1] <= 5
    assert codes[0] >= 15, "a comparison that never decides would pass, too"


def blind(plain: Report) -> Comparison:
    a, b = pair(plain, np.random.default_rng(3), 0.3, 0.6)
    return compare((a,), (b,), max_regression=0.05)


def test_what_cannot_be_seen_is_undecided_with_the_runs_that_would_decide(plain: Report) -> None:
    found = blind(plain)
    assert (found.answer, found.exit_code, found.regressions) == ("undecided", 2, ())
    assert words(found)[-1].startswith("UNDECIDED: total p50 may be ")
    assert f"over {200} runs" in words(found)[-1] or f"about {found.runs_needed} valid runs" in words(found)[-1]


@pytest.mark.parametrize(("slower", "answer"), [(0.0, "alike"), (0.3, "slower"), (-0.2, "faster")])
def test_as_many_runs_as_were_advised_decide(plain: Report, slower: float, answer: str) -> None:
    """Four runs a side by turns are too few; what they advise is then made, and advised again where it fell short."""
    decided = 0
    for seed in range(6):
        rng = np.random.default_rng((seed, 5))

        def series(count: int, rng: np.random.Generator = rng) -> Comparison:
            runs = [
                dated(with_totals(plain, (12 + rng.gamma(1.5, 0.2, FRAMES)) * level * (1 + slower * (k % 2))), k % 60)
                for k, level in enumerate(np.exp(rng.normal(0, 0.04, 2 * count)))
            ]
            for k, run in enumerate(runs):
                created = f"2026-11-25T{10 + k // 60}:{k % 60:02}:00+00:00"
                runs[k] = run.model_copy(update={"created": created})
            return compare(runs[::2], runs[1::2], max_regression=0.05)

        found = series(4)
        for _ in range(3):
            if found.answer == "undecided":
                assert found.runs_needed is None or found.runs_needed > found.runs[0]
                found = series(found.runs_needed or 200)
        decided += found.answer == answer
    assert decided >= 5


def test_the_advice_is_students_formula() -> None:
    assert runs_needed(0.0, 0.02, 0.95) == 3
    # 0.05 * t(0.975, 26) / sqrt(27) = 0.01978, with one run fewer 0.02020 (tables: 2.0555, 2.0595).
    assert runs_needed(0.05, 0.02, 0.95) == 27
    assert runs_needed(1.0, 0.02, 0.95) is None
    assert spread_of_runs([1, 2, 4], [2, 4, 8], in_turns=True) == pytest.approx(0)
    assert spread_of_runs([1, 2, 4], [2, 4, 8], in_turns=False) == pytest.approx(np.log(2) * np.sqrt(2))


def test_slower_by_what_may_or_may_not_matter_is_undecided(plain: Report) -> None:
    rng = np.random.default_rng(8)
    levels = [0.035, 0.01, 0.06, 0.03, 0.045, 0.02, 0.05, 0.035]
    base = 12 + rng.gamma(1.5, 0.2, FRAMES)
    a = [dated(with_totals(plain, base + k * 1e-6), 2 * k) for k in range(8)]
    b = [dated(with_totals(plain, base * (1 + level) + k * 1e-6), 2 * k + 1) for k, level in enumerate(levels)]
    found = compare(a, b, max_regression=0.05)
    line = found.lines[-1]
    assert (line.stage, line.result, line.open) == ("total", "slower", True)
    assert (found.answer, found.regressions) == ("undecided", ())
    assert compare(a, b, max_regression=0.10).answer == "alike"
    assert compare(a, b, max_regression=0.02).answer == "slower"


def invalid(report: Report) -> Report:
    finding = FindingPart(kind="CORES_TAKEN", weight="invalid", text="taken", advice="stop it")
    return report.model_copy(update={"verdict": "INVALID", "findings": (finding,)})


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("slower", [0.0, 0.3, -0.3])
def test_an_invalid_side_decides_nothing(plain: Report, side: int, slower: float) -> None:
    reports = list(pair(plain, np.random.default_rng(4), slower, 0.005))
    assert compare(reports[:1], reports[1:], max_regression=0.05).answer != "undecided"
    reports[side] = invalid(reports[side])
    found = compare(reports[:1], reports[1:], max_regression=0.05)
    assert (found.answer, found.exit_code, found.runs_needed) == ("undecided", 2, 1)
    assert found.doubts == (f"{'AB'[side]} is INVALID of itself (CORES_TAKEN)",)
    assert words(found)[-1].endswith("; 1 valid run a side may decide it; runs like these do not say how many would")
    same = compare((reports[side],), (reports[side],), max_regression=0.05)
    assert (same.answer, words(same)[-1]) == ("undecided", words(found)[-1])


def test_the_command_ends_with_2_when_undecided(bundle: Bundle, tmp_path: Path) -> None:
    speeds = flicker(np.random.default_rng(3), 2, FRAMES, 0.6)
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    for path, totals in zip(paths, speeds * 12, strict=True):
        path.write_text(to_json(make_report(bundle, totals.tolist())))
    out = tmp_path / "c.json"
    assert main(["compare", *map(str, paths), "--json", str(out)]) == 2
    assert json.loads(out.read_text())["answer"] == "undecided"


@pytest.mark.parametrize(
    ("part", "changes", "said"),
    [
        ("bundle", {"version": "9"}, "bundle"),
        ("bundle", {"sha256": "f" * 64}, "bundle"),
        ("engine", {"precision": "int8"}, "precision: fp32 -> int8"),
        ("engine", {"threads": 3}, "threads: default -> 3"),
        ("engine", {"device": "other"}, "engine"),
        ("engine", {"plan_sha256": "e" * 64}, "plan: none -> eeeeeeeeeeee"),
        ("environment", {"affinity": (0, 1, 2, 5)}, "affinity"),
        ("environment", {"affinity": None}, "affinity"),
        ("environment", {"quota_cores": 1.5}, "quota: "),
        ("environment", {"processor": "Another CPU"}, "CPU"),
        ("environment", {"libraries": {"numpy": "0"}}, "libraries"),
        ("percentile", {"p": 90.0}, "percentile: p99 -> p90"),
    ],
)
def test_what_differs_is_marked_and_a_mixed_side_decides_nothing(
    plain: Report, part: str, changes: dict[str, object], said: str
) -> None:
    other = plain.model_copy(update={part: getattr(plain, part).model_copy(update=changes)})
    found = compare((plain,), (other,), max_regression=0.05)
    (differs,) = found.differs
    assert differs.startswith(said)
    assert f"DIFFERS in {differs}" in head(found)
    rng = np.random.default_rng(6)
    series = [dated(with_totals(plain, 10 + rng.normal(0, 0.01, FRAMES)), k) for k in range(6)]
    other = other.model_copy(update={"frames": series[5].frames})
    alike = compare(series[::2], series[1::2], max_regression=0.05)
    assert (alike.answer, alike.differs) == ("alike", ())
    mixed = compare(series[::2], [*series[1:4:2], dated(other, 5)], max_regression=0.05)
    assert mixed.answer == "undecided"
    assert mixed.doubts[0].startswith(f"B mixes {said.partition(':')[0]} (")


def test_cores_are_told_as_taskset_writes_them() -> None:
    assert [ranges(cores) for cores in ((0, 1, 2, 3, 8), (4,), (1, 3, 5), ())] == ["0-3,8", "4", "1,3,5", ""]
