"""The line for a data sheet: its figures, when there is none, and the processes that it is made from."""

from __future__ import annotations

import json
import math
import subprocess
from pathlib import Path

import numpy as np
import pytest

from runtime.bench import sheet as sheet_module
from runtime.bench.__main__ import main
from runtime.bench.arguments import parse
from runtime.bench.options import Single
from runtime.bench.report.export import to_json
from runtime.bench.schema import FindingPart, Report
from runtime.bench.sheet import sheet_of
from runtime.bundle import Bundle
from tests.runtime.bench.report.test_report import make_report

MEDIANS = (10.0, 10.2, 9.9, 10.4, 10.1)


def runs(bundle: Bundle, medians: tuple[float, ...] = MEDIANS, frames: int = 700) -> list[Report]:
    """Runs of which each is so slow, and two frames of a hundred twice as slow."""
    of_one = [[(2 if n % 50 == 7 else 1) * median for n in range(frames)] for median in medians]
    return [make_report(bundle, totals).model_copy(update={"verdict": "PASS", "findings": ()}) for totals in of_one]


def found(weight: str) -> tuple[FindingPart, ...]:
    return (FindingPart.model_validate({"kind": "K", "weight": weight, "text": "so it was", "advice": "do this"}),)


def test_the_line_says_what_the_processes_say(bundle: Bundle) -> None:
    reports = runs(bundle)
    made = sheet_of(reports)
    logs = np.log(MEDIANS)
    half = 2.7764 * logs.std(ddof=1) / math.sqrt(5)
    assert made.verdict == "PASS"
    for interval, times in ((made.p50, 1), (made.p99, 2)):
        assert interval is not None
        assert interval.value == pytest.approx(times * math.exp(logs.mean()), rel=1e-3)
        assert (interval.low, interval.high) == pytest.approx(
            (times * math.exp(logs.mean() - half), times * math.exp(logs.mean() + half)), rel=1e-3
        )
    line = made.line
    assert line is not None
    assert "\n" not in line
    first = reports[0]
    for said in ("p50 10.12 ms [", "p99 20.24 ms [", "5 processes of 700 frames", first.bundle.sha256, "fake fp32"):
        assert said in line
    assert first.environment.processor in line


def test_there_is_no_line_of_what_cannot_be_relied_on(bundle: Bundle) -> None:
    reports = runs(bundle)
    other = reports[4].model_copy(update={"bundle": reports[4].bundle.model_copy(update={"sha256": "f" * 64})})
    cases = {
        "not of one thing: mixes bundle": [*reports[:4], other],
        "process 5: so it was; do this": [*reports[:4], reports[4].model_copy(update={"findings": found("invalid")})],
        "662 frames": runs(bundle, frames=600),
    }
    for reason, given in cases.items():
        made = sheet_of(given)
        assert (made.verdict, made.line, made.p50) == ("INVALID", None, None)
        assert reason in " ".join(made.reasons)
        assert json.loads(made.to_json())["line"] is None


def test_a_drift_of_one_process_is_held_against_what_processes_scatter_by(bundle: Bundle) -> None:
    def drifting(changes: tuple[float, ...]) -> list[Report]:
        made = []
        for change in changes:
            report = make_report(bundle, [10.0 if n < 400 else 10.0 * (1 + change) for n in range(800)])
            findings = tuple(f for f in report.findings if f.kind == "DRIFT")
            made.append(report.model_copy(update={"verdict": "INVALID" if findings else "PASS", "findings": findings}))
        return made

    one = sheet_of(drifting((0.11, 0.0, 0.02, -0.03, 0.01)))
    assert (one.verdict, one.reasons) == ("PASS", ())
    assert one.line is not None
    assert "process 1: the last third's median total is +11%" in one.notes[0]
    assert "over all processes together +2% (-4% to +9%)" in one.notes[0]
    for open_ones in ((0.11, 0.9, -0.4, 0.0, -0.5), (0.11, 0.0, 0.09, 0.0, 0.09)):
        untold = sheet_of(drifting(open_ones))
        assert (untold.verdict, untold.line, untold.notes) == ("INVALID", None, ())
        assert "whether they drift by more than 10% cannot be told; measure more processes, or" in untold.reasons[0]
    close = sheet_of(drifting((0.1004, 0.0, 0.02, -0.03, 0.01))).notes[0]
    assert "the last third's median total is +10.04% against the first's, at most 10% is fine" in close
    every = sheet_of(drifting((0.11, 0.13, 0.12, 0.12, 0.14)))
    assert (every.verdict, every.line, every.notes) == ("INVALID", None, ())
    assert "over all processes together +12% (+11% to +14%); warm up longer" in every.reasons[0]


