"""Runs by turns: the matrix with the default among its lines, sweeps, streams at once, and what a stop leaves."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy import stats as oracle

from device.frame import Frame
from runtime.bench import session as session_module
from runtime.bench.__main__ import main
from runtime.bench.arguments import parse
from runtime.bench.errors import BenchError
from runtime.bench.matrix import MatrixTable, combinations, print_matrix
from runtime.bench.options import NOTHING_BESIDE, Matrix, ModelOptions, Run, Streams, Sweep, Until
from runtime.bench.report.export import to_json
from runtime.bench.schema import Report
from runtime.bench.streams import run_streams
from runtime.bench.sweep import runs_of
from runtime.bench.turns import Measured, run_by_turns, share_of
from runtime.budget import Deadline
from runtime.bundle import Bundle, open_bundle
from runtime.commands.stop import Interrupted, Stop
from runtime.engines.fake import FakeEngine
from runtime.errors import EngineError
from runtime.reading import Reading
from runtime.screener import Screener
from runtime.trust.site import Site
from tests.pictures import retina

FRAMES = ("--source", "sim:size=96x96", "--frames", "24", "--warmup", "1", "--percentile", "50", "--no-accuracy")


class Turning(Screener):
    """Writes down whose turn it is, frame by frame."""

    def __init__(self, bundle: Bundle, name: str, order: list[str]) -> None:
        super().__init__(bundle, engine=FakeEngine((0.2, 0.8)), reject_repeats=False, trust="off")
        self.name, self.order = name, order

    def screen(self, frame: Frame, deadline: Deadline = Deadline(), *_: object) -> Reading:  # noqa: B008 (frozen)
        self.order.append(self.name)
        return super().screen(frame, deadline)


@pytest.fixture
def order(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every engine is a fake one, whose Screener writes its precision or threads down; `fp16` cannot be loaded."""
    order: list[str] = []

    def maker(model: ModelOptions, site: Site, *, repeats: bool) -> Callable[[Bundle, str], Screener]:
        def make(bundle: Bundle, precision: str) -> Screener:
            if precision == "fp16":
                raise EngineError("fake: no fp16 here")
            name = str(model.threads) if model.threads else precision
            return Turning(bundle, name, order)

        return make

    monkeypatch.setattr(session_module, "maker", maker)
    return order


def read_again(report: Report) -> str:
    return to_json(Report.model_validate_json(to_json(report)))


def runs(bundle: Path, *precisions: str) -> dict[str, Run]:
    pictures = bundle.parent / "pictures"
    pictures.mkdir(exist_ok=True)
    for seed in range(3):
        cv2.imwrite(str(pictures / f"{seed}.png"), retina(seed)[..., ::-1])
    run = Run(str(pictures), until=Until(frames=24), warmup=1, beside=NOTHING_BESIDE)
    return {name: replace(run, model=ModelOptions(bundle=bundle, precision=name)) for name in precisions}


def test_each_goes_first_once_and_frames_are_shared_out(write_bundle: Callable[..., Path], order: list[str]) -> None:
    with Stop() as stop:
        measured = run_by_turns(runs(write_bundle(), "fp32", "fp16", "int8"), 4, ("bench",), stop, lambda line: None)
    assert measured.left_out == ("fp16: fake: no fp16 here",)
    assert "".join(name[0] for name in order) == "fi" + ("f" * 11 + "i" * 22 + "f" * 11) * 2
    for report in measured.reports.values():
        assert (report.counts.frames_in, report.plan.turns, report.plan.frames) == (24, 4, 24)
        assert list(report.frames.number) == list(range(24)), "numbered on from turn to turn"
        at = report.frames.at_s
        assert list(at) == sorted(at)
        assert report.run.frames_per_s == pytest.approx(24 / report.run.seconds), "pauses are not the run's"
        assert read_again(report) == to_json(report)
    assert [len(found) for found in measured.medians_ms.values()] == [4, 4]


