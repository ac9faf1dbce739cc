from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from build_engines.__main__ import main
from build_engines.trust import selftest
from device.frame import Frame
from runtime.bundle import Bundle, open_bundle
from runtime.engines.openvino.engine import OpenVINOEngine
from runtime.outcome import Outcome
from runtime.screener import Screener
from runtime.trust.drift import FEATURES, REFERENCE, References
from runtime.trust.guard import Guard
from runtime.trust.selftest import SELF_TEST, open_self_test
from runtime.trust.selftest_content import SelfTestContent
from tests.pictures import retina
from tests.runtime.engines.tensorrt.fake_plans import KEY, write_plans
from tests.runtime.engines.tiny import tiny_bundle

FP32 = {"segmentation": "fp32", "classifier": "fp32"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def equipped_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of tiny networks after `trust`, which takes seconds."""
    folder = tmp_path_factory.mktemp("equipped")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        bundle = tiny_bundle(folder / "bundle")
        assert main(["trust", str(bundle.path)]) == 0
    return bundle.path


@pytest.fixture
def equipped(equipped_once: Path, tmp_path: Path) -> Bundle:
    """A copy of that bundle."""
    return open_bundle(Path(shutil.copytree(equipped_once, tmp_path / "bundle")))


def test_a_bundle_gets_a_self_test_that_its_networks_pass(equipped: Bundle) -> None:
    names = {entry.path for entry in equipped.manifest.files}
    assert {SELF_TEST, *(f"selftest/frame_{number}.png" for number in range(1, 5))} <= names
    with Screener(equipped, engine="openvino", trust=Guard(equipped)) as screener:
        reading = screener.screen(Frame(retina(), 0, "retina.png"))
    assert reading.trust is not None
    assert reading.trust.self_test.state == "passed"


def test_the_networks_answer_the_frames_differently(equipped: Bundle) -> None:
    content = SelfTestContent.model_validate(json.loads(equipped.read(SELF_TEST)))
    answers = content.answers["fp32"].frames
    scores = [answer.probabilities[1] for answer in answers]
    assert max(scores) - min(scores) > content.answers["fp32"].probability_tolerance


@pytest.mark.parametrize("network", ["segmentation", "classifier"])
@pytest.mark.parametrize("bit", [31, 30, 28, 25, 23])
def test_one_corrupted_weight_is_caught(equipped: Bundle, network: str, bit: int) -> None:
    """Sign and exponent of one weight, changed in a loaded engine as no hash of a file can see."""
    altered = _with_flipped_weight(equipped, network, bit)
    test = open_self_test(equipped, "fp32")
    assert test is not None
    with OpenVINOEngine(equipped, FP32) as engine:
        assert test.run(engine) == ""
    with OpenVINOEngine(altered, FP32) as engine:
        assert test.run(engine)
    with Screener(equipped, engine=OpenVINOEngine(altered, FP32), trust=Guard(equipped)) as screener:
        assert screener.screen(Frame(retina(), 0, "retina.png")).outcome is Outcome.NO_RESULT


def _with_flipped_weight(bundle: Bundle, network: str, bit: int) -> Bundle:
    """The bundle as its engine would be loaded from memory that lost a bit."""
    name = f"{network}.fp32.onnx"
    model = onnx.load_from_string(bundle.read(name))
    tensor = next(t for t in model.graph.initializer if t.name in ("green", "weights"))
    values = numpy_helper.to_array(tensor).copy()
    place = values.reshape(-1).view(np.uint32)
    place[1] ^= np.uint32(1 << bit)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))

    class Altered(Bundle):
        def read(self, path: str) -> bytes:
            return model.SerializeToString() if path == name else super().read(path)

    return Altered(bundle.path, bundle.manifest, bundle.sha256)


def test_plans_stay_the_signature_goes_and_the_reference_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    write_plans(bundle, {"segmentation": b"s", "classifier": b"c"})
    (bundle.path / "manifest.sig").write_text("{}")
    before = {name: bundle.read(name) for name in ("segmentation.fp32.onnx", "classifier.fp32.onnx")}
    sources = ["--reference", "RetCam=sim:frames=24", "--reference", "Neo=sim:device=neo,frames=24"]
    assert main(["trust", str(bundle.path), *sources, "--gradable-share", "0.8"]) == 0
    assert "its signature no longer fits and is gone" in capsys.readouterr().err
    after = open_bundle(bundle.path)
    assert not (bundle.path / "manifest.sig").exists()
    assert (bundle.path / "plans" / str(KEY) / "plan.json").is_file()
    assert {name: after.read(name) for name in before} == before
    found = References.model_validate_json(after.read(REFERENCE)).references
    assert list(found) == ["RetCam", "Neo", "all"]
    assert found["all"].frames == found["RetCam"].frames + found["Neo"].frames == 48
    assert set(found["all"].features) == set(FEATURES)
    assert found["all"].gradable_share == 0.8
    reference = after.read(REFERENCE)
    assert main(["trust", str(bundle.path)]) == 0  # without frames the reference stays
    assert open_bundle(bundle.path).read(REFERENCE) == reference
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".bundle")] == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--reference", "photos"], "expected CAMERA=SOURCE"),
        (["--reference", "all=photos"], "expected CAMERA=SOURCE"),
        (["--reference", "Neo=/nowhere/at/all.png"], "nowhere"),
        (["--reference", "Neo=sim:frames=3"], "reference Neo: got 3 frames, needed 20"),
        (["--gradable-share", "1"], "expected a share between 0 and 1"),
    ],
)
def test_a_wrong_call_says_why_and_leaves_the_bundle_alone(
    tmp_path: Path, arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    assert main(["trust", str(bundle.path), *arguments]) == 2
    assert expected in capsys.readouterr().err
    assert open_bundle(bundle.path).sha256 == bundle.sha256


@pytest.mark.parametrize(
    ("references", "said"),
    [
        (["Neo={photos}"], "labels.csv beside it says RetCam of 24 pictures, expected Neo"),
        (["RetCam={photos}", "Neo={photos}"], "was named for RetCam already"),
        (["RetCam=sim:"], "has no known end"),
    ],
)
def test_a_reference_is_checked_before_the_networks_are_asked(
    tmp_path: Path,
    references: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(24):
        Image.fromarray(retina(number)).save(photos / f"{number}.png")
    rows = [f"{number}.png,RetCam" for number in range(24)]
    (photos / "labels.csv").write_text("\n".join(["image,device", *rows]) + "\n")
    bundle = tiny_bundle(tmp_path / "bundle")
    monkeypatch.setattr(selftest, "ask", lambda *_: pytest.fail("the networks were asked"))
    words = [word for text in references for word in ("--reference", text.format(photos=photos))]
    assert main(["trust", str(bundle.path), *words]) == 2
    assert said in capsys.readouterr().err


def test_every_pair_of_precisions_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tiny_bundle(tmp_path / "bundle")
    monkeypatch.setattr(Bundle, "precisions", lambda self, network: ("fp32", "fp16"))
    asked: list[dict[str, str]] = []

    def load(bundle: Bundle, precision: dict[str, str]) -> OpenVINOEngine:
        asked.append(precision)
        return OpenVINOEngine(bundle, FP32)

    monkeypatch.setattr(selftest, "OpenVINOEngine", load)
    selftest.write_self_test(bundle)
    content = SelfTestContent.model_validate(json.loads((bundle.path / SELF_TEST).read_text()))
    assert set(content.answers) == {"fp32", "fp32+fp16", "fp16+fp32", "fp16"}
    assert content.answers["fp32"].probability_tolerance < content.answers["fp32+fp16"].probability_tolerance
