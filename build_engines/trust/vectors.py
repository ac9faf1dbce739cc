"""The stage vectors of a bundle: drawn frames, and what every stage of the reading makes of them."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from build_engines.errors import BuildError
from build_engines.trust.selftest import COARSER, TOLERANCES
from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from device.frame import Frame
from runtime.arrays import UInt8Array
from runtime.bundle import Bundle
from runtime.decide import refer_probability
from runtime.engines.openvino.engine import OpenVINOEngine
from runtime.manifest import NETWORKS
from runtime.outcome import Outcome
from runtime.plan_key import precision_word
from runtime.preprocess import network_input
from runtime.quality import measure
from runtime.reading import Reading
from runtime.screener import Screener
from runtime.trust.vectors import VECTORS, VECTORS_SCHEMA, Vectors, of_stages

MEASURES_TOLERANCE = 5e-4
"""Of the gate's measures. Sums of float32 in another order differ: a pixel of 200 by 1.5e-5, of a difference of 0.1."""
SEEDS = range(11, 15)
FAULTS = ("dark", "glare", "defocus", "blink")
DIMMED = 6
FAULTS_LOOKED_AT = 40
"""Spoilt frames among which there is one of each kind."""
Drawn = tuple[str, str, UInt8Array]
"""Name, how it was drawn, and pixels."""


@dataclass(frozen=True)
class Answered:
    """What the networks of one precision say of the gradable frames."""

    word: str
    segmentation: str
    coarsest: str
    readings: tuple[Reading, ...]
    device: str


def write_vectors(bundle: Bundle) -> tuple[str, ...]:
    """Write `vectors/` into a bundle's folder, for every pair of precisions that it holds graphs of.

    Gives the names of the files, for the manifest, which does not list them yet. Raises `BuildError` where the drawn
    frames are not what they are meant to be.
    """
    folder = (bundle.path / VECTORS).parent
    folder.mkdir(exist_ok=True)
    frames, spoilt = gradable_frames(bundle), spoilt_frames()
    pairs = [
        dict(zip(NETWORKS, map(str, pair), strict=True))
        for pair in itertools.product(*(bundle.precisions(network) for network in NETWORKS))
    ]
    answered = [_ask(bundle, pair, frames) for pair in pairs]
    entries = [_entry(bundle, drawn, number, answered) for number, drawn in enumerate(frames)]
    entries += [_entry(bundle, drawn, None, answered) for drawn in spoilt]
    content = {
        "schema": VECTORS_SCHEMA,
        "made_by": answered[0].device,
        "refer_threshold": bundle.manifest.refer_threshold,
        "gate": bundle.manifest.gate,
        "tolerances": {
            "measures": MEASURES_TOLERANCE,
            "probability": {each.word: TOLERANCES[each.coarsest][0] for each in answered},
            "vessels": {each.word: TOLERANCES[each.segmentation][1] for each in answered},
        },
        "frames": entries,
    }
    text = Vectors.model_validate(content).model_dump_json(by_alias=True, indent=1)
    (bundle.path / VECTORS).write_text(text + "\n", encoding="utf-8")
    return tuple(sorted(path.relative_to(bundle.path).as_posix() for path in folder.iterdir()))


def gradable_frames(bundle: Bundle) -> list[Drawn]:
    """The frame that the bundle would refer first, the one it would refer last, and one that is reduced first.

    By fp32, of a few eyes each; sides are odd where the edges of a resize are hardest.
    """
    refer = tuple(label.name for label in bundle.manifest.classes if label.refer)
    likely = [SimulatedConfig("retcam", s, (320, 240), ridge=1.0, vessel_width=0.3, frames_per_eye=1) for s in SEEDS]
    unlikely = [SimulatedConfig("neo", seed, (301, 299), ridge=0.0, frames_per_eye=1) for seed in SEEDS]
    with Screener(
        of_stages(bundle), engine="openvino", precision="fp32", reject_repeats=False, trust="off"
    ) as screener:

        def score(drawn: Drawn) -> float:
            found = screener.screen(Frame(drawn[2], 0, drawn[0])).probabilities
            if found is None:
                raise BuildError(f"stage vectors: {drawn[1]} has no result; the gate or the simulated camera changed")
            return refer_probability(found, refer)

        most = max((_drawn("refer-most", config) for config in likely), key=score)
        least = min((_drawn("refer-least", config) for config in unlikely), key=score)
    return [most, least, _drawn("reduced", SimulatedConfig("neo", 12, (963, 961), frames_per_eye=1))]


