from __future__ import annotations

import csv
import io
import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.bench.__main__ import main
from runtime.bench.errors import BenchError
from runtime.bench.judge.verdict import Evidence, judge
from runtime.bench.measure.benchmark import WarmUp
from runtime.bench.measure.environment import environment
from runtime.bench.measure.sampler import MachineLog
from runtime.bench.measure.samples import Samples
from runtime.bench.measure.supply import SupplyFacts
from runtime.bench.options import Goals, LoadPlan, Until
from runtime.bench.report.assemble import About, assemble
from runtime.bench.report.export import check_writable, read_report, read_side, to_csv, to_json, write_report_file
from runtime.bench.report.page import render
from runtime.bench.report.table import print_report
from runtime.bench.schema import PeerPart, Report
from runtime.bench.words import ROWS
from runtime.bundle import Bundle
from runtime.reading import EngineFacts
from tests.runtime.bench.planned import samples_of

README = Path(__file__).parents[4] / "runtime" / "bench" / "README.md"


def make_report(
    bundle: Bundle,
    totals: list[float] | None = None,
    *,
    stopped: bool = False,
    samples: Samples | None = None,
    plan: LoadPlan = LoadPlan("camera", 10),  # noqa: B008 (frozen)
    machine: MachineLog | None = None,
) -> Report:
    """Of frames that took so long in total, or of samples."""
    if totals is None:
        totals = list(np.random.default_rng(0).gamma(9, 1.2, 800))
    if samples is None:
        samples = samples_of(totals)
    machine = machine or MachineLog(
        times_ns=[0, 10**10, 2 * 10**10],
        values={"cpu_mhz": [2000.0, 1500.0, None], "memory_mb": [100.0, 120.0, 110.0]},
        cores=2,
    )
    evidence = Evidence(
        samples=samples,
        machine=machine,
        goals=Goals(99, 25, {"segment": 9}, 0.5),
        plan=plan,
        until=Until(samples.frames_in),
        stopped=stopped,
        unreadable=0,
        paced_by_camera=False,
        governor=None,
        soak=False,
    )
    about = About(
        created=datetime(2026, 11, 22, tzinfo=timezone.utc),
        command=("python", "-m", "runtime.bench", "<script>"),
        input=SupplyFacts("sim:", "ab" * 32, 128, 640, 480, "clock"),
        bundle=bundle,
        engine=EngineFacts("fake", "fp32", "none"),
        threads=None,
        environment=environment(),
        warmed=WarmUp(5, None),
        seeds={"bootstrap": 0},
    )
    return assemble(about, evidence, judge(evidence))


def test_json_is_valid_and_reads_back_the_same(bundle: Bundle, tmp_path: Path) -> None:
    report = make_report(bundle)
    write_report_file(tmp_path / "a.json", to_json(report))
    assert read_report(tmp_path / "a.json") == report
    content = json.loads((tmp_path / "a.json").read_text())
    assert content["schema"] == "rop.bench/1"
    assert set(content["bundle"]["files"]) == {"segmentation.fp32.onnx", "classifier.fp32.onnx"}
    assert content["rows"]["total"]["p99"] == pytest.approx(
        np.sort(content["frames"]["columns"]["total"])[791], abs=1e-3
    )


def test_percentiles_without_enough_samples_are_null(bundle: Bundle) -> None:
    row = make_report(bundle, [10.0] * 100).rows["total"]
    assert row.p90 == 10
    assert row.p95 is row.p99 is row.p99_9 is None


def test_slow_frames_stand_beside_the_machine(bundle: Bundle) -> None:
    totals = [10.0] * 200
    totals[95] = 50
    slowest = make_report(bundle, totals).slowest[0]
    assert (slowest.number, slowest.total_ms, slowest.slowest_stage) == (95, 50, "segment")
    assert slowest.machine == {"cpu_mhz": 1500.0, "memory_mb": 120.0}


