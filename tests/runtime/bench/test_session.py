"""Whole runs with an engine without networks, and the command's refusals."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from device.errors import SourceNotFound
from runtime.bench import beside as beside_module
from runtime.bench import session as session_module
from runtime.bench.__main__ import main
from runtime.bench.arguments import parse
from runtime.bench.errors import BenchError
from runtime.bench.judge.compare import compare, incomparable
from runtime.bench.measure.clock import SystemClock
from runtime.bench.opened import MakeScreener
from runtime.bench.options import Single
from runtime.bench.report.export import to_csv
from runtime.bench.report.page import render
from runtime.bench.report.table import print_report
from runtime.bench.schema import Report
from runtime.bench.session import run_session
from runtime.bundle import Bundle
from runtime.commands.stop import Stop
from runtime.engines.fake import FakeEngine, Fault
from runtime.screener import Screener
from tests.pictures import retina
from tests.runtime.conftest import manifest_content
from tests.runtime.engines.tensorrt.fake_plans import both_plans, fake_machine, write_plans
from tests.runtime.engines.tiny import tiny_bundle


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for seed in range(4):
        cv2.imwrite(str(folder / f"{seed}.png"), cv2.cvtColor(retina(seed), cv2.COLOR_RGB2BGR))
    return folder


def fake(engine: FakeEngine | None = None) -> MakeScreener:
    def make(bundle: Bundle, precision: str) -> Screener:
        return Screener(bundle, engine=engine or FakeEngine((0.2, 0.8)), reject_repeats=False)

    return make


def run(arguments: list[str], make: MakeScreener, stop: Stop | None = None) -> Report:
    asked = parse([*arguments, "--no-cold-start"])
    assert isinstance(asked, Single)
    return run_session(asked.run, ("bench", *arguments), stop or Stop(), lambda line: None, make)


def test_a_whole_run_on_stored_pictures(write_bundle: Callable[..., Path], pictures: Path) -> None:
    (pictures / "labels.csv").write_text("image,refer\n" + "".join(f"{i}.png,{i % 2}\n" for i in range(4)))
    engine = FakeEngine((0.2, 0.8))
    engine.segment_delay_ms, engine.classify_delay_ms = 3, 1
    report = run(
        [
            *("--source", str(pictures), "--bundle", str(write_bundle()), "--labels", str(pictures / "labels.csv")),
            *("--frames", "30", "--warmup", "2", "--percentile", "50", "--budget-ms", "10000"),
        ],
        fake(engine),
    )
    assert report.counts.timed == report.counts.frames_in == 30
    assert report.rows["segment"].mean >= 3
    assert report.rows["classify"].mean >= 1
    assert report.rows["camera_to_result"].over_budget == 0
    assert report.percentile.value_ms is not None
    assert report.input.distinct_frames == 4
    assert report.input.sha256 is not None
    assert report.accuracy is not None
    assert (report.accuracy.truth, report.accuracy.auc, report.accuracy.auc_frames) == ("labels", 0.5, 4)
    assert report.machine.memory_peak_mb is not None
    assert engine.frames == 2 + 30 + 4
    assert engine.closed


def test_the_stages_of_a_gpu_are_shown_by_its_own_clock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tiny_bundle(tmp_path / "tiny")
    write_plans(bundle, both_plans(bundle))
    with contextlib.contextmanager(fake_machine)(bundle) as machine:
        report = run(
            ["--bundle", str(bundle.path), "--frames", "40", "--warmup", "2", "--stage-budget", "upload=1000"],
            lambda bundle, precision: Screener(bundle, engine=machine.load(), reject_repeats=False),
        )
    assert report.engine.backend == "tensorrt"
    rows = report.rows
    assert min(rows[name].n for name in ("upload", "gpu_compute", "download")) == report.counts.timed == 40
    assert min(rows[name].mean for name in ("upload", "gpu_compute", "download")) > 0
    gpu_ms = sum(rows[name].mean for name in ("upload", "gpu_compute", "download"))
    assert gpu_ms <= rows["segment"].mean + rows["classify"].mean
    assert rows["upload"].over_budget == 0
    print_report(report, sys.stdout)
    assert "gpu compute" in capsys.readouterr().out
    assert "gpu compute" in render(report)
    assert "gpu_compute_ms" in to_csv(report).splitlines()[0]
    assert {"upload", "gpu_compute", "download"} <= {
        line.stage for line in compare((report,), (report,), max_regression=0).lines
    }


def test_random_arrivals_through_a_whole_run(write_bundle: Callable[..., Path], pictures: Path) -> None:
    engine = FakeEngine((0.2, 0.8))
    engine.segment_delay_ms = 3
    common = ["--source", str(pictures), "--bundle", str(write_bundle()), "--no-accuracy", "--warmup", "1"]
    report = run(
        [*common, *("--frames", "30", "--arrivals", "poisson", "--rate", "900", "--seed", "7", "--percentile", "50")],
        fake(engine),
    )
    assert (report.plan.load, report.plan.rate_hz, report.seeds["arrivals"]) == ("poisson", 900, 7)
    assert report.counts.frames_in == report.counts.timed == 30
    assert report.counts.dropped == 0
    latencies = report.frames.camera_to_result_ms
    assert latencies[-1] > 20, "30 frames in 33 ms, each of 3 ms or more: the last waits for those before it"
    overloaded = [finding.weight for finding in report.findings if finding.kind == "OVERLOADED"]
    assert overloaded == ["fail"]
    other = run([*common, "--frames", "5", "--arrivals", "poisson", "--rate", "900"], fake(engine))
    assert "arrivals" in " ".join(incomparable(report, other))


def test_a_budget_for_a_stage_that_is_not_there_is_refused(write_bundle: Callable[..., Path], pictures: Path) -> None:
    with pytest.raises(BenchError, match="upload: fake gives no times of a GPU"):
        run(["--source", str(pictures), "--bundle", str(write_bundle()), "--stage-budget", "upload=1"], fake())


def test_the_same_source_has_the_same_input_hash(write_bundle: Callable[..., Path]) -> None:
    common = ["--bundle", str(write_bundle()), "--frames", "6", "--warmup", "0", "--no-accuracy"]
    hashes = [run(["--source", f"sim:seed={seed},size=96x96", *common], fake()).input.sha256 for seed in (1, 1, 2)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_the_simulations_truth_is_held_against_the_results(
    write_bundle: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runtime.bench.measure.accuracy.SIMULATED_FRAMES", 8)
    report = run(
        ["--source", "sim:size=160x120", "--bundle", str(write_bundle()), "--frames", "3", "--warmup", "0"], fake()
    )
    assert report.accuracy is not None
    assert (report.accuracy.truth, report.accuracy.frames) == ("simulated", 8)
    assert report.accuracy.dice is not None


def test_the_open_loop_keeps_its_schedule(write_bundle: Callable[..., Path], pictures: Path) -> None:
    report = run(
        [
            *("--source", str(pictures), "--bundle", str(write_bundle()), "--no-accuracy", "--warmup", "0"),
            *("--load", "camera", "--rate", "50", "--frames", "40"),
        ],
        fake(),
    )
    assert report.counts.frames_in == 40
    assert len(report.frames.camera_to_result_ms) == 40
    assert report.run.camera_frames_per_s == pytest.approx(50, rel=1e-3)


def test_a_live_camera_keeps_its_own_time_and_its_newest_frame_is_read(write_bundle: Callable[..., Path]) -> None:
    engine = FakeEngine((0.2, 0.8))
    engine.segment_delay_ms = 60
    report = run(
        [
            *("--source", "sim:size=320x240,fps=50", "--bundle", str(write_bundle()), "--warmup", "2"),
            *("--load", "camera", "--frames", "40"),
        ],
        fake(engine),
    )
    assert report.input.paced_by == "camera"
    assert report.counts.frames_in >= 40
    assert report.counts.dropped > 0
    waited = [value for value in report.frames.columns["wait"] if value is not None]
    total = [value for value in report.frames.columns["total"] if value is not None]
    assert sorted(waited)[len(waited) // 2] < sum(total) / 4, "in a queue of all of them half would wait half the run"


def test_an_engine_that_fails_fails_the_run(write_bundle: Callable[..., Path], pictures: Path) -> None:
    engine = FakeEngine()
    engine.fault = Fault.SEGMENT_ERROR
    report = run(
        ["--source", str(pictures), "--bundle", str(write_bundle()), "--frames", "12", "--no-accuracy"], fake(engine)
    )
    assert report.counts.failed == 12
    assert report.rows == {}
    assert {"NO_RESULT", "TOO_FEW_SAMPLES"} <= {finding.kind for finding in report.findings}


def test_ctrl_c_gives_the_report_so_far_marked(write_bundle: Callable[..., Path], pictures: Path) -> None:
    engine = _StopsAfter(20)
    with Stop() as stop:
        report = run(
            ["--source", str(pictures), "--bundle", str(write_bundle()), "--warmup", "2", "--frames", "100000"],
            fake(engine),
            stop,
        )
        assert stop.exit_code == 130
    assert report.interrupted
    assert report.verdict == "INVALID"
    assert report.counts.timed == 18
    assert report.findings[0].kind == "STOPPED"


class _StopsAfter(FakeEngine):
    """Presses Ctrl-C while it reads a frame."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.stop_at = frames

    def _infer(self, *arguments: object) -> object:  # type: ignore[override]
        if self.frames + 1 == self.stop_at:
            os.kill(os.getpid(), signal.SIGINT)
        return super()._infer(*arguments)  # type: ignore[arg-type]