@lru_cache(maxsize=1)
def spoilt_frames() -> tuple[Drawn, ...]:
    """One frame for each fault of the simulated camera, two eyes, wrong colours, a dark half, a white or brown spot."""
    config = SimulatedConfig("retcam", 5, (320, 240), faults=1.0, frames_per_eye=1)
    found: dict[str, Drawn] = {}
    with SimulatedCamera(config) as camera:
        for number in range(FAULTS_LOOKED_AT):
            frame = camera.read()
            fault = None if frame is None or frame.truth is None else frame.truth.fault
            if frame is not None and fault is not None and fault not in found:
                found[fault] = (fault, f"{config}, frame {number}", frame.pixels)
    if absent := set(FAULTS) - found.keys():
        raise BuildError(f"stage vectors: {config} shows no {', '.join(sorted(absent))} in {FAULTS_LOOKED_AT} frames")
    _, source, eye = _drawn("", SimulatedConfig("retcam", 11, (240, 200), frames_per_eye=1))
    two = ("two", f"{source}, twice side by side", np.concatenate([eye, eye], axis=1))
    blue = ("blue", f"{source}, red and blue exchanged", np.ascontiguousarray(eye[..., ::-1]))
    dim = eye.copy()
    dim[:, : dim.shape[1] // 2] //= DIMMED
    uneven = ("uneven", f"{source}, left half divided by {DIMMED}", dim)
    spots = [
        (name, f"{source}, a spot of {colour}", cv2.circle(eye.copy(), (100, 120), 45, colour, -1))
        for name, colour in (("spot", (255, 255, 255)), ("covered", (150, 100, 80)))
    ]
    return (*(found[fault] for fault in FAULTS), two, blue, uneven, *spots)


@lru_cache(maxsize=32)
def _drawn(name: str, config: SimulatedConfig) -> Drawn:
    with SimulatedCamera(config) as camera:
        frame = camera.read()
    assert frame is not None  # it never ends
    return name, str(config), frame.pixels


def _ask(bundle: Bundle, precision: dict[str, str], frames: Sequence[Drawn]) -> Answered:
    engine = OpenVINOEngine(bundle, precision)
    device = f"{engine.facts.backend} on {engine.facts.device}"
    with Screener(of_stages(bundle), engine=engine, reject_repeats=False, trust="off") as screener:
        readings = tuple(screener.screen(Frame(pixels, 0, name)) for name, _, pixels in frames)
    coarsest = max(precision.values(), key=COARSER.index)
    return Answered(precision_word(precision), precision["segmentation"], coarsest, readings, device)


def _entry(bundle: Bundle, drawn: Drawn, number: int | None, answered: Sequence[Answered]) -> dict[str, Any]:
    """number: of a gradable frame among the readings, None for a spoilt one."""
    name, source, pixels = drawn
    image = network_input(pixels)[0]
    files = {"pixels": f"vectors/{name}.png", "input": f"vectors/{name}.input.png"}
    write_png(bundle.path / files["pixels"], pixels)
    write_png(bundle.path / files["input"], image)
    height, width = pixels.shape[:2]
    reasons = () if number is not None else _reasons(bundle, drawn)
    answers = {} if number is None else {each.word: _answer(bundle, name, each, number) for each in answered}
    return {
        "name": name,
        "source": source,
        **files,
        "width": width,
        "height": height,
        "sha256": hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest(),
        "measures": measure(image),
        "reasons": reasons,
        "answers": answers,
    }


def _reasons(bundle: Bundle, drawn: Drawn) -> tuple[str, ...]:
    from runtime.quality import grade
    from runtime.trust.word import bundles_limits

    reasons = grade(network_input(drawn[2])[0], bundles_limits(bundle)).reasons
    if not reasons:
        raise BuildError(f"stage vectors: {drawn[0]} ({drawn[1]}) passes the gate; it is there to be refused")
    return reasons


def _answer(bundle: Bundle, name: str, answered: Answered, number: int) -> dict[str, Any]:
    reading = answered.readings[number]
    if reading.probabilities is None or reading.vessels is None:
        raise BuildError(f"stage vectors: {name} in {answered.word}: {reading.outcome.value}, {reading.reason}")
    path = f"vectors/{name}.{answered.segmentation}.png"
    if not (bundle.path / path).exists():
        write_png(bundle.path / path, reading.vessels)
    refer = tuple(label.name for label in bundle.manifest.classes if label.refer)
    away = abs(refer_probability(reading.probabilities, refer) - bundle.manifest.refer_threshold)
    surely = away > TOLERANCES[answered.coarsest][0] and reading.outcome is not Outcome.NO_RESULT
    return {
        "vessels": path,
        "probabilities": tuple(min(max(value, 0.0), 1.0) for value in reading.probabilities.values()),
        "vessel_fraction": reading.vessel_fraction,
        "outcome": reading.outcome.value if surely else None,
    }


def write_png(path: Path, image: UInt8Array) -> None:
    """RGB or one channel, without loss."""
    path.write_bytes(_png(image.tobytes(), image.shape))


@lru_cache(maxsize=64)
def _png(pixels: bytes, shape: tuple[int, ...]) -> bytes:
    """The same drawn frames stand in every bundle, and are pressed as far as it goes, which takes seconds."""
    image = np.frombuffer(pixels, np.uint8).reshape(shape)
    done, content = cv2.imencode(
        ".png", image[..., ::-1] if image.ndim == 3 else image, [cv2.IMWRITE_PNG_COMPRESSION, 9]
    )
    if not done:
        raise BuildError(f"{shape}: cannot be encoded as PNG")
    return content.tobytes()
