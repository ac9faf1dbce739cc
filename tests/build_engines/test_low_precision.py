"""The build of lower precisions from end to end, and the calls that it refuses."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

from build_engines.__main__ import main
from build_engines.bundle import LowPrecision, extend_bundle, written
from build_engines.card import model_card
from build_engines.errors import QuantizationError
from build_engines.quantize import QuantizeSettings
from build_engines.report.frames import NamedFrames, ReportFrame
from build_engines.report.store import read_report
from calibration import open_set
from calibration.opened import digest
from runtime import Bundle, open_bundle
from runtime.arrays import UInt8Array
from runtime.engines import load_engine
from runtime.manifest import Manifest
from tests.build_engines.quantize.conftest import frames  # noqa: F401
from tests.build_engines.quantize.toy import SEGMENTATION_LAYERS, write_toy
from tests.runtime.conftest import manifest_content

SET_JSON = "set.json"


def source(pictures: UInt8Array) -> NamedFrames:
    empty = np.zeros((256, 256), np.uint8)
    return NamedFrames(
        "noise",
        [ReportFrame(p[np.newaxis], "noise", "all", True, True, empty, bool(i % 2)) for i, p in enumerate(pictures)],
    )


def write_set(folder: Path, pictures: UInt8Array, bundle: Bundle) -> Path:
    """A calibration set of given frames, as `python -m calibration create` writes them."""
    folder.mkdir()
    entries = []
    for rank, pixels in enumerate(pictures):
        path = folder / f"frame_{rank:04d}.png"
        Image.fromarray(pixels).save(path)
        entries.append(
            {
                "file": path.name,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "pixels_sha256": hashlib.sha256(pixels.tobytes()).hexdigest(),
                "device": "unknown",
                "rank": rank,
                "distance": 1.0 if rank else None,
                "features": FEATURES,
            }
        )
    spread = dict.fromkeys(("mean", "std", "min", "p5", "median", "p95", "max"), 0.5)
    used = {e.path: e.sha256 for e in bundle.manifest.files}
    content = {
        "schema": "rop.calibration/1",
        "created": "2026-11-22",
        "input": bundle.manifest.input.model_dump(),
        "bundle": {
            "name": bundle.manifest.name,
            "version": bundle.manifest.version,
            "sha256": bundle.sha256,
            "segmentation_sha256": used["segmentation.fp32.onnx"],
            "engine": "openvino fp32",
        },
        "tools": {},
        "seed": 1,
        "sources": [],
        "exclusions": [],
        "refused": [],
        "devices": {"unknown": len(entries)},
        "covering_distance": 1.0,
        "statistics": dict.fromkeys(FEATURES, spread),
        "population": {"frames": len(entries), "devices": {}, "features": {name: [0.5] for name in FEATURES}},
        "frames": entries,
    }
    content["sha256"] = digest(content)
    (folder / SET_JSON).write_text(json.dumps(content))
    return folder


FEATURES = dict.fromkeys(("brightness", "redness", "green_excess", "detail", "vessel_density"), 0.5)


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("plain") / "bundle"
    write_toy(folder)
    return written(folder, Manifest.model_validate(manifest_content({})))


@pytest.fixture(scope="session")
def calibration(plain: Bundle, frames: UInt8Array, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    return write_set(tmp_path_factory.mktemp("calibration") / "set", frames, plain)


@pytest.fixture(scope="session")
def low(plain: Bundle, calibration: Path, frames: UInt8Array, tmp_path_factory: pytest.TempPathFactory) -> Bundle:  # noqa: F811
    out = tmp_path_factory.mktemp("low") / "bundle"
    settings = QuantizeSettings(("fp16", "int8"), "max")
    extend_bundle(plain, out, list(frames[:1]), LowPrecision(settings, open_set(calibration), source(frames[:5])))
    return open_bundle(out)


def test_a_bundle_gains_precisions_and_keeps_its_fp32_graphs_to_the_bit(
    plain: Bundle, low: Bundle, calibration: Path
) -> None:
    for network in ("segmentation", "classifier"):
        assert low.precisions(network) == ("fp32", "fp16", "int8")
        assert low.read(f"{network}.fp32.onnx") == plain.read(f"{network}.fp32.onnx")
    assert low.manifest.calibration_sha256 == open_set(calibration).sha256
    assert low.manifest.quantization["segmentation"].layers == SEGMENTATION_LAYERS
    assert "nvidia-modelopt" in low.manifest.tools
    assert {"parity.json", "parity.png"} <= {entry.path for entry in low.manifest.files}


def test_report_default_and_card_agree(low: Bundle) -> None:
    report = read_report(low)
    assert low.resolve_precision("openvino", "auto") == report.chosen
    assert len(report.combinations) == 9
    assert report.combination("fp32", "fp32").every.largest_difference == 0
    assert report.speed("segmentation", "int8").int8_layers == SEGMENTATION_LAYERS
    card = (low.path / "MODEL_CARD.md").read_text()
    assert card == model_card(low.manifest, report)
    assert "ranges by max over 8 frames" in card


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_engine_names_what_really_runs(low: Bundle, frames: UInt8Array, precision: str) -> None:  # noqa: F811
    with load_engine(low, "openvino", precision) as engine:
        assert engine.facts.precision == precision
        words = {"fp16": "segmentation f32" if "f32" in engine.facts.device else "16", "int8": "layers in 8 bits"}
        assert words[precision] in engine.facts.device
        assert engine.infer(frames[:1]).probabilities.sum() == pytest.approx(1, abs=1e-3)


def test_the_report_is_shown_and_measured_anew(
    low: Bundle, plain: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["report", str(low.path), "--json", "--out", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((tmp_path / "parity.json").read_text())
    assert (tmp_path / "parity.png").is_file()
    assert main(["report", str(plain.path)]) == 2
    assert "holds no parity report" in capsys.readouterr().err


def test_sensitivity_is_written_as_table_picture_and_json(
    plain: Bundle, calibration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["sensitivity", str(plain.path), "--calibration", str(calibration), "--method", "max", "--judged", "1"]
    assert main([*arguments, "--network", "segmentation", "--out", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "segmentation.sensitivity.json").read_text())
    assert {row["block"] for row in rows} >= {"segmentation.encoder.1", "segmentation.up.0", "segmentation.output"}
    assert "segmentation.output" in capsys.readouterr().out
    assert (tmp_path / "segmentation.sensitivity.png").is_file()


def _fewer(folder: Path, bundle: Bundle) -> None:
    pictures = open_set(folder).frames()[:5]
    shutil.rmtree(folder)
    write_set(folder, pictures, bundle)


def _altered(folder: Path, bundle: Bundle) -> None:
    Image.new("RGB", (256, 256)).save(folder / "frame_0003.png")


def _of_another(folder: Path, bundle: Bundle) -> None:
    content = json.loads((folder / SET_JSON).read_text())
    content["bundle"] |= {"name": "another", "segmentation_sha256": "0" * 64}
    content["sha256"] = digest(content)
    (folder / SET_JSON).write_text(json.dumps(content))


def _absent(folder: Path, bundle: Bundle) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_fewer, "got 5 frames, needed 8 or more"),
        (_altered, "frame_0003.png was altered"),
        (_of_another, "made with bundle another"),
        (_absent, "set.json cannot be read"),
    ],
)
def test_an_unusable_set_is_one_line_and_the_bundle_stays(
    plain: Bundle,
    calibration: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path, Bundle], None],
    message: str,
) -> None:
    own, out = shutil.copytree(calibration, tmp_path / "set"), shutil.copytree(plain.path, tmp_path / "bundle")
    spoil(own, plain)
    assert main([str(out), "--out", str(out), "--precision", "int8", "--calibration", str(own)]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert open_bundle(out).sha256 == plain.sha256
    assert {path.name for path in tmp_path.iterdir()} <= {"bundle", "set"}


def test_sensitivity_of_too_few_frames_is_refused(
    plain: Bundle, calibration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = shutil.copytree(calibration, tmp_path / "set")
    _fewer(own, plain)
    assert main(["sensitivity", str(plain.path), "--calibration", str(own)]) == 2
    assert "got 5 frames, needed 8 or more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--precision", "int4"], "--precision: got 'int4', expected fp32, fp16, int8"),
        (["--precision", "int8"], "needs --calibration SET"),
        (["--precision", "fp32"], "is a bundle already; name fp16 or int8"),
        (["--precision", "fp16", "--max-drop", "2"], "--max-drop: got 2"),
        (["--precision", "fp16", "--max-drop", "-0.5"], "--max-drop: got -0.5"),
        (["--precision", "fp16", "--calibration-frames", "0"], "--calibration-frames: got 0"),
        (["--precision", "fp16", "--data", "/nowhere.csv"], "--data"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(
    plain: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main([str(plain.path), "--out", str(tmp_path / "out"), *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err
    assert len(err.strip().splitlines()) <= 2
    assert not list(tmp_path.iterdir())


def test_a_graph_with_unnamed_nodes_is_refused(plain: Bundle, frames: UInt8Array, tmp_path: Path) -> None:  # noqa: F811
    folder = shutil.copytree(plain.path, tmp_path / "bundle")
    model = onnx.load(folder / "segmentation.fp32.onnx")
    model.graph.node[0].name = ""
    onnx.save(model, folder / "segmentation.fp32.onnx")
    spoilt = written(folder, plain.manifest)
    low = LowPrecision(QuantizeSettings(("fp16",)), None, source(frames[:5]))
    with pytest.raises(QuantizationError, match=r"segmentation.fp32.onnx: 1 nodes without a name"):
        extend_bundle(spoilt, tmp_path / "out", list(frames[:1]), low)
    assert not (tmp_path / "out").exists()