def test_ctrl_c_ends_a_long_rest_at_once(
    write_bundle: Callable[..., Path], pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    rests = SystemClock.sleep_until_ns

    def pressed_meanwhile(clock: SystemClock, due_ns: int) -> None:
        timer.start()
        rests(clock, due_ns)

    monkeypatch.setattr(SystemClock, "sleep_until_ns", pressed_meanwhile)

    with Stop() as stop:
        report = run(
            [
                *("--source", str(pictures), "--bundle", str(write_bundle()), "--warmup", "0"),
                *("--load", "idle", "--idle-s", "3600"),
            ],
            fake(),
            stop,
        )
    assert report.interrupted
    assert report.run.seconds < 60


def test_a_run_is_judged_by_what_its_frames_can_state_unless_told_or_held_to_a_budget() -> None:
    calls: dict[tuple[str, ...], tuple[int, float]] = {
        ("--load", "idle"): (20, 50),
        ("--load", "idle", "--frames", "70", "--percentile", "90"): (70, 90),
        (): (1000, 99),
        ("--frames", "661"): (661, 95),
        ("--frames", "129"): (129, 90),
        ("--frames", "63"): (63, 50),
        ("--frames", "3"): (3, 50),
        ("--frames", "200", "--percentile", "99"): (200, 99),
        ("--frames", "200", "--budget-ms", "50"): (200, 99),
        ("--frames", "200", "--stage-budget", "segment=50"): (200, 99),
    }
    for words, expected in calls.items():
        asked = parse(words)
        assert isinstance(asked, Single)
        assert (asked.run.until.frames, asked.run.goals.percentile) == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--frames", "0"], "from 1 up"),
        (["--frames", "-5"], "from 1 up"),
        (["--warmup", "-1"], "from 0 up"),
        (["--threads", "0"], "from 1 to 4096"),
        (["--burst", "0"], "from 1 up"),
        (["--budget-ms", "0"], "above zero"),
        (["--budget-ms", "nan"], "above zero"),
        (["--rate", "0", "--load", "camera"], "above zero"),
        (["--rate", "30"], "--load camera"),
        (["--percentile", "100"], "1 to 99.99"),
        (["--miss-rate", "1.5", "--budget-ms", "5"], "0 to 1"),
        (["--miss-rate", "0.1"], "--budget-ms"),
        (["--stage-budget", "segments=5"], "STAGE=MS"),
        (["--stage-budget", "segment=0"], "above zero"),
        (["--soak", "30"], "30m"),
        (["--load", "none"], "back-to-back"),
        (["--checkpoint", "x.pkl"], "--peer pytorch"),
        (["--labels", "x.csv", "--source", "x", "--no-accuracy"], "--no-accuracy"),
        (["--labels", "x.csv", "--source", "sim:seed=2"], "their own truth"),
        (["--matrix", "--html", "x.html"], "--matrix"),
        (["--precision", "int7"], "fp32"),
        (["--csv", "x", "--json", "x"], "the same file twice"),
        (["compare", "a.json"], "required: B"),
        (["compare", "a.json", "b.json", "--max-regression", "-1"], "from 0 up"),
    ],
)
def test_a_wrong_call_is_one_clear_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert "--help" in line


