"""Proof that exported graphs give the network's outputs, on pictures, with OpenVINO held to float32."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from build_engines.errors import ParityError
from build_engines.export.graphs import FEATURES, ExportedGraphs
from build_engines.segimgnet import INPUT_SIDE, SegImgNet
from runtime.arrays import FloatArray, UInt8Array
from runtime.engines.load_openvino import open_core
from runtime.engines.openvino.graph import last_line

PARITY_LIMIT = 1e-4
"""Largest difference allowed, of a class probability and of a pixel's vessel probability."""


@dataclass(frozen=True)
class Parity:
    """The largest differences between graphs and network, over all images."""

    images: int
    probabilities: float
    vessels: float

    def __str__(self) -> str:
        return (
            f"graphs equal the network on {self.images} images: probabilities to {self.probabilities:.1e}, "
            f"vessel map to {self.vessels:.1e}"
        )


def check_parity(network: SegImgNet, graphs: ExportedGraphs, images: Sequence[UInt8Array], *, batch: int = 1) -> Parity:
    """Compare graphs and network on images, RGB uint8 [256, 256, 3] each; the classifier gets the graph's own maps.

    The network is put in evaluation mode. batch: images a call, for graphs with a free batch. Raises ParityError when
    a probability or a vessel map differs by more than `PARITY_LIMIT` or is no number, or when a graph cannot be run.
    """
    if not images:
        raise ParityError("parity: got no images, expected at least one; give a folder of frames")
    segmentation, classifier = _compiled(graphs)
    network = network.eval()
    worst = {"vessels": 0.0, "probabilities": 0.0}  # in the order in which one spoils the other
    for first, chunk in _chunks(images, batch):
        got = _run(segmentation, {"image": chunk})
        inputs = {"image": chunk, "vessels": got["vessels"], **{name: got[name] for name in FEATURES}}
        got.update(_run(classifier, inputs))
        expected = _expected(network, chunk)
        _require_finite(expected, first)
        for name in worst:
            difference = _difference(name, got[name], expected[name], first)
            worst[name] = max(worst[name], difference)
    return Parity(len(images), worst["probabilities"], worst["vessels"])


def _compiled(graphs: ExportedGraphs) -> tuple[Any, Any]:
    core = open_core()
    precise = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = []
    for path in (graphs.segmentation, graphs.classifier):
        try:
            compiled.append(core.compile_model(path, "CPU", precise))
        except RuntimeError as error:
            raise ParityError(
                f"{path}: OpenVINO cannot run the graph ({last_line(error)[:160]}); export it again"
            ) from error
    return compiled[0], compiled[1]


def _run(compiled: Any, inputs: dict[str, Any]) -> dict[str, FloatArray]:
    try:
        results = compiled(inputs)
    except RuntimeError as error:
        names = ", ".join(f"{name} {list(array.shape)}" for name, array in inputs.items())
        raise ParityError(f"parity: the graph refused {names} ({last_line(error)[:160]}); export it again") from error
    return {output.get_any_name(): np.array(results[output]) for output in compiled.outputs}


def _expected(network: SegImgNet, images: UInt8Array) -> dict[str, FloatArray]:
    with torch.inference_mode():
        segmentation, classification = network(torch.from_numpy(images).permute(0, 3, 1, 2).to(torch.float32) / 255)
    return {"vessels": segmentation.vessels.numpy(), "probabilities": classification.probabilities.numpy()}


def _require_finite(expected: dict[str, FloatArray], first: int) -> None:
    for name, values in expected.items():
        if not np.isfinite(values).all():
            raise ParityError(
                f"parity: the network itself gives {name} that are not finite (images from number {first}); its "
                f"weights are unusable, take an earlier checkpoint"
            )


def _difference(name: str, got: FloatArray, expected: FloatArray, first: int) -> float:
    if got.shape != expected.shape:
        raise ParityError(
            f"parity: {name} has shape {list(got.shape)}, the network gives {list(expected.shape)}; export it again"
        )
    difference = float(np.abs(got - expected).max())
    if not difference <= PARITY_LIMIT:  # a NaN is not below the limit
        raise ParityError(
            f"parity: {name} of the graph differ by {difference:.2e} from the network's (images from number {first}), "
            f"expected at most {PARITY_LIMIT:.0e}; the graphs are not this checkpoint's: export them again"
        )
    return difference


def _chunks(images: Sequence[UInt8Array], batch: int) -> Iterator[tuple[int, UInt8Array]]:
    expected = (INPUT_SIDE, INPUT_SIDE, 3)
    for index, image in enumerate(images):
        if image.shape != expected or image.dtype != np.uint8:
            raise ParityError(f"parity: image {index} is {image.dtype} {list(image.shape)}, expected uint8 {expected}")
    for first in range(0, len(images), batch):
        yield first, np.stack(images[first : first + batch])