def test_a_stop_leaves_whole_turns(write_bundle: Callable[..., Path], order: list[str]) -> None:
    folder = write_bundle()
    for after, turns in ((20, 1), (60, 3)):
        order.clear()
        with Stop() as stop:
            pressing = _presses(order, after)
            measured = run_by_turns(runs(folder, "fp32", "int8"), 4, ("bench",), stop, pressing)
        for report in measured.reports.values():
            assert (report.interrupted, report.counts.frames_in) == (True, 6 * turns)
    order.clear()
    with Stop() as stop, pytest.raises(Interrupted):
        run_by_turns(runs(folder, "fp32"), 4, ("bench",), stop, _presses(order, 0))


def _presses(order: list[str], after: int) -> Callable[[str], None]:
    """Ctrl-C as a turn is announced when so many frames were read."""

    def say(line: str) -> None:
        if line.startswith("turn") and len(order) >= after:
            os.kill(os.getpid(), signal.SIGINT)

    return say


def test_the_ratio_is_students_of_neighbours() -> None:
    a, b = (10.0, 11.0, 10.5, 12.0), (12.2, 13.1, 12.4, 14.6)
    measured = Measured({}, {"a": a, "b": b, "short": a[:2]}, ())
    found = measured.ratio("b", "a")
    assert found is not None
    logs = np.log(b) - np.log(a)
    expected = oracle.t.interval(0.95, len(a) - 1, logs.mean(), oracle.sem(logs))
    assert found.value == pytest.approx(np.exp(logs.mean()), rel=1e-12)
    assert (found.low, found.high) == pytest.approx(tuple(np.exp(expected)), rel=1e-12)
    assert measured.ratio("a", "a") is measured.ratio("short", "a") is None


@pytest.mark.parametrize("frames", [1, 2, 7, 24, 1000])
def test_the_shares_are_all_frames(frames: int) -> None:
    for turns in (1, 3, 5):
        assert sum(share_of(Until(frames=frames), turn, turns).frames or 0 for turn in range(turns)) == frames