def test_a_failed_budget_is_told_beside_the_line(bundle: Bundle) -> None:
    reports = runs(bundle)
    made = sheet_of([*reports[:4], reports[4].model_copy(update={"findings": found("fail")})])
    assert (made.verdict, made.reasons) == ("FAIL", ("process 5: so it was; do this",))
    assert made.line is not None
    assert made.line.endswith("; FAIL: K")


def test_the_command_runs_processes_with_the_users_own_options(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left, asked = iter(runs(bundle)), []

    def start(arguments: list[str]) -> subprocess.CompletedProcess[str]:
        single = parse(arguments)
        assert isinstance(single, Single)
        assert single.outputs.json is not None
        asked.append(single.run)
        single.outputs.json.write_text(to_json(next(left)))
        return subprocess.CompletedProcess(arguments, 0, "", "")

    monkeypatch.setattr(sheet_module, "_start", start)
    # what was measured is told also where it makes no line
    spoilt = [
        *runs(bundle)[:4],
        runs(bundle)[4].model_copy(update={"findings": found("invalid"), "verdict": "INVALID"}),
    ]
    left = iter(spoilt)
    assert main(["--sheet"]) == 2
    told = capsys.readouterr()
    assert [line.split(", ")[0] for line in told.out.splitlines()] == [
        f"INVALID together; process {number} of 5" for number, _ in enumerate(MEDIANS, 1)
    ]
    for number, (median, line) in enumerate(zip(MEDIANS, told.out.splitlines(), strict=True), 1):
        itself = "INVALID" if number == 5 else "PASS"
        assert f", {itself} by itself: camera to result p50 {median:.2f} ms" in line
    assert told.out.splitlines()[-1].endswith(" 700 frames; K")
    assert "process 5: so it was; do this" in told.err
    assert "process 2 of 5: camera to result p50 10.20 ms, p99 20.40 ms" in told.err
    left = iter(runs(bundle))
    asked.clear()
    assert main(["--sheet", "--threads", "1", "--frames", "700", "--json", str(tmp_path / "sheet.json")]) == 0
    assert len(asked) == 5
    for run in asked:
        assert (run.model.threads, run.until.frames) == (1, 700)
        assert not run.beside.cold_start
        assert not run.beside.accuracy
    written = json.loads((tmp_path / "sheet.json").read_text())
    assert (written["schema"], len(written["reports"])) == ("rop.bench-sheet/1", 5)
    assert capsys.readouterr().out.strip() == written["line"]


def test_a_process_without_a_report_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A real process, which cannot open its source."""
    assert main(["--sheet", "--source", str(tmp_path / "nowhere")]) == 2
    told = capsys.readouterr().err
    assert "process 1 ended with code 2 and no report" in told
    assert "nowhere" in told
    assert "Traceback" not in told


@pytest.mark.parametrize(
    "arguments", [["--sheet", "4"], ["--sheet", "--matrix"], ["--sheet", "--csv", "x"], ["--sheet", "--frames", "661"]]
)
def test_calls_that_make_no_sense_are_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "--sheet" in capsys.readouterr().err
