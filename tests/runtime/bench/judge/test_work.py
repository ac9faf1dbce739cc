"""Times of other work are no better times: failures, other outcomes, fewer readings, one run for several."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from runtime.bench.__main__ import main
from runtime.bench.errors import BenchError
from runtime.bench.judge.compare import Comparison, compare
from runtime.bench.report.assemble import row_part
from runtime.bench.report.comparison import words
from runtime.bench.report.export import to_json
from runtime.bench.schema import FindingPart, Report
from runtime.bundle import Bundle
from runtime.outcome import Outcome
from tests.runtime.bench.judge.test_compare import dated, totals, valid
from tests.runtime.bench.report.test_report import make_report

QUICKER = [0.0, -0.3]
FAILED = FindingPart(kind="NO_RESULT", weight="fail", text="frames gave no result", advice="look")


def run(bundle: Bundle, minute: int = 0, slower: float = 0.0, seed: int = 1) -> Report:
    values = [value * (1 + slower) for value in totals(np.random.default_rng((seed, minute)))]
    return dated(valid(make_report(bundle, values)), minute)


def changed(report: Report, outcome: Outcome, every: int, *, read: bool) -> Report:
    """Every so many frames end otherwise; read: by both networks all the same. Checked as a file would be."""
    content = json.loads(to_json(report))
    frames, counts, name = content["frames"], content["counts"], outcome.value
    places = range(0, len(frames["number"]), every)
    for n in places:
        frames["outcome"][n] = name
        if not read:
            frames["columns"]["classify"][n] = None
    if outcome is Outcome.NO_RESULT:
        counts["failed"] = len(places)
        content |= {"verdict": "FAIL", "findings": [FAILED.model_dump()]}
    if not read:
        counts["timed"] = counts["read"] - len(places)
        counts["refused"] = 0 if outcome is Outcome.NO_RESULT else len(places)
        for row, part in content["rows"].items():
            pairs = zip(frames["columns"].get(row, ()), frames["columns"]["classify"], strict=False)
            kept = [value for value, other in pairs if value is not None and other is not None]
            made = row_part(np.array(kept or frames["camera_to_result_ms"]), part["budget_ms"])
            assert made is not None
            part |= made.model_dump()
    return Report.model_validate(content)


def compared(a: Report, b: Report) -> Comparison:
    return compare((a,), (b,), max_regression=0.05)


@pytest.mark.parametrize("slower", QUICKER)
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("read", [False, True])
def test_a_side_that_failed_is_neither_alike_nor_faster(bundle: Bundle, slower: float, side: int, read: bool) -> None:
    reports = [run(bundle), run(bundle, 1, slower)]
    assert compared(*reports).exit_code == 0
    reports[side] = changed(reports[side], Outcome.NO_RESULT, 2, read=read)
    found = compared(*reports)
    assert (found.answer, found.exit_code) == ("undecided", 2)
    assert f"150 of 300 frames of {'AB'[side]} gave no result" in words(found)[-1]


@pytest.mark.parametrize("slower", QUICKER)
@pytest.mark.parametrize(("outcome", "read"), [(Outcome.REFER, True), (Outcome.RETAKE, True), (Outcome.RETAKE, False)])
def test_other_outcomes_of_the_same_pictures_are_no_alike(
    bundle: Bundle, slower: float, outcome: Outcome, read: bool
) -> None:
    found = compared(run(bundle), changed(run(bundle, 1, slower), outcome, 5, read=read))
    assert (found.answer, found.exit_code) == ("undecided", 2)
    said = f"60 of 300 pictures have another outcome in B (60 NO_REFERRAL_FINDINGS -> {outcome.value})"
    assert said in words(found)[-1]
    assert f"note: {said}" in words(found)


def test_what_is_slower_stays_so_whatever_its_outcomes(bundle: Bundle) -> None:
    found = compared(run(bundle), changed(run(bundle, 1, 0.5), Outcome.REFER, 5, read=True))
    assert (found.answer, found.exit_code) == ("slower", 1)
    assert any("another outcome" in line for line in words(found))


@pytest.mark.parametrize("slower", QUICKER)
def test_fewer_readings_are_no_alike(bundle: Bundle, slower: float) -> None:
    whole, other = run(bundle), run(bundle, 1, slower)
    ended = other.model_copy(update={"plan": other.plan.model_copy(update={"frames": 600})})
    assert "B ended after 300 of the 600 frames that were asked for" in words(compared(whole, ended))[-1]
    dropped = other.model_copy(update={"counts": other.counts.model_copy(update={"frames_in": 400, "dropped": 100})})
    found = compared(whole, dropped)
    assert (found.answer, found.exit_code) == ("undecided", 2)
    assert "both networks read 75.0% of the frames of B, 100.0% of those of A" in words(found)[-1]
    assert compared(dropped, run(bundle, 2, slower)).exit_code == 0, "B reads more of them, no less quickly"


def test_copies_of_a_run_are_no_runs_of_their_own(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, minute in (("a", 0), ("b", 1)):
        (tmp_path / name).mkdir()
        text = to_json(run(bundle, minute))
        for number in range(4):
            (tmp_path / name / f"{number}.json").write_text(text)
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert "is there more than once" in capsys.readouterr().err
    runs = [run(bundle, minute) for minute in range(6)]
    assert compare(runs[::2], runs[1::2], max_regression=0.05).runs == (3, 3)
    for a, b in (
        (runs[:3], [*runs[3:5], runs[0]]),
        ([*runs[:2], runs[0].model_copy(update={"command": ()})], runs[3:]),
    ):
        with pytest.raises(BenchError, match="more than once"):
            compare(a, b, max_regression=0.05)
    shutil.copy(tmp_path / "a" / "0.json", tmp_path / "copy.json")
    assert main(["compare", str(tmp_path / "a" / "0.json"), str(tmp_path / "copy.json")]) == 0
    assert "note: A and B are one and the same run" in capsys.readouterr().out


def test_copies_that_say_another_time_are_copies(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = [dated(run(bundle), minute) for minute in range(6)]
    for a, b in ((same[:1], same[1:2]), (same[::2], same[1::2])):
        with pytest.raises(BenchError, match="more than once"):
            compare(a, b, max_regression=0.05)
    paths = [tmp_path / f"{number}.json" for number in range(2)]
    for path, report in zip(paths, same[:2], strict=True):
        path.write_text(to_json(report))
    assert main(["compare", *map(str, paths)]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def with_frames(report: Report, **parts: object) -> Report:
    return report.model_copy(update={"frames": report.frames.model_copy(update=parts)})


def test_pictures_of_other_names_and_other_outcomes_most_times_are_other_work(bundle: Bundle) -> None:
    a, b = run(bundle, 0), run(bundle, 1)
    count = len(a.frames.number)
    named = [tuple(f"{name}{n % 40}" for n in range(count)) for name in ("sim:", "sim:", "other:")]
    partly = zip(*named[1:], strict=True)
    renamed = with_frames(b, source=tuple(same if n % 40 == 0 else new for n, (same, new) in enumerate(partly)))
    a = with_frames(a, source=named[0])
    assert any("39 pictures are in A alone by their names and 39 in B" in text for text in compared(a, renamed).unlike)
    mostly = [(usual,) * (count - 1) + (seldom,) for usual, seldom in (("REFER", "RETAKE"), ("RETAKE", "REFER"))]
    sides = [with_frames(side, source=("sim:0",) * count, outcome=of) for side, of in zip((a, b), mostly, strict=True)]
    assert any("another outcome in B" in text for text in compared(*sides).unlike)


def test_one_input_whose_pictures_have_other_names_is_undecided(bundle: Bundle) -> None:
    a, b = run(bundle), run(bundle, 1)
    assert compared(a, b).exit_code == 0
    names = tuple(f"other/{source}" for source in b.frames.source)
    b = b.model_copy(update={"frames": b.frames.model_copy(update={"source": names})})
    found = compared(a, b)
    assert (found.answer, found.exit_code) == ("undecided", 2)
    assert "no picture of A is in B by its name" in words(found)[-1]


@pytest.mark.parametrize(
    "created",
    [
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "9998-01-01T00:00:00+00:00",
        "1969-12-31T23:00:00+00:00",
    ],
)
def test_a_run_of_no_time_is_refused_in_a_line(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], created: str
) -> None:
    paths = [tmp_path / name for name in ("a.json", "b.json")]
    paths[0].write_text(to_json(run(bundle)))
    paths[1].write_text(json.dumps(json.loads(to_json(run(bundle, 1))) | {"created": created}))
    assert main(["compare", *map(str, paths)]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "from 1970 to 2199" in line
    assert Report.model_validate(json.loads(to_json(run(bundle))) | {"created": "1969-12-31T20:00:00-04:00"})


def test_an_answer_that_was_forced_says_so_last_without_controls(bundle: Bundle) -> None:
    a, b = run(bundle), run(bundle, 1)
    odd = {"machine_id": "other", "processor": "CPU \u202e\x1b[31m"}
    b = b.model_copy(update={"environment": b.environment.model_copy(update=odd)})
    found = compare((a,), (b,), max_regression=0.05, anyway=True)
    assert (found.answer, found.exit_code) == ("alike", 0)
    assert words(found)[-1].startswith("ALIKE within what matters: ")
    assert "holds only for sides that are not alike, and says nothing else: other machine" in words(found)[-1]
    texts = json.loads(found.to_json())
    assert all(text.isprintable() for text in (*words(found), *texts["differences"], *texts["differs"]))
    assert not any("not alike, and says nothing else" in line for line in words(compared(a, run(bundle, 2))))
