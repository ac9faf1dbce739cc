"""The drawn self-test: frames that nobody could prepare for, answered by the bundle's reference graphs.

The known frames of a bundle are public: what answers rightly on them alone would pass. So some are drawn from the
simulated camera at each loading, by a number that nobody knows before, and read by the fp32 graphs as well.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from runtime.arrays import UInt8Array
from runtime.errors import EngineAway
from runtime.manifest import NETWORKS
from runtime.preprocess import network_input
from runtime.trust.selftest import EngineAnswer, ask

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.engines.base import Engine

KINDS = (("retcam", 0.3), ("retcam", 0.3), ("neo", 1.0), ("retcam", 2.0))
"""Device and width of vessels: of those drawn, the first two show the demonstration bundle a ridge that it refers."""
PROBABILITY, VESSELS = 0.2, 0.03
"""Most that a probability, and a block of the vessel map in the mean, may differ from the reference's. Of 24 frames
drawn, INT8 differed from fp32 by 0.003 and 0.004 at most (demonstration bundle, Xeon with AMX, 2026-11-28)."""


def drawn_problem(bundle: Bundle, engine: Engine, seed: int | None = None) -> str:
    """Why the engine's answers to drawn frames are wrong, "" when they are right, or when nothing can tell.

    Nothing can where the bundle holds no fp32 graphs or OpenVINO is not installed; the reference itself need not be
    asked. seed: of the draw, None is one that nobody knows. Raises `EngineAway`, and nothing else.
    """
    reference = _reference(bundle, engine)
    if reference is None:
        return ""
    try:
        frames = draw(secrets.randbelow(2**31) if seed is None else seed)
        got = [ask(engine, frame) for frame in frames]
        with reference() as other:
            wanted = [ask(other, frame) for frame in frames]
    except EngineAway:
        raise
    except Exception as error:  # whatever it is, nobody can say that the engine is right
        return f"drawn frames could not be read: {type(error).__name__}: {error}"
    return _difference(got, wanted)


def draw(seed: int) -> list[UInt8Array]:
    """Frames of the simulated camera, each RGB, uint8 [1, 256, 256, 3]."""
    found = []
    for number, (device, width) in enumerate(KINDS):
        config = SimulatedConfig(
            device=device,
            seed=(seed + number) % 2**31,
            ridge=1.0,
            vessel_width=width,
            faults=0.0,
            size=(320, 320),
            frames_per_eye=1,
        )
        with SimulatedCamera(config) as camera:
            frame = camera.read()
        assert frame is not None
        found.append(network_input(frame.pixels))
    return found


def _reference(bundle: Bundle, engine: Engine) -> Callable[[], Engine] | None:
    """What loads the reference; None where there is none, or where the engine is it."""
    if any("fp32" not in bundle.precisions(network) for network in NETWORKS) or find_spec("openvino") is None:
        return None
    from runtime.engines import load_engine
    from runtime.engines.openvino.engine import OpenVINOEngine

    if isinstance(engine, OpenVINOEngine) and engine.facts.precision == "fp32":
        return None
    return partial(load_engine, bundle, "openvino", "fp32")


def _difference(got: Sequence[EngineAnswer], wanted: Sequence[EngineAnswer]) -> str:
    for number, (answer, reference) in enumerate(zip(got, wanted, strict=True), 1):
        if answer.probabilities.shape != reference.probabilities.shape:
            return f"drawn frame {number}: got {answer.probabilities.size} classes"
        probability = float(np.abs(answer.probabilities - reference.probabilities).max())
        vessels = float(np.abs(answer.blocks - reference.blocks).mean())
        if not probability <= PROBABILITY:  # so that a NaN does not pass
            return f"drawn frame {number}: probability is {probability:.2g} from the reference's, at most {PROBABILITY}"
        if not vessels <= VESSELS:
            return f"drawn frame {number}: vessel map is {vessels:.2g} from the reference's, at most {VESSELS}"
    return ""