def test_the_default_is_a_line_of_the_matrix(
    order: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the demonstration; where its default is two precisions, as on a CPU of class avx2, it is one by itself."""
    monkeypatch.setattr("runtime.cpu_class.cpu_class", lambda: "avx2")
    bundle = open_bundle()
    found = list(combinations(bundle, "openvino", "auto"))
    default = bundle.resolve_precision("openvino", "auto")
    assert (("openvino", "auto") in found) == (len(set(default.values())) > 1)
    assert main(["--matrix", "--engine", "openvino", *FRAMES, "--json", str(tmp_path / "m.json")]) in (0, 2)
    written = json.loads((tmp_path / "m.json").read_text())
    assert (written["schema"], len(written["reports"])) == ("rop.bench-matrix/1", len(written["names"]))
    (marked,) = [name for name in written["names"] if name.endswith(" (default)")]
    assert marked == f"openvino {'+'.join(dict.fromkeys(default.values()))} (default)"
    assert written["against"] == marked
    assert len(written["left_out"]) == 1
    said = capsys.readouterr().out
    assert f"times as long as {marked}" in said
    assert "left out: openvino fp16" in said


def test_a_default_of_two_precisions_is_measured_as_it_runs(write_bundle: Callable[..., Path]) -> None:
    names = [f"{network}.{word}.onnx" for network in ("segmentation", "classifier") for word in ("fp16", "int8")]
    bundle = _holding(open_bundle(write_bundle()), names, {"openvino": {"segmentation": "fp16", "classifier": "int8"}})
    assert list(combinations(bundle, "openvino", "auto")) == [
        ("openvino", "fp16"),
        ("openvino", "int8"),
        ("openvino", "auto"),
    ]


def _holding(bundle: Bundle, files: list[str], default: Mapping[str, Mapping[str, str]]) -> Bundle:
    entry = bundle.manifest.files[0]
    held = [entry.model_copy(update={"path": path}) for path in files]
    manifest = bundle.manifest.model_copy(update={"files": held, "default_precision": default})
    return replace(bundle, manifest=manifest)


def test_a_sweep_is_every_combination_by_its_name(
    write_bundle: Callable[..., Path], order: list[str], tmp_path: Path
) -> None:
    asked = parse(["--sweep", "threads=1,2", "size=96x96,128x96", "precision=fp32,int8"])
    assert isinstance(asked, Sweep)
    found = runs_of(asked)
    assert len(found) == 8
    assert list(found)[:2] == ["threads 1, size 96x96, precision fp32", "threads 1, size 96x96, precision int8"]
    last = list(found.values())[-1]
    assert (last.model.threads, last.model.precision) == (2, "int8")
    assert "size=128x96" in last.source
    with pytest.raises(BenchError, match="at most 48"):
        runs_of(Sweep(Run(), (("threads", tuple(map(str, range(1, 50)))),), 3))
    words = ["--bundle", str(write_bundle()), *FRAMES, "--json", str(tmp_path / "s.json")]
    assert main(["--sweep", "threads=1,2", "size=96x96,128x96", *words]) in (0, 2)
    written = json.loads((tmp_path / "s.json").read_text())
    assert written["schema"] == "rop.bench-sweep/1"
    assert [(r["engine"]["threads"], r["input"]["width"]) for r in written["reports"]] == [
        (1, 96),
        (1, 128),
        (2, 96),
        (2, 128),
    ]


def test_streams_are_read_at_once(write_bundle: Callable[..., Path], order: list[str]) -> None:
    run = Run("sim:size=96x96", ModelOptions(bundle=write_bundle()), until=Until(frames=40), warmup=1)
    with Stop() as stop:
        found = run_streams(Streams(run, 3), ("bench",), stop, lambda line: None)
    assert [report.plan.streams for report in found.reports] == [3, 3, 3]
    assert max(report.counts.frames_in for report in found.reports) == 40
    assert min(report.counts.frames_in for report in found.reports) >= 1
    lasted = [report.run.seconds for report in found.reports]
    assert max(lasted) < 2 * min(lasted), "all end when the first has its frames"
    assert found.frames_per_s == pytest.approx(sum(report.run.frames_per_s for report in found.reports))
    assert json.loads(found.to_json())["schema"] == "rop.bench-streams/1"


def test_a_stream_that_fails_ends_all(
    write_bundle: Callable[..., Path], order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(self: Screener, *arguments: object) -> object:
        raise EngineError("gone")

    run = Run("sim:size=96x96", ModelOptions(bundle=write_bundle()), until=Until(frames=40), warmup=0)
    monkeypatch.setattr(Screener, "screen", lost)
    with Stop() as stop, pytest.raises(EngineError, match="gone"):
        run_streams(Streams(run, 2), ("bench",), stop, lambda line: None)


def test_an_empty_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    shown = io.StringIO()
    print_matrix(MatrixTable(Measured({}, {}, ("tensorrt fp32: not installed",)), None), shown)
    assert "left out: tensorrt fp32" in shown.getvalue()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--matrix", "--sweep", "threads=1"], "name one of them"),
        (["--matrix", "--streams", "2"], "name one of them"),
        (["--sweep", "threads=1,1"], "each value once"),
        (["--sweep", "threads=01,1"], "each value once"),
        (["--sweep", "rate=5,5.0", "--load", "camera"], "each value once"),
        (["--sweep", "threads=0"], "from 1 to 4096"),
        (["--sweep", "threads"], "NAME=VALUE"),
        (["--sweep", "colour=red"], "NAME=VALUE"),
        (["--sweep", "threads=1", "threads=2"], "each name once"),
        (["--sweep", "threads=1,2", "--threads", "3"], "leave --threads out"),
        (["--sweep", "precision=int8", "--precision", "fp32"], "leave --precision out"),
        (["--sweep", "size=640"], "WIDTHxHEIGHT"),
        (["--sweep", "size=640x480", "--source", "photos"], "simulated"),
        (["--sweep", "rate=5,10"], "--load camera"),
        (["--sweep", "precision=int7"], "fp32"),
        (["--sweep", "threads=1,2", "--html", "x.html"], "leave --html out"),
        (["--turns", "3"], "--matrix or --sweep"),
        (["--streams", "0"], "from 1 to 64"),
        (["--streams", "2", "--peer", "openvino"], "leave --peer out"),
        (["--save-baseline", "../x"], "letters"),
        (["--peer", "caffe"], "onnxruntime"),
    ],
)
def test_calls_that_make_no_sense_are_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line


def test_the_matrix_is_one_kind() -> None:
    asked = parse(["--matrix", "--turns", "5"])
    assert isinstance(asked, Matrix)
    assert asked.turns == 5
