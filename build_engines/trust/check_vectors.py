"""This runtime held against a bundle's stage vectors, stage by stage."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from device.frame import Frame
from runtime.arrays import UInt8Array
from runtime.bundle import Bundle
from runtime.engines.openvino.engine import OpenVINOEngine
from runtime.errors import BundleError
from runtime.plan_key import split_precision
from runtime.preprocess import network_input
from runtime.quality import grade
from runtime.screener import Screener
from runtime.trust.blocks import block_means
from runtime.trust.vectors import StageAnswer, StageVector, Vectors, of_stages, open_vectors
from runtime.trust.word import bundles_limits


def vector_problems(bundle: Bundle, precision: str | None = None) -> list[str]:
    """What is not met, by frame and stage; empty when all is.

    precision: one of those that the vectors know, None is all. Raises `BundleError` for a bundle without vectors, or
    without answers for the precision.
    """
    vectors = open_vectors(bundle)
    known = list(vectors.tolerances.probability)
    words = known if precision is None else [precision]
    if unknown := [word for word in words if word not in known]:
        raise BundleError(f"bundle {bundle.path}: its stage vectors know {', '.join(known)}, not {unknown[0]}")
    found = [problem for vector in vectors.frames for problem in _before_the_networks(bundle, vectors, vector)]
    for word in words:
        found += _networks(bundle, vectors, word)
    return found


def _before_the_networks(bundle: Bundle, vectors: Vectors, vector: StageVector) -> Iterator[str]:
    pixels = _picture(bundle, vector.pixels)
    frame = Frame(pixels, 0, vector.name)
    if (frame.width, frame.height, frame.sha256) != (vector.width, vector.height, vector.sha256):
        yield f"{vector.name}: pixels are not those that the vectors name"
    image = network_input(pixels)[0]
    if not np.array_equal(image, _picture(bundle, vector.input)):
        yield f"{vector.name}: input differs"
    quality = grade(image, bundles_limits(bundle))
    # A bundle that was made before something was measured states no limit for it.
    limited = {limit.rpartition("_")[0] for limit in bundle.manifest.gate or ()}
    lacking = (quality.measures.keys() - vector.measures.keys()) & limited
    if lacking or vector.measures.keys() - quality.measures.keys():
        yield f"{vector.name}: gate measures {', '.join(quality.measures)}, expected {', '.join(vector.measures)}"
    for name in quality.measures.keys() & vector.measures.keys():
        got, wanted = quality.measures[name], vector.measures[name]
        if not abs(got - wanted) <= vectors.tolerances.measures * max(1.0, abs(wanted)):
            yield f"{vector.name}: {name} is {got:.6g}, expected {wanted:.6g}"
    if quality.reasons != vector.reasons:
        yield f"{vector.name}: gate says {', '.join(quality.reasons) or 'gradable'}, expected {vector.reasons}"


def _networks(bundle: Bundle, vectors: Vectors, word: str) -> Iterator[str]:
    engine = OpenVINOEngine(bundle, split_precision(word))
    with Screener(of_stages(bundle), engine=engine, reject_repeats=False, trust="off") as screener:
        for vector in vectors.frames:
            reading = screener.screen(Frame(_picture(bundle, vector.pixels), 0, vector.name))
            if vector.reasons:
                if (reading.outcome.value, reading.reason) != ("RETAKE", ", ".join(vector.reasons)):
                    yield f"{vector.name}: {reading.outcome.value} ({reading.reason}), expected RETAKE"
            elif reading.probabilities is None or reading.vessels is None or reading.vessel_fraction is None:
                yield f"{vector.name} in {word}: {reading.outcome.value} ({reading.reason}), expected a result"
            else:
                given = (reading.vessels, list(reading.probabilities.values()), reading.vessel_fraction)
                problem = _difference(bundle, vectors, word, vector.answers[word], *given)
                wanted = vector.answers[word].outcome
                if not problem and wanted not in (None, reading.outcome.value):
                    problem = f"{reading.outcome.value}, expected {wanted}"
                if problem:
                    yield f"{vector.name} in {word}: {problem}"


def _difference(
    bundle: Bundle,
    vectors: Vectors,
    word: str,
    answer: StageAnswer,
    vessels: UInt8Array,
    probabilities: list[float],
    fraction: float,
) -> str:
    blocks, wanted = (
        block_means(v.astype(np.float32) / np.float32(255)) for v in (vessels, _picture(bundle, answer.vessels))
    )
    if len(probabilities) != len(answer.probabilities):
        return f"{len(probabilities)} classes, expected {len(answer.probabilities)}"
    for what, got, expected, most in (
        ("vessel map", blocks, wanted, vectors.tolerances.vessels[word]),
        ("vessel fraction", np.array(fraction), np.array(answer.vessel_fraction), vectors.tolerances.vessels[word]),
        ("probability", np.array(probabilities), np.array(answer.probabilities), vectors.tolerances.probability[word]),
    ):
        off = float(np.abs(got - expected).max())
        if not off <= most:  # so that a NaN does not pass
            return f"{what} is off by {off:.2g}, at most {most:.2g}"
    return ""


def _picture(bundle: Bundle, name: str) -> UInt8Array:
    found = cv2.imdecode(np.frombuffer(bundle.read(name), np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint8:
        raise BundleError(f"bundle {bundle.path}: {name} is no picture of 8 bits; build it again")
    return np.ascontiguousarray(found[..., ::-1]) if found.ndim == 3 else found.astype(np.uint8, copy=False)