def test_unusable_input_is_one_clear_line_and_code_2(
    write_bundle: Callable[..., Path],
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runtime.bench.peers.choose.find_spec", lambda name: name)  # as if every peer were installed
    bundle = str(write_bundle())
    (tmp_path / "bad.csv").write_text("image,mask\n0.png,masks/none.png\n")
    (tmp_path / "other.csv").write_text("name,value\na,1\n")
    (tmp_path / "strangers.csv").write_text("image,refer\n77.png,1\n")
    (tmp_path / "text.csv").write_text("image,mask\n0.png,other.csv\n")
    stored = ["--bundle", bundle, "--source", str(pictures)]
    (tmp_path / "blocked").write_text("")
    peer = ["--bundle", bundle, "--source", str(pictures), "--peer", "pytorch"]
    (tmp_path / "graphless").mkdir()
    (tmp_path / "graphless" / "manifest.json").write_text(json.dumps(manifest_content({})))
    graphless = str(tmp_path / "graphless")
    calls: list[tuple[list[str], str]] = [
        (["--bundle", str(tmp_path / "none")], "manifest.json cannot be read"),
        (["--bundle", bundle, "--source", str(pictures), "--no-cold-start"], "is not an ONNX graph"),
        (["--bundle", bundle, "--source", str(pictures), "--precision", "int8"], "no int8 graph"),
        (["--bundle", bundle, "--source", str(tmp_path / "none")], "no such file or folder"),
        (["--bundle", bundle, "--source", "sim:colour=red"], "unknown setting"),
        ([*stored, "--labels", str(tmp_path / "bad.csv")], "masks/none.png is not there"),
        ([*stored, "--labels", str(tmp_path / "other.csv")], "expected columns image"),
        ([*stored, "--labels", str(tmp_path / "none.csv")], "cannot be read"),
        ([*stored, "--labels", str(tmp_path / "strangers.csv")], "none of 1 pictures is among the 4"),
        ([*stored, "--labels", str(tmp_path / "text.csv")], "not a picture"),
        (["--json", str(tmp_path / "blocked" / "x.json")], "cannot be written"),
        ([*peer, "--checkpoint", str(tmp_path / "none.pkl")], "none.pkl: no such file"),
        (["--bundle", graphless, "--source", str(pictures), "--peer", "pytorch"], "no fp32 graphs"),
        (["--bundle", bundle, "--source", "sim:size=96x96,fps=50", "--peer", "onnxruntime"], "that both can be given"),
        (["--bundle", bundle, "--source", "sim:size=96x96,fps=50", "--layers"], "that come again"),
        (["--bundle", bundle, "--source", "sim:size=96x96,fps=50", "--streams", "2"], "that several can be given"),
        (["--bundle", bundle, "--sweep", "size=96x96,9999x9999"], "9999"),
        (
            ["--bundle", bundle, "--sweep", "rate=5,6", "--load", "camera", "--source", str(tmp_path / "none")],
            "no such",
        ),
        (["--html", str(tmp_path)], "is a folder"),
        (["--csv", os.devnull], "a device or pipe"),
        (["--bundle", bundle, "--source", str(pictures), "--matrix"], "is not an ONNX graph"),
        (["compare", str(tmp_path / "bad.csv"), str(tmp_path / "bad.csv")], "not a whole"),
    ]
    for arguments, said in calls:
        assert main(arguments) == 2
        told = capsys.readouterr()
        lines = [line for line in told.err.strip().splitlines() if line.startswith("runtime.bench:")]
        assert len(lines) == 1, told.err
        assert said in lines[0]
        assert "Traceback" not in told.err


def test_the_command_writes_what_was_asked(
    write_bundle: Callable[..., Path],
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(session_module, "maker", lambda *_, repeats: fake())
    out = {name: tmp_path / f"report.{name}" for name in ("json", "csv", "html")}
    common = [
        "--bundle",
        str(write_bundle()),
        "--source",
        str(pictures),
        "--frames",
        "12",
        "--no-cold-start",
        "--percentile",
        "99",
    ]
    code = main([*common, *(text for name, path in out.items() for text in (f"--{name}", str(path)))])
    told = capsys.readouterr()
    assert code == 2
    assert "p99 needs 662 frames read, got 12" in told.out
    assert told.err.startswith("note: a p99 is stated from 662 frames on, 12 come: INVALID will be said")
    report = Report.model_validate_json(out["json"].read_bytes())
    assert report.command[:3] == ("python", "-m", "runtime.bench")
    assert out["csv"].read_text().count("\n") == 13
    assert out["html"].read_text().startswith("<!DOCTYPE html>")
    main([*common, "--json", "-"])
    told = capsys.readouterr()
    assert json.loads(told.out)["schema"] == "rop.bench/1"
    assert "camera to result" in told.err
    main([*common, "--csv", "-"])
    told = capsys.readouterr()
    assert told.out.count("\n") == 13
    assert "camera to result" in told.err


def test_what_fails_after_the_run_does_not_take_the_report_with_it(
    write_bundle: Callable[..., Path], pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*arguments: object) -> None:
        raise BenchError("peer: ended with code 1: out of memory")

    def gone(*arguments: object) -> None:
        raise SourceNotFound("pictures: no such folder")

    monkeypatch.setattr(beside_module, "_peers", fails)
    monkeypatch.setattr(beside_module, "_accuracy", gone)
    report = run(["--source", str(pictures), "--bundle", str(write_bundle()), "--frames", "15"], fake())
    assert report.counts.timed == 15
    assert report.verdict == "INVALID"
    failed = [finding.text for finding in report.findings if finding.kind == "PART_FAILED"]
    assert len(failed) == 2
    assert "out of memory" in failed[0]
    assert "no such folder" in failed[1]
