"""The seal of a report's file: what was edited, cut or damaged after it was written decides nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from runtime.bench import baselines
from runtime.bench.__main__ import main
from runtime.bench.errors import BenchError
from runtime.bench.report.export import read_report, read_side, series_to_json, to_json
from runtime.bench.report.seal import seal_of
from runtime.bench.schema import Report
from runtime.bundle import Bundle
from tests.pictures import retina
from tests.runtime.bench.judge.test_compare import dated, totals, valid
from tests.runtime.bench.report.test_report import make_report

EDITED = "was edited or damaged after it was written"
UNSEALED = "bears no seal"
Change = Callable[[dict[str, Any]], object]


def run(bundle: Bundle, minute: int, slower: float = 0.0) -> Report:
    values = [value * (1 + slower) for value in totals(np.random.default_rng(minute), frames=120)]
    return dated(valid(make_report(bundle, values)), minute)


def edited(path: Path, change: Change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def scaled(content: dict[str, Any]) -> None:
    """Every time of it, so that nothing in it contradicts anything else."""
    frames = content["frames"]
    for values in (*frames["columns"].values(), frames["camera_to_result_ms"], frames["at_s"]):
        values[:] = [None if value is None else value * 0.7 for value in values]
    for row in content["rows"].values():
        row.update({name: value * 0.7 for name, value in row.items() if isinstance(value, float)})
    content["run"]["seconds"] *= 0.7
    content["run"]["frames_per_s"] /= 0.7


EDITS: dict[str, Change] = {
    "scaled": scaled,
    "one latency": lambda c: c["frames"]["columns"]["total"].__setitem__(7, 9.9),
    "by a microsecond": lambda c: c["frames"]["camera_to_result_ms"].__setitem__(
        7, c["frames"]["camera_to_result_ms"][7] + 0.001
    ),
    "cut": lambda c: (
        [values.__delitem__(slice(60, None)) for values in c["frames"]["columns"].values()]
        and [c["frames"][name].__delitem__(slice(60, None)) for name in ("number", "source", "at_s", "outcome")]
        and c["frames"]["dropped_before"].__delitem__(slice(60, None))
    ),
    "another time": lambda c: c.update(created="2026-11-25T11:30:00+00:00"),
    "another processor": lambda c: c["environment"].update(processor="Another CPU"),
    "other graphs under one manifest": lambda c: c["bundle"]["files"].update({"segmentation.fp32.onnx": "f" * 64}),
    "hidden failures": lambda c: c["frames"]["outcome"].__setitem__(slice(60), ["NO_RESULT"] * 60),
    "throttled, and no finding": lambda c: c["machine"].update(throttled=["cpu0"]),
    "another verdict": lambda c: c.update(verdict="FAIL"),
    "a field of another's default": lambda c: c["plan"].pop("turns"),
    "another report's seal": lambda c: c.update(seal="0" * 64),
}


@pytest.fixture
def pair(bundle: Bundle, tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    for minute, path in enumerate(paths):
        path.write_text(to_json(run(bundle, minute)))
    return paths


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("change", EDITS.values(), ids=EDITS)
def test_by_a_report_that_was_edited_nothing_is_faster_or_alike(
    pair: list[Path], capsys: pytest.CaptureFixture[str], side: int, change: Change
) -> None:
    assert main(["compare", *map(str, pair)]) == 0
    assert "ALIKE" in capsys.readouterr().out
    edited(pair[side], change)
    out = pair[0].with_name("c.json")
    code = main(["compare", *map(str, pair), "--anyway", "--json", str(out)])
    told = capsys.readouterr().out
    assert f"{'AB'[side]}, {pair[side]} {EDITED}" in " ".join(told.split())
    assert "measure again" in told
    found = json.loads(out.read_text())
    slower = bool(found["regressions"]) and not found["doubts"]
    assert (code, found["answer"]) == ((1, "slower") if slower else (2, "undecided"))
    assert ("SLOWER" if slower else "UNDECIDED") in told
    assert len([doubt for doubt in found["seals"] if EDITED in doubt]) == 1


@pytest.mark.parametrize("slower", [-0.3, 0.0, 0.3])
def test_by_a_report_without_a_seal_nothing_is_faster_or_alike(
    bundle: Bundle, pair: list[Path], capsys: pytest.CaptureFixture[str], slower: float
) -> None:
    pair[1].write_text(to_json(run(bundle, 1, slower)))
    assert main(["compare", *map(str, pair)]) == (1 if slower > 0 else 0)
    capsys.readouterr()
    edited(pair[0], lambda content: content.pop("seal"))
    assert main(["compare", *map(str, pair)]) == (1 if slower > 0 else 2)
    told = " ".join(capsys.readouterr().out.split())
    assert f"A, {pair[0]} {UNSEALED}, as of an older version" in told
    assert "total" in told, "its times are shown all the same"


def test_of_a_series_they_are_counted_and_one_is_named(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, first in (("a", 0), ("b", 1)):
        (tmp_path / name).mkdir()
        for number in range(4):
            (tmp_path / name / f"{number}.json").write_text(to_json(run(bundle, 2 * number + first)))
    sides = [str(tmp_path / name) for name in "ab"]
    assert main(["compare", *sides, "--max-regression", "10"]) == 0
    for number in (1, 3):
        edited(tmp_path / "b" / f"{number}.json", scaled)
    capsys.readouterr()
    assert main(["compare", *sides, "--max-regression", "10"]) == 2
    told = " ".join(capsys.readouterr().out.split())
    assert f"2 of 4 in B, the first {tmp_path / 'b' / '1.json'} {EDITED}" in told


def test_a_report_printed_anew_keeps_its_seal(pair: list[Path]) -> None:
    """Other spaces, other order, `12` for `12.0`, no ASCII: as `jq` and browsers write it."""

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: whole(part) for name, part in reversed(value.items())}
        if isinstance(value, list):
            return [whole(part) for part in value]
        return int(value) if isinstance(value, float) and value.is_integer() else value

    content = json.loads(pair[1].read_text())
    for printed in (json.dumps(content, indent=4), json.dumps(whole(content), ensure_ascii=False)):
        assert printed != pair[1].read_text()
        pair[1].write_text(printed)
        assert not read_side(pair[1]).faults


def test_the_seal_is_the_checksum_that_is_described(pair: list[Path]) -> None:
    content = json.loads(
        pair[0].read_text(), parse_float=lambda digits: float(digits) if float(digits) % 1 else int(float(digits))
    )
    seal = content.pop("seal")
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert seal == hashlib.sha256(canonical.encode()).hexdigest()


def leaves(content: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(content, dict | list) and content:
        for name, part in content.items() if isinstance(content, dict) else enumerate(content):
            yield from leaves(part, (*at, name))
    else:
        yield at, content


def test_no_leaf_can_be_changed_under_one_seal(pair: list[Path]) -> None:
    content = json.loads(pair[0].read_text())
    seal, kinds = content["seal"], set()
    for path, value in list(leaves(content)):
        kinds.add(path[:3])
        if path == ("seal",):
            continue
        part: Any = content
        for name in path[:-1]:
            part = part[name]
        part[path[-1]] = "edited" if value != "edited" else None
        assert seal_of(json.dumps(content)) != seal, path
        part[path[-1]] = value
    assert seal_of(json.dumps(content)) == seal
    assert len(kinds) > 60, "a walk that finds nothing would pass, too"


def test_reports_among_several_bear_their_seals(bundle: Bundle, tmp_path: Path) -> None:
    whole = json.loads(series_to_json({"schema": "rop.bench-matrix/1"}, [run(bundle, n) for n in range(2)]))
    for number, content in enumerate(whole["reports"]):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(content))
        assert read_report(path) == run(bundle, number)


def test_what_needs_a_whole_report_refuses_a_broken_one(pair: list[Path]) -> None:
    edited(pair[0], scaled)
    with pytest.raises(BenchError, match=EDITED):
        read_report(pair[0])
    edited(pair[1], lambda content: content.pop("seal"))
    with pytest.raises(BenchError, match=UNSEALED):
        read_report(pair[1])


def test_a_seal_through_the_commands(
    write_bundle: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Measured, kept as a baseline and as a file, compared: a digit that is changed in either is told."""
    from runtime.bench import session as session_module
    from tests.runtime.bench.test_session import fake

    monkeypatch.setenv("ROP_SITE_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(session_module, "maker", lambda *_, repeats: fake())
    cv2.imwrite(str(tmp_path / "a.png"), retina(1)[..., ::-1])
    common = ["--bundle", str(write_bundle()), "--source", str(tmp_path / "a.png"), "--frames", "40"]
    common += ["--no-cold-start", "--no-accuracy", "--percentile", "50"]
    out = tmp_path / "b.json"
    main([*common, "--save-baseline", "monday"])
    main([*common, "--json", str(out)])
    main(["compare", "monday", str(out)])
    told = capsys.readouterr().out
    assert EDITED not in told
    assert UNSEALED not in told
    kept = baselines.baselines(tmp_path / "state")["monday"]
    for path, side in ((out, "B"), (kept, "A")):
        whole = path.read_text()
        edited(path, lambda content: content["frames"]["columns"]["total"].__setitem__(3, 1.5))
        assert main(["compare", "monday", str(out)]) == 2
        assert f"{side}, {path} {EDITED}" in " ".join(capsys.readouterr().out.split())
        path.write_text(whole)


def test_a_baseline_that_was_edited_keeps_its_place_from_no_run(bundle: Bundle, tmp_path: Path) -> None:
    report = make_report(bundle)
    invalid = report.model_copy(update={"verdict": "INVALID"})
    baselines.save(report, "monday", tmp_path)
    assert "not kept" in baselines.save(invalid, "monday", tmp_path)
    edited(baselines.place("monday", tmp_path), scaled)
    assert "not kept" not in baselines.save(invalid, "monday", tmp_path)
