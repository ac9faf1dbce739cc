from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runtime import Bundle, open_bundle
from runtime.arrays import UInt8Array
from runtime.budget import Budget, Deadline
from runtime.engines import load_engine
from runtime.engines.base import Backend, Engine, GpuTimings, Inference
from runtime.engines.fake import FakeEngine
from runtime.errors import BundleError, EngineError
from runtime.reading import EngineFacts

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


def gives(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, **changes: object) -> FakeEngine:
    """An engine whose networks give something else."""
    wrong = replace(engine.infer(IMAGE), **changes)  # type: ignore[arg-type]
    monkeypatch.setattr(engine, "_infer", lambda *_: wrong)
    return engine


def vessels_with(value: float) -> np.ndarray:
    """A map of which one pixel is another."""
    made = np.full((256, 256), 0.5, np.float32)
    made[17, 200] = value
    return made


NO_PROBABILITY = [-0.0011, 1.0011, -0.5, -1.0, 1.5, 2.0, np.nan, np.inf, -np.inf]


@pytest.mark.parametrize("value", NO_PROBABILITY)
def test_one_pixel_that_is_no_probability_is_refused(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    engine = gives(FakeEngine(), monkeypatch, vessels=vessels_with(value))
    with pytest.raises(EngineError, match=r"^vessels: values from .* expected 0 to 1; the engine's output is not"):
        engine.infer(IMAGE)


@pytest.mark.parametrize("value", NO_PROBABILITY)
@pytest.mark.parametrize("at", [0, 1])
def test_a_class_that_has_no_probability_is_refused(monkeypatch: pytest.MonkeyPatch, value: float, at: int) -> None:
    given = [1.0 - value if np.isfinite(value) else 0.5] * 2
    given[at] = value
    engine = gives(FakeEngine(), monkeypatch, probabilities=np.array(given, np.float32))
    with pytest.raises(EngineError, match=r"^probabilities: values from .* expected 0 to 1; the engine's output is"):
        engine.infer(IMAGE)


def test_rounding_at_the_ends_is_none_of_these(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (-0.0009, 0.0, 1.0, 1.0009, float(np.float32(-1e-3)) / 2):
        with monkeypatch.context() as inside:
            engine = gives(FakeEngine(), inside, vessels=vessels_with(value))
            assert engine.infer(IMAGE).vessels[17, 200] == np.float32(value)
        with monkeypatch.context() as inside:
            engine = gives(FakeEngine(), inside, probabilities=np.array([value, 1 - value], np.float32))
            assert engine.infer(IMAGE).probabilities[0] == np.float32(value)


@pytest.mark.parametrize(("rest", "sound"), [(0.4895, False), (0.4905, True), (0.5095, True), (0.5105, False)])
def test_probabilities_add_up_to_one(monkeypatch: pytest.MonkeyPatch, rest: float, sound: bool) -> None:
    engine = gives(FakeEngine(), monkeypatch, probabilities=np.array([0.5, rest], np.float32))
    if sound:
        assert engine.infer(IMAGE).probabilities[1] == np.float32(rest)
    else:
        with pytest.raises(EngineError, match=rf"^probabilities: add up to {0.5 + rest:.4f}, expected 1;"):
            engine.infer(IMAGE)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("vessels", np.zeros((255, 256), np.float32)),
        ("vessels", np.zeros((1, 256, 256), np.float32)),
        ("probabilities", np.array([1.0], np.float32)),
        ("probabilities", np.array([[0.5, 0.5]], np.float32)),
        ("probabilities", np.array([0.5, 0.25, 0.25], np.float32)),
    ],
)
def test_another_shape_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, values: np.ndarray) -> None:
    engine = gives(FakeEngine(), monkeypatch, **{name: values})
    with pytest.raises(EngineError, match=rf"^{name}: got shape .*, expected \["):
        engine.infer(IMAGE)


@pytest.mark.parametrize("encoded", [None, [0.5, np.nan], [np.inf, 0.5], [0.5, -np.inf]], ids=str)
def test_what_the_test_of_familiarity_needs_is_there(
    monkeypatch: pytest.MonkeyPatch, encoded: list[float] | None
) -> None:
    made = None if encoded is None else np.array(encoded, np.float32)
    engine = gives(FakeEngine(), monkeypatch, encoded=made)
    assert engine.encodes
    with pytest.raises(EngineError, match=r"^encoded: not finite numbers; the engine's output is not usable"):
        engine.infer(IMAGE)
    engine.encodes = False  # nobody asks for it
    engine.infer(IMAGE)
    zeros = gives(FakeEngine(), monkeypatch, encoded=np.zeros(4, np.float32))
    assert zeros.infer(IMAGE).encoded is not None


class Plain(Engine):
    """A backend that says the least that one must."""

    facts = EngineFacts("plain", "fp32", "none")
    class_count = 2
    closed = False

    def _infer(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        raise EngineError("it reads nothing")

    def close(self) -> None:
        """So that it can be seen."""
        self.closed = True


def test_a_backend_that_says_nothing_more_promises_nothing_more() -> None:
    with Plain() as engine:
        assert isinstance(engine, Plain)
        assert (engine.encodes, engine.explains, engine.own, engine.untested) == (False, False, True, False)
        assert (engine.idle_every_s, engine.gpu_ms()) == (None, None)
        with pytest.raises(EngineError, match=r"^plain: "):
            engine.explain()
        before = engine.closed
    assert (before, engine.closed) == (False, True)
    assert not Backend(load=lambda *_: Plain()).auto
    assert GpuTimings(1.0, 2.0, 4.0, 8.0).compute == 6.0


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
