"""A folder of drawn retinas, a set made of them, and an engine that needs no networks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from calibration import CalibrationSet, create_set, open_set
from calibration.sources import Sources
from runtime.engines.fake import FakeEngine
from tests.pictures import retina

PICTURES = 30


def write_picture(path: Path, seed: int, gain: float = 1.0) -> None:
    """A drawn retina, brighter or darker by `gain`, as a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two of the drawn ones look put together to the gate.
    pixels = np.clip(retina(seed + 100 if seed in (0, 5) else seed) * gain, 0, 255).astype(np.uint8)
    assert cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 retinas named after people, of different light; to be read only."""
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(PICTURES):
        write_picture(folder / f"Doe_Jane_{seed:02d}.png", seed, 0.7 + 0.02 * seed)
    return folder


@pytest.fixture
def make(photos: Path, tmp_path: Path) -> Callable[..., CalibrationSet]:
    """Make a set at tmp_path/set; keyword arguments as for `create_set`."""

    def made(**changes: Any) -> CalibrationSet:
        given: dict[str, Any] = {"sources": Sources((str(photos),)), "out": tmp_path / "set"}
        given |= {"count": 12, "engine": FakeEngine()}
        return create_set(**(given | changes))

    return made


@pytest.fixture(scope="session")
def template(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 12 frames; to be read only."""
    out = tmp_path_factory.mktemp("template") / "set"
    create_set(Sources((str(photos),)), out, count=12, engine=FakeEngine())
    return out


@pytest.fixture
def made(template: Path, tmp_path: Path) -> CalibrationSet:
    """A set of 12 frames at tmp_path/set, to be spoilt at will."""
    shutil.copytree(template, tmp_path / "set")
    return open_set(tmp_path / "set")


@pytest.fixture
def fake_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever loads an engine gets one without networks."""
    monkeypatch.setattr("runtime.engines.load_engine", lambda *_, **__: FakeEngine())
