"""Fixtures of the engines' tests: a fake machine with tiny networks, looked at when the test is over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from runtime.bundle import Bundle
from runtime.engines.openvino.engine import OpenVINOEngine
from runtime.engines.tensorrt.engine import known_frames
from tests.runtime.engines.tensorrt.fake_plans import FakeMachine, both_plans, fake_machine, write_plans
from tests.runtime.engines.tiny import tiny_bundle


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[np.ndarray, np.ndarray]]:
    """What OpenVINO gives for the known frames and the tiny networks: vessels and probabilities."""
    bundle = tiny_bundle(tmp_path_factory.mktemp("expected"))
    with OpenVINOEngine(bundle, {"segmentation": "fp32", "classifier": "fp32"}) as engine:
        return [(got.vessels.copy(), got.probabilities.copy()) for got in map(engine.infer, known_frames())]


@pytest.fixture
def tiny(tmp_path: Path) -> Bundle:
    return tiny_bundle(tmp_path / "tiny")


@pytest.fixture
def machine(tiny: Bundle) -> Iterator[FakeMachine]:
    write_plans(tiny, both_plans(tiny))
    yield from fake_machine(tiny)