def test_every_part_of_the_schema_is_documented() -> None:
    text = README.read_text(encoding="utf-8")
    documented = set(re.findall(r"`([a-z0-9_]+)`", text))
    parts = set(Report.model_json_schema(by_alias=True)["properties"])
    fields = {
        field
        for definition in Report.model_json_schema(by_alias=True)["$defs"].values()
        for field in definition.get("properties", {})
    }
    assert (parts | fields | set(ROWS)) - documented == set()


@pytest.mark.parametrize(("same", "doubted"), [(1.0, False), (0.4, True)])
def test_a_peer_that_reads_otherwise_is_doubted(bundle: Bundle, same: float, doubted: bool) -> None:
    peer = PeerPart(
        name="onnxruntime",
        backend="onnxruntime 1",
        precision="int8",
        device="CPU",
        rounds=15,
        frames_each=90,
        ours_p50_ms=10,
        peer_p50_ms=25,
        ratio=2.5,
        ratio_low=2.4,
        ratio_high=2.6,
        same_outcome=same,
    )
    text = render(make_report(bundle).model_copy(update={"peer": peer}))
    assert "2.50 x as fast" in text
    assert ("not that of the same result" in text) is doubted


def test_a_pictures_name_is_no_formula(bundle: Bundle) -> None:
    report = make_report(bundle, [10.0, 11.0, 12.0])
    names = ["=1+1.png", "@x.png", "eye.png"]
    report = report.model_copy(update={"frames": report.frames.model_copy(update={"source": names})})
    rows = list(csv.DictReader(io.StringIO(to_csv(report))))
    assert [row["source"] for row in rows] == ["'=1+1.png", "'@x.png", "eye.png"]


def test_csv_holds_every_frame_with_the_sensors(bundle: Bundle) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(make_report(bundle, [10.0, 11.0, 300.0])))))
    assert [float(row["total_ms"]) for row in rows] == [10, 11, 300]
    assert {row["cpu_mhz"] for row in rows} == {"2000.0"}
    assert rows[2]["outcome"] == "NO_REFERRAL_FINDINGS"


def test_the_page_stands_alone_and_nothing_in_it_acts(bundle: Bundle) -> None:
    page = render(make_report(bundle))
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert not re.search(r"(src|href)=|url\(|@import|https?://", page)
    assert page.count("<svg") == page.count("</svg>") == 4
    assert "prefers-color-scheme: dark" in page
    assert "budget 25 ms" in page
    assert "NaN" not in page
    assert "nan" not in re.findall(r'points="[^"]*"', page)


@pytest.mark.parametrize("totals", [[], [5.0], [5.0, 5.0, 5.0]])
def test_runs_of_almost_nothing_still_give_every_report(bundle: Bundle, tmp_path: Path, totals: list[float]) -> None:
    report = make_report(bundle, totals, stopped=True)
    assert report.interrupted
    assert report.verdict == "INVALID"
    assert "stopped by hand" in render(report)
    assert to_csv(report).count("\n") == len(totals) + 1
    (tmp_path / "a.json").write_text(to_json(report))
    assert read_report(tmp_path / "a.json") == report
    told = io.StringIO()
    print_report(report, told)
    assert "INVALID" in told.getvalue()


def test_the_table_says_everything_in_a_pipe(bundle: Bundle) -> None:
    told = io.StringIO()
    print_report(make_report(bundle), told)
    lines = told.getvalue().splitlines()
    assert any(line.strip().startswith("camera to result") and "> 25" in line for line in lines)
    assert any("at most 50 is meant" in line for line in lines)
    assert any(line.startswith("FAIL") for line in lines)
    assert "\x1b" not in told.getvalue()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text[: len(text) // 2], "not a whole rop.bench/1 report"),
        (lambda text: text.replace("rop.bench/1", "rop.bench/9"), "schema"),
        (lambda text: text.replace('"mean":', '"meen":', 1), "rop.bench/1"),
        (lambda text: "[]", "not a whole"),
        (lambda text: "", "not a whole"),
    ],
)
def test_a_spoilt_report_is_refused(bundle: Bundle, tmp_path: Path, spoil: object, said: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(spoil(to_json(make_report(bundle))))  # type: ignore[operator]
    with pytest.raises(BenchError, match=said):
        read_report(path)


def test_an_unwritable_path_is_found_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match="cannot be written"):
        check_writable(tmp_path / "file" / "report.json")
    with pytest.raises(BenchError, match="is a folder"):
        check_writable(tmp_path)
    with pytest.raises(BenchError, match=r"there is no folder .*new"):
        check_writable(tmp_path / "new" / "report.json")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    check_writable(tmp_path / "report.json")
    check_writable(Path("-"))
    check_writable(None)


