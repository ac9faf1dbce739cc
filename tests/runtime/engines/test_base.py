from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime import Bundle, open_bundle
from runtime.engines import load_engine
from runtime.engines.fake import FakeEngine
from runtime.errors import BundleError, EngineError

IMAGE = np.full((1, 256, 256, 3), 100, np.uint8)


@pytest.mark.parametrize(
    "image",
    [IMAGE[0], IMAGE[:, :255], IMAGE.astype(np.float32), np.concatenate((IMAGE, IMAGE))],
    ids=["no batch", "one row short", "float", "two frames"],
)
def test_what_goes_in_is_checked_once_for_every_backend(image: np.ndarray) -> None:
    with pytest.raises(EngineError, match=r"image: got .* expected uint8 \[1, 256, 256, 3\]"):
        FakeEngine().infer(image)


def test_a_sound_inference_passes() -> None:
    inference = FakeEngine((0.25, 0.75)).infer(IMAGE)
    assert inference.probabilities.tolist() == [0.25, 0.75]
    assert inference.vessels.shape == (256, 256)


@pytest.mark.parametrize("logits", [[0.5], [0.5, np.nan], [np.inf, 0.5]], ids=["too few", "not a number", "infinite"])
def test_logits_that_cannot_be_any_are_refused(monkeypatch: pytest.MonkeyPatch, logits: list[float]) -> None:
    engine = FakeEngine()
    inference = engine.infer(IMAGE)
    wrong = replace(inference, logits=np.array(logits, np.float32))
    monkeypatch.setattr(engine, "_infer", lambda *_: wrong)
    with pytest.raises(EngineError, match="logits: expected 2 finite numbers"):
        engine.infer(IMAGE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"engine": "magic"},
            "engine 'magic' is not known; expected auto or one of tensorrt, tensorrt-rtx, triton, openvino",
        ),
        ({"precision": "fp8"}, "precision 'fp8' is not known; expected one of auto, fp32, fp16, int8"),
        ({"threads": 0}, "threads: got 0, expected 1 or more"),
    ],
)
def test_a_wrong_choice_is_named(bundle: Bundle, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        load_engine(bundle, **arguments)  # type: ignore[arg-type]


def test_a_graph_that_is_none_is_refused_in_one_line(bundle: Bundle) -> None:
    with pytest.raises(BundleError, match=r"segmentation.fp32.onnx is not an ONNX graph") as caught:
        load_engine(bundle)
    assert "\n" not in str(caught.value)


def test_a_graph_that_holds_nothing_is_refused_in_one_line(write_bundle: Callable[..., Path]) -> None:
    content = b"\x08\x08"  # an ONNX file that says its version and no more
    names = ("segmentation.fp32.onnx", "classifier.fp32.onnx")
    digest = hashlib.sha256(content).hexdigest()
    folder = write_bundle(files=[{"path": name, "size": len(content), "sha256": digest} for name in names])
    for name in names:
        (folder / name).write_bytes(content)
    with pytest.raises(EngineError, match=r"segmentation.fp32.onnx of bundle .* cannot be compiled") as caught:
        load_engine(open_bundle(folder))
    assert "\n" not in str(caught.value)
