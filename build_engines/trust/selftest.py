"""The known-answer self-test of a bundle: frames of the simulated camera, and what each precision answers to them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from build_engines.errors import BuildError
from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from runtime.arrays import UInt8Array
from runtime.bundle import Bundle
from runtime.engines.openvino.engine import OpenVINOEngine
from runtime.manifest import NETWORKS, Manifest
from runtime.plan_key import precision_word
from runtime.preprocess import network_input
from runtime.trust.selftest import SELF_TEST, SELF_TEST_SCHEMA, EngineAnswer, ask
from runtime.trust.selftest_content import SelfTestContent

FRAMES = 4
POOL = tuple(
    SimulatedConfig(
        device=device, seed=11, ridge=1.0, vessel_width=width, faults=faults, size=(320, 320), frames_per_eye=1
    )
    for device, width, faults in itertools.product(("retcam", "neo"), (0.3, 1.0, 2.0), (0.0, 1.0))
)
"""Eyes of infants that do not exist, plain and spoilt: of those on which the precisions agree, the ones that the
networks tell apart best are taken."""
TOLERANCES = {"fp32": (0.005, 0.005), "fp16": (0.03, 0.03), "int8": (0.1, 0.05)}
"""Of probabilities and of blocks of the vessel map, by the coarsest precision of the two networks. Wide enough for
another processor, another library, and TF32 or bfloat16 in the place of fp32 or fp16."""
COARSER = ("fp32", "fp16", "int8")
STEADY = 0.5
"""Most of a precision's tolerance that a frame may use up where the answers are made."""


def write_self_test(bundle: Bundle) -> tuple[str, ...]:
    """Write `selftest/` into a bundle's folder, for every pair of precisions that it holds graphs of.

    Gives the names of the files, for the manifest, which does not list them yet.
    """
    folder = (bundle.path / SELF_TEST).parent
    folder.mkdir(exist_ok=True)
    images = _most_different(bundle, *_steady(bundle, _pool()))
    names = [f"{folder.name}/frame_{number}.png" for number in range(1, len(images) + 1)]
    for name, image in zip(names, images, strict=True):
        _write_png(bundle.path / name, image)
    answers, given, machine = {}, [], ""
    for pair in itertools.product(*(bundle.precisions(network) for network in NETWORKS)):
        precision = {network: str(word) for network, word in zip(NETWORKS, pair, strict=True)}
        with OpenVINOEngine(bundle, precision) as engine:
            coarsest = max(pair, key=COARSER.index)
            asked = [ask(engine, image[np.newaxis]) for image in images]
            answers[precision_word(precision)] = _answers(asked, coarsest)
            given.append((asked, TOLERANCES[coarsest][0]))
            machine = f"{engine.facts.backend} on {engine.facts.device}"
    content = SelfTestContent.model_validate(
        {
            "schema": SELF_TEST_SCHEMA,
            "made_by": machine,
            "frames": names,
            "meaning": meaning_of(bundle.manifest, [(_probabilities(asked), off) for asked, off in given]),
            "answers": answers,
        }
    )
    text = json.dumps(content.model_dump(mode="json", by_alias=True), separators=(",", ":"))
    (bundle.path / SELF_TEST).write_text(text + "\n", encoding="utf-8")
    return (SELF_TEST, *names)


def _steady(bundle: Bundle, pool: Sequence[UInt8Array]) -> tuple[list[UInt8Array], list[EngineAnswer]]:
    """The frames that every precision answers as the finest does, within half of its tolerance, and its answers.

    Where a network wavers between two answers, other rounding on another processor tips it over: such a frame tells a
    sound engine from a broken one no more. The steadiest `FRAMES` are taken where fewer agree.
    """
    words = [[str(word) for word in bundle.precisions(network)] for network in NETWORKS]
    shares = np.zeros(len(pool))
    finest: list[EngineAnswer] = []
    for word in sorted(set.intersection(*map(set, words)), key=COARSER.index):
        with OpenVINOEngine(bundle, dict.fromkeys(NETWORKS, word)) as engine:
            answers = [ask(engine, image[np.newaxis]) for image in pool]
        finest = finest or answers
        probability, vessels = TOLERANCES[word]
        shares = np.maximum(
            shares,
            [
                max(
                    float(np.abs(answer.probabilities - fine.probabilities).max()) / probability,
                    float(np.abs(answer.blocks - fine.blocks).max()) / vessels,
                )
                for answer, fine in zip(answers, finest, strict=True)
            ],
        )
    steady = np.argsort(shares, kind="stable")[: max(FRAMES, int((shares <= STEADY).sum()))]
    return [pool[index] for index in steady], [finest[index] for index in steady]


def _most_different(bundle: Bundle, pool: Sequence[UInt8Array], answers: Sequence[EngineAnswer]) -> list[UInt8Array]:
    """Highest and lowest refer probability, then whatever is farthest from those taken: a stuck network shows."""
    refer = [index for index, label in enumerate(bundle.manifest.classes) if label.refer]
    scores = np.array([answer.probabilities[refer].sum() for answer in answers])
    blocks = np.array([answer.blocks.reshape(-1) for answer in answers])
    chosen = [int(scores.argmax()), int(scores.argmin())]
    while len(chosen) < FRAMES:
        apart = np.abs(blocks[:, None] - blocks[None, chosen]).mean(axis=2).min(axis=1)
        chosen.append(int(apart.argmax()))
    return [pool[index] for index in chosen]


def meaning_of(manifest: Manifest, given: Sequence[tuple[Sequence[Sequence[float]], float]]) -> dict[str, object]:
    """What the frames show by all precisions alike. given: of each, the frames' probabilities, and its tolerance."""
    classes = tuple(label.name for label in manifest.classes)
    refer = [number for number, label in enumerate(manifest.classes) if label.refer]
    frames = []
    for number in range(len(given[0][0])):
        likeliest = {int(np.argmax(frames_of[number])) for frames_of, _ in given}
        surely = all(
            sum(frames_of[number][index] for index in refer) >= manifest.refer_threshold + off
            for frames_of, off in given
        )
        frames.append({"class_name": classes[likeliest.pop()] if len(likeliest) == 1 else None, "refer": surely})
    return {"classes": classes, "refer_classes": tuple(classes[index] for index in refer), "frames": tuple(frames)}


def _probabilities(given: Sequence[EngineAnswer]) -> list[list[float]]:
    return [[float(value) for value in answer.probabilities] for answer in given]


def _answers(given: Sequence[EngineAnswer], coarsest: str) -> dict[str, object]:
    probability, vessels = TOLERANCES[coarsest]
    return {
        "probability_tolerance": probability,
        "vessels_tolerance": vessels,
        "frames": [
            {
                "probabilities": [round(float(p), 5) for p in answer.probabilities],
                "vessels": [[round(float(value), 4) for value in row] for row in answer.blocks],
            }
            for answer in given
        ],
    }


@lru_cache(maxsize=1)
def _pool() -> tuple[UInt8Array, ...]:
    return tuple(_frame(config) for config in POOL)


def _frame(config: SimulatedConfig) -> UInt8Array:
    """The network's input for a camera's first frame, uint8 [256, 256, 3]."""
    with SimulatedCamera(config) as camera:
        frame = camera.read()
    if frame is None:
        raise BuildError(f"self-test: {config} gives no frame")
    image: UInt8Array = network_input(frame.pixels)[0]
    return image


def _write_png(path: Path, image: UInt8Array) -> None:
    done, content = cv2.imencode(".png", image[..., ::-1])
    if not done:
        raise BuildError(f"self-test: {path.name} cannot be encoded")
    path.write_bytes(content.tobytes())
