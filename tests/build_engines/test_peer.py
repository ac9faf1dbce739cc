from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from build_engines.eager import EagerEngine
from build_engines.peer import main, serve
from build_engines.segimgnet.checkpoint import save_checkpoint
from build_engines.segimgnet.classifier import SegImgNet
from build_engines.segimgnet.size import NetworkSize
from runtime import Screener, open_bundle
from runtime.preprocess import network_input
from tests.pictures import retina
from tests.runtime.conftest import manifest_content

TINY = NetworkSize("tiny", (4, 8, 8, 16, 16), (8, 8, 16, 16), (1, 1, 1, 1), 16)


@pytest.fixture
def network() -> SegImgNet:
    torch.manual_seed(0)
    return SegImgNet(TINY, 2).eval()


@pytest.fixture
def bundle_folder(tmp_path: Path) -> Path:
    (tmp_path / "manifest.json").write_text(json.dumps(manifest_content({})))
    return tmp_path


def test_the_engine_gives_what_the_network_gives(network: SegImgNet) -> None:
    image = network_input(retina())
    found = EagerEngine(network).infer(image)
    with torch.inference_mode():
        segmentation, classification = network(torch.from_numpy(image.copy()).permute(0, 3, 1, 2) / 255)
    np.testing.assert_allclose(found.vessels, segmentation.vessels[0, 0].numpy(), atol=1e-6)
    np.testing.assert_allclose(found.probabilities, classification.probabilities[0].numpy(), atol=1e-6)
    assert found.segment_ms > 0
    assert found.classify_ms > 0


def test_each_line_has_its_answer_and_a_bad_one_ends_nothing(
    network: SegImgNet, bundle_folder: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "0.npy", retina())
    asked = io.StringIO(
        "".join(
            line + "\n"
            for line in (
                json.dumps({"frame": str(tmp_path / "0.npy")}),
                "nonsense",
                json.dumps({"frame": str(tmp_path / "none.npy")}),
                json.dumps({"frame": str(tmp_path / "0.npy")}),
            )
        )
    )
    told = io.StringIO()
    engine = EagerEngine(network)
    with Screener(open_bundle(bundle_folder), engine=engine, reject_repeats=False) as screener:
        serve(screener, asked, told)
    ready, first, nonsense, missing, again = map(json.loads, told.getvalue().splitlines())
    assert ready["schema"] == "rop.peer/1"
    assert ready["precision"] == "fp32"
    assert first["outcome"] in ("REFER", "NO_REFERRAL_FINDINGS")
    assert first["total_ms"] > 0
    assert again["outcome"] == first["outcome"]
    assert "error" in nonsense
    assert "none.npy" in missing["error"]


def test_a_checkpoint_of_another_bundle_is_refused(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint(SegImgNet(TINY, 5), tmp_path / "five.pkl")
    assert main([str(tmp_path / "five.pkl"), "--bundle", str(bundle_folder)]) == 2
    assert "has 5 classes" in capsys.readouterr().err
    assert main([str(tmp_path / "none.pkl"), "--bundle", str(bundle_folder)]) == 2
    assert "no such file" in capsys.readouterr().err