@pytest.mark.parametrize("option", ["--json", "--csv", "--html"])
@pytest.mark.parametrize("call", [[], ["compare", "a", "b"]], ids=["run", "compare"])
def test_no_folder_is_made_for_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], call: list[str], option: str
) -> None:
    if call and option == "--csv":
        return
    monkeypatch.chdir(tmp_path)
    assert main([*call, option, "deep/er/report"]) == 2
    assert "there is no folder deep/er; make it" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def places(content: object, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Where a report holds a number, one place of each list."""
    if isinstance(content, dict):
        return [place for name, value in content.items() for place in places(value, (*at, name))]
    if isinstance(content, list):
        return places(content[0], (*at, 0)) if content else []
    return [at] if isinstance(content, (int, float)) and not isinstance(content, bool) else []


def put(content: Any, place: tuple[str | int, ...], value: object) -> None:
    for step in place[:-1]:
        content = content[step]
    content[place[-1]] = value


def may_be_negative(place: tuple[str | int, ...]) -> bool:
    """A jump of the clock, a seed, what came before the run began, what a sensor says."""
    named = place in (("machine", "clock_step_ms"), ("seeds", "bootstrap"))
    return named or "at_s" in place or "values" in place or (place[0], place[2:3]) == ("slowest", ("machine",))


@pytest.mark.parametrize(
    "value", ["-1", "-1e-9", "1e300", "1e999", "NaN", "Infinity", "-Infinity", '"12"', '"twelve"', "true", "[]", "{}"]
)
def test_a_number_that_is_none_is_refused_wherever_it_stands(bundle: Bundle, tmp_path: Path, value: str) -> None:
    """Each number of a report in turn, among them all latencies that a comparison is made of."""
    text = to_json(make_report(bundle, [10.0] * 20))
    path, believed = tmp_path / "a.json", []
    for place in places(json.loads(text)):
        content = json.loads(text)
        put(content, place, "PLACE")
        path.write_text(json.dumps(content).replace('"PLACE"', value))
        try:
            read_side(path)
        except BenchError as error:
            told = str(error)
            assert "measure again with --json" in told
            assert "\n" not in told
        else:
            believed.append(place)
    assert all(value.startswith("-1") and may_be_negative(place) for place in believed), believed


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("frames", "columns", "total", 3), -3.0, r"frames.columns.total.3: got -3.0, expected greater"),
        (("frames", "columns", "total"), [10.0] * 19, "columns of different lengths"),
        (("frames", "columns", "sum"), [10.0] * 20, "columns: got age, .*, sum, .*; expected"),
        (("frames", "columns"), {}, "columns: got ; expected"),
        (("frames", "camera_to_result_ms", 0), 0.0, "camera_to_result_ms.0: .*greater than 0"),
        (("frames", "camera_to_result_ms", 0), None, "camera_to_result_ms.0: .* number"),
        (("percentile", "p"), 100.0, "percentile.p: .*less than 100"),
        (("created",), "yesterday", "created: .*expected a date and time with its offset"),
        (("created",), "2026-11-22T10:00:00", "created: .*with its offset"),
    ],
)
def test_what_is_no_report_is_refused(
    bundle: Bundle, tmp_path: Path, place: tuple[str | int, ...], value: object, said: str
) -> None:
    content = json.loads(to_json(make_report(bundle, [10.0] * 20)))
    put(content, place, value)
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(BenchError, match=said):
        read_report(tmp_path / "a.json")
