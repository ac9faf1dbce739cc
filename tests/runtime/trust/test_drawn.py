"""The self-test's drawn part: an engine that is right on the public frames only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from runtime.budget import Budget, Deadline
from runtime.bundle import Bundle, open_bundle
from runtime.engines import load_engine
from runtime.engines.base import Engine, Inference
from runtime.trust.drawn import draw, drawn_problem
from runtime.trust.guard import Guard
from runtime.trust.site import MANIFEST_SIGNATURE, open_site
from tests.runtime.trust.conftest import sign
from tests.runtime.word.tiny import KNOWN, write_tiny_bundle


class Exchanged(Engine):
    """A sound engine, but for what a test makes of its answers to frames that are not the bundle's own."""

    def __init__(self, bundle: Bundle, change: Callable[[Inference], Inference]) -> None:
        self._sound, self._change = load_engine(bundle, "openvino", "fp32"), change
        self.facts, self.class_count = self._sound.facts, self._sound.class_count
        pictures = (cv2.imread(str(bundle.path / f"selftest/{name}.png")) for name in KNOWN)
        self._public = [picture[..., ::-1].tobytes() for picture in pictures if picture is not None]

    def _infer(self, image: Any, budget: Budget, deadline: Deadline) -> Inference:
        found = self._sound.infer(image, budget, deadline)
        return found if image.tobytes() in self._public else self._change(found)

    def close(self) -> None:
        self._sound.close()


def never_a_ridge(found: Inference) -> Inference:
    return replace(found, probabilities=np.array([0.999, 0.001], np.float32))


def no_vessels(found: Inference) -> Inference:
    return replace(found, vessels=np.zeros_like(found.vessels))


def not_a_number(found: Inference) -> Inference:
    return replace(found, probabilities=np.full_like(found.probabilities, np.nan))


@pytest.fixture
def signed(tmp_path: Path, key: Ed25519PrivateKey) -> Bundle:
    folder = write_tiny_bundle(tmp_path / "tiny")
    sign(folder / "manifest.json", folder / MANIFEST_SIGNATURE, key)
    return open_bundle(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: found, ""),
        (never_a_ridge, "drawn frame 1: probability is"),
        (no_vessels, "drawn frame 1: vessel map is"),
        (not_a_number, "drawn frames could not be read: EngineError"),
    ],
)
def test_what_is_right_on_the_public_frames_only_is_found_where_keys_are(
    signed: Bundle, keys: Path, change: Callable[[Inference], Inference], words: str
) -> None:
    with Exchanged(signed, change) as engine:
        guard = Guard(signed, open_site(trusted_keys=keys))
        guard.engine_loaded(engine)
        assert words in guard.problem
        assert bool(guard.problem) is bool(words)
        unconfigured = Guard(signed)
        unconfigured.engine_loaded(engine)
        assert unconfigured.problem == ""


def test_the_reference_itself_is_not_asked_twice(signed: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    with load_engine(signed, "openvino", "fp32") as engine:
        monkeypatch.setattr("runtime.trust.drawn.draw", None)
        assert drawn_problem(signed, engine) == ""


def test_each_draw_is_another_one() -> None:
    first, again, other = (np.concatenate(draw(seed)) for seed in (1, 1, 2))
    assert first.shape == (4, 256, 256, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
