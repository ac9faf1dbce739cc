"""All that is recorded of a run is compared: what differs is told, and what spoils the comparison decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from runtime.bench.errors import BenchError
from runtime.bench.judge.compare import compare
from runtime.bench.judge.sides import COVERED, FACTS, differing
from runtime.bench.report.comparison import words
from runtime.bench.schema import Report
from runtime.bundle import Bundle
from runtime.reading import UNGUARDED
from tests.runtime.bench.judge.test_compare import dated, totals, valid
from tests.runtime.bench.report.test_report import make_report

KEPT = {
    *("created", "command", "verdict", "findings", "counts", "rows", "run", "machine", "by_size", "energy", "layers"),
    *("cold_start", "accuracy", "peer", "peers", "slowest", "frames", "plan.warmup_steady"),
    *("percentile.value_ms", "percentile.upper_bound_ms"),
    *("trust.self_test.at", "trust.self_test.reason", "trust.drift"),
}
"""A run's own results, which two runs of one thing never share."""
FIXED = {"schema", "seal"}


def of(bundle: Bundle, minute: int) -> dict[str, Any]:
    """A report as content, with all that may be there and is not of a run on this machine."""
    rng = np.random.default_rng(minute)
    content = dated(valid(make_report(bundle, totals(rng))), minute).model_dump(mode="json", by_alias=True)
    plain = UNGUARDED
    content["trust"] = {
        "bundle": {"state": plain.bundle.state, "by": None, "key": "00"},
        "plan": None,
        "site": {"name": "Site", "profile_sha256": "aa", "by": "key"},
        "self_test": {"state": "passed", "at": "2026-11-25T10:00:00Z", "reason": ""},
        "drift": {"state": "off", "frames": 0, "reasons": []},
    }
    content["environment"] |= {"gpu": "GPU", "driver": "1", "governor": "performance"}
    return content


def leaves(content: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    name = ".".join(path)
    if name in KEPT | FIXED:
        return
    if isinstance(content, dict) and content:
        for key, value in content.items():
            yield from leaves(value, (*path, key))
    else:
        yield path


def changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1 if value != 99 else 90
    if isinstance(value, str):
        return f"{value}x"
    if isinstance(value, list):
        return [*value, 63]
    return {"x": 1} if isinstance(value, dict) else None


def put(content: dict[str, Any], path: tuple[str, ...], value: Any) -> Report:
    part = content
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    return Report.model_validate(content)


OTHERS: dict[str, Any] = {
    "plan.load": "poisson",
    "plan.burst_frames": 3,
    "plan.idle_s": 2.0,
    "plan.seconds": 3.0,
    "input.paced_by": "camera",
    "engine.threads": 3,
    "engine.plan_sha256": "e" * 64,
    "environment.quota_cores": 1.5,
    "environment.power_mode": "MAXN",
    "plan.miss_rate": 0.25,
    "trust.plan": "known",
    "trust.bundle.by": "key",
}
"""Values of leaves that are none, or of few."""


def test_every_leaf_that_differs_is_told(bundle: Bundle) -> None:
    paths = list(leaves(of(bundle, 0)))
    assert len(paths) > 50, "a walk that finds nothing would pass, too"
    for path in paths:
        name = ".".join(path)
        content = of(bundle, 1)
        part: Any = content
        for key in path:
            part = part[key]
        a, b = Report.model_validate(of(bundle, 0)), put(content, path, OTHERS.get(name, changed(part)))
        differs = tuple(differing((a,), (b,)))
        facts = tuple(fact for fact, covered in COVERED.items() if any(name.startswith(root) for root in covered))
        told = [text for text in differs if text.startswith((f"{name}", *(f"{fact}: " for fact in facts)))]
        assert told, (name, differs)


def test_all_facts_say_what_they_cover() -> None:
    assert set(COVERED) == set(FACTS)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("plan.streams", 8, "other streams (1, 8)"),
        ("input.width", 320, "other size of the frames (640x480, 320x480)"),
        ("input.sizes", {"640x480": 3, "320x240": 4}, "other size of the frames"),
    ],
)
def test_times_of_other_work_are_not_comparable(bundle: Bundle, path: str, value: object, said: str) -> None:
    a, b = Report.model_validate(of(bundle, 0)), put(of(bundle, 1), tuple(path.split(".")), value)
    with pytest.raises(BenchError, match="not comparable: ") as raised:
        compare((a,), (b,), max_regression=0.05)
    assert said in str(raised.value)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(
    ("path", "value", "said"),
    [("interrupted", True, "was interrupted"), ("trust.self_test.state", "failed", "failed the self-test")],
)
def test_a_side_that_cannot_be_relied_on_decides_nothing(
    bundle: Bundle, side: int, path: str, value: object, said: str
) -> None:
    reports = [Report.model_validate(of(bundle, minute)) for minute in range(2)]
    assert compare(reports[:1], reports[1:], max_regression=0.05).answer == "alike"
    reports[side] = put(of(bundle, side), tuple(path.split(".")), value)
    found = compare(reports[:1], reports[1:], max_regression=0.05)
    assert (found.answer, found.exit_code) == ("undecided", 2)
    assert f"{'AB'[side]} {said}" in found.doubts
    assert words(found)[-1].startswith("UNDECIDED: ")


def test_runs_of_a_side_under_other_governors_are_not_of_one_thing(bundle: Bundle) -> None:
    runs = [Report.model_validate(of(bundle, minute)) for minute in range(6)]
    assert not compare(runs[::2], runs[1::2], max_regression=0.05).doubts
    runs[5] = put(of(bundle, 5), ("environment", "governor"), "powersave")
    found = compare(runs[::2], runs[1::2], max_regression=0.05)
    assert found.answer == "undecided"
    assert found.doubts == ("B mixes environment.governor (performance and powersave)",)
