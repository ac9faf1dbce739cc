"""What a server's model and a cart agree on: its name, its version, its tensors, and the mark that each answer bears.

`build_engines.triton` writes models by this, `runtime.engines.triton.engine` asks them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.arrays import UInt8Array
from runtime.preprocess import SIDE

if TYPE_CHECKING:
    from runtime.bundle import Bundle

MARK_SCHEMA = "rop.read-by/1"
MARK_BYTES = 112
"""Length of the mark, filled up with zeros."""
MARK = "read_by"
"""The output that says which bundle read, and in what precision: with every answer, so that a server whose model was
changed between two frames is seen at the first of them."""
ENCODED = "encoded"
PARAMETERS_SCHEMA = "rop.triton/1"
_MARK = re.compile(rf"{re.escape(MARK_SCHEMA)} ([0-9a-f]{{64}}) ([a-z0-9+]{{4,9}})")


@dataclass(frozen=True)
class Tensor:
    """One input or output of the model."""

    name: str
    datatype: str
    """In the protocol's words: `UINT8`, `FP32`."""
    shape: tuple[int, ...]
    """Of one frame, its first dimension 1."""


@dataclass(frozen=True)
class Contract:
    """Of the model that reads for one bundle."""

    model: str
    version: str
    bundle_sha256: str
    image: Tensor
    outputs: tuple[Tensor, ...]


def contract_of(bundle: Bundle, *, model: str = "", encoded: int | None = None) -> Contract:
    """What a server has to offer for the bundle.

    model: the server's name for it; empty for `model_name(bundle)`. encoded: how many numbers the encoder's means are,
    None where the bundle has no test of what is a fundus, and then they are not asked for.
    """
    classes = len(bundle.class_names)
    outputs = [
        Tensor("vessels", "FP32", (1, 1, SIDE, SIDE)),
        Tensor("probabilities", "FP32", (1, classes)),
        Tensor("logits", "FP32", (1, classes)),
    ]
    if encoded is not None:
        outputs.append(Tensor(ENCODED, "FP32", (1, encoded)))
    outputs.append(Tensor(MARK, "UINT8", (1, MARK_BYTES)))
    image = Tensor("image", "UINT8", (1, SIDE, SIDE, 3))
    return Contract(model or model_name(bundle), model_version(bundle), bundle.sha256, image, tuple(outputs))


def model_name(bundle: Bundle) -> str:
    """`demonstration-edge-0123456789ab`: the bundle's name and the start of its SHA-256.

    One server can so hold the bundles of all waves of a fleet, and no cart asks for another's by mistake.
    """
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', bundle.manifest.name)}-{bundle.sha256[:12]}"


def model_version(bundle: Bundle) -> str:
    """The bundle's issue number; 1 for a bundle that has none."""
    return str(bundle.manifest.issue or 1)


def mark_of(sha256: str, precision: str) -> UInt8Array:
    """The mark of a bundle that reads in a precision (`int8`, `int8+fp16`): uint8 [1, 112]."""
    words = f"{MARK_SCHEMA} {sha256} {precision}".encode("ascii")
    mark: UInt8Array = np.frombuffer(words.ljust(MARK_BYTES, b"\0"), np.uint8)[np.newaxis].copy()
    return mark


def read_mark(mark: UInt8Array) -> tuple[str, str] | None:
    """SHA-256 and precision that a mark names, uint8 [1, 112]; None where it is none."""
    try:
        found = _MARK.fullmatch(mark.tobytes().rstrip(b"\0").decode("ascii"))
    except UnicodeDecodeError:
        return None
    return None if found is None else (found[1], found[2])


def parameters_of(bundle: Bundle, precision: str = "") -> dict[str, str]:
    """What the model's configuration says of the bundle, for people and for carts."""
    said = {
        "schema": PARAMETERS_SCHEMA,
        "bundle_sha256": bundle.sha256,
        "bundle_name": bundle.manifest.name,
        "bundle_version": bundle.manifest.version,
        "classes": ",".join(bundle.class_names),
        "notice": bundle.facts.notice,
    }
    return {**said, "precision": precision} if precision else said


def shape_problem(tensors: Mapping[str, tuple[str, tuple[int, ...]]], wanted: Tensor) -> str:
    """Why what a server offers is not the wanted tensor, "" when it is. -1 of a server stands for any number."""
    found = tensors.get(wanted.name)
    if found is None:
        return f"{wanted.name}: not offered, expected {wanted.datatype} {list(wanted.shape)}"
    datatype, shape = found
    fits = len(shape) == len(wanted.shape) and all(
        got in (-1, need) for got, need in zip(shape, wanted.shape, strict=True)
    )
    if datatype != wanted.datatype or not fits:
        return f"{wanted.name}: got {datatype} {list(shape)}, expected {wanted.datatype} {list(wanted.shape)}"
    return ""


def zeros(tensor: Tensor) -> Any:
    """A tensor of that shape, all zeros."""
    return np.zeros(tensor.shape, {"UINT8": np.uint8, "FP32": np.float32}[tensor.datatype])
