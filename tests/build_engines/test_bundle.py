from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import build_engines.bundle
from build_engines.bundle import build_bundle
from build_engines.card import model_card
from build_engines.description import Description, load_description, plain_description
from build_engines.errors import BuildError, ParityError
from build_engines.segimgnet import NetworkSize, SegImgNet
from runtime import Screener, open_bundle
from runtime.engines.openvino.engine import OpenVINOEngine
from tests.pictures import retina

pytestmark = pytest.mark.usefixtures("exported_once")
TINY = NetworkSize("tiny", (4, 8, 8, 8, 8), (8, 8, 8, 8), (1, 1, 1, 1), 8)
IMAGES = [np.random.default_rng(i).integers(0, 256, (256, 256, 3), dtype=np.uint8) for i in range(2)]


@pytest.fixture
def network() -> SegImgNet:
    torch.manual_seed(0)
    return SegImgNet(TINY, classes=2, layer_scale=0.5).eval()


def test_a_built_bundle_opens_and_reads_a_frame(
    tmp_path: Path, network: SegImgNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    built = build_bundle(network, plain_description("tiny", 2), tmp_path / "bundle", IMAGES)
    assert built.parity is not None
    assert built.parity.images == 2
    paths = {entry.path for entry in built.manifest.files}
    assert {path for path in paths if not path.startswith("vectors/")} == {
        "MODEL_CARD.md",
        "classifier.fp32.onnx",
        "segmentation.fp32.onnx",
        "selftest/expected.json",
        *(f"selftest/frame_{number}.png" for number in range(1, 5)),
    }
    assert "vectors/vectors.json" in paths
    bundle = open_bundle(tmp_path / "bundle")
    assert bundle.manifest.network.size == "tiny"
    assert not bundle.manifest.clinical_use
    from device.frame import Frame

    with Screener(bundle) as screener:
        reading = screener.screen(Frame(retina(), 0, "retina.png"))
    assert reading.probabilities is not None
    assert sum(reading.probabilities.values()) == pytest.approx(1, abs=1e-3)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_engine_gives_the_networks_own_outputs(
    tmp_path: Path, network: SegImgNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    build_bundle(network, plain_description("tiny", 2), tmp_path / "bundle", IMAGES[:1])
    bundle = open_bundle(tmp_path / "bundle")
    with OpenVINOEngine(bundle, bundle.resolve_precision("openvino", "auto")) as engine:
        for image in (*IMAGES, *IMAGES):  # twice over: nothing of the frame before is left
            got = engine.infer(image[np.newaxis])
            with torch.inference_mode():
                seen, said = network(torch.from_numpy(image[np.newaxis]).permute(0, 3, 1, 2) / 255)
            assert np.abs(got.vessels - seen.vessels.numpy()[0, 0]).max() <= 1e-4
            assert np.abs(got.probabilities - said.probabilities.numpy()[0]).max() <= 1e-4


def test_a_description_of_other_classes_is_refused(tmp_path: Path, network: SegImgNet) -> None:
    with pytest.raises(BuildError, match="names 3 classes, the checkpoint has 2"):
        build_bundle(network, plain_description("tiny", 3), tmp_path / "bundle", IMAGES)
    assert not list(tmp_path.iterdir())


def test_a_failed_build_leaves_the_earlier_bundle_whole(
    tmp_path: Path, network: SegImgNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "bundle"
    build_bundle(network, plain_description("first", 2), out, IMAGES[:1])

    def fail(*_: object) -> None:
        raise ParityError("told to fail")

    monkeypatch.setattr(build_engines.bundle, "check_parity", fail)
    with pytest.raises(ParityError):
        build_bundle(network, plain_description("second", 2), out, IMAGES[:1])
    assert open_bundle(out).manifest.name == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_an_earlier_bundle_is_replaced_whole(tmp_path: Path, network: SegImgNet) -> None:
    out = tmp_path / "bundle"
    build_bundle(network, plain_description("first", 2), out, IMAGES[:1])
    (out / "left over").write_text("x")
    build_bundle(network, plain_description("second", 2), out, IMAGES[:1], dynamic_batch=True)
    assert open_bundle(out).manifest.name == "second"
    assert not (out / "left over").exists()


def test_a_folder_that_is_no_bundle_is_never_replaced(tmp_path: Path, network: SegImgNet) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("x")
    with pytest.raises(BuildError, match=r"holds files but no manifest.json"):
        build_bundle(network, plain_description("tiny", 2), tmp_path / "photos", IMAGES)
    assert (tmp_path / "photos" / "a.jpg").read_text() == "x"


def test_the_model_card_says_what_the_manifest_says(tmp_path: Path, network: SegImgNet) -> None:
    built = build_bundle(network, plain_description("tiny", 2), tmp_path / "bundle", IMAGES[:1])
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text()
    assert card == model_card(built.manifest)
    assert "not for clinical use" in card


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": "a", "surprise": 1}'])
def test_a_description_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "d.json"
    path.write_text(content)
    with pytest.raises(BuildError, match=r"description .*d.json"):
        load_description(path)


def test_a_description_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    description: Description = plain_description("a", 3)
    description.save(tmp_path / "d.json")
    assert load_description(tmp_path / "d.json") == description
    assert [c["refer"] for c in json.loads((tmp_path / "d.json").read_text())["classes"]] == [False, True, True]
