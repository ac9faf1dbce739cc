"""The file `vectors/vectors.json` of a bundle, `rop.vectors/1`: what every stage makes of drawn frames.

The learnt test of what is a fundus (`runtime.familiar`) is no stage of these vectors: drawn eyes are no infants'.
With it an implementation of the reading in another language can be proven without data and without Python; what each
field is held against, and how closely, stands in runtime/native/README.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime.checked_json import first_problem, model_from
from runtime.errors import BundleError
from runtime.manifest import FAMILIAR, Sha256
from runtime.trust.selftest_content import LOOSEST

if TYPE_CHECKING:
    from runtime.bundle import Bundle

VECTORS = "vectors/vectors.json"
VECTORS_SCHEMA = "rop.vectors/1"
VectorOutcome = Literal["REFER", "NO_REFERRAL_FINDINGS", "RETAKE"]
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Tolerance = Annotated[float, Field(gt=0, le=LOOSEST, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tolerances(_Part):
    """Most that an implementation may differ."""

    measures: _Tolerance
    """Of a measure of the gate, as a share of it, or of one where it is less."""
    probability: dict[str, _Tolerance]
    """By precision."""
    vessels: dict[str, _Tolerance]
    """Of the mean of each of 16 x 16 blocks of the vessel map, and of the vessels' share."""


class StageAnswer(_Part):
    """Of the networks in one precision, and of the decision."""

    vessels: str
    """PNG of one channel, 256 x 256: probability x 255, rounded to even."""
    probabilities: tuple[_Share, ...] = Field(min_length=2)
    """In the order of the classes."""
    vessel_fraction: _Share
    outcome: VectorOutcome | None
    """None where the probability is so near to the threshold that another processor may come out on the other side."""


class StageVector(_Part):
    """One frame."""

    name: str
    source: str
    """How it was drawn: a text for the simulated camera, and what was done to it."""
    pixels: str
    """PNG of the frame, RGB."""
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    sha256: Sha256
    """Of the RGB bytes in row order."""
    input: str
    """PNG of what the networks see, RGB, 256 x 256: to be met to the bit."""
    measures: dict[str, Annotated[float, Field(allow_inf_nan=False)]]
    """Of the gate, by name."""
    reasons: tuple[str, ...]
    """Why it is not gradable, worst first; none where it is."""
    answers: dict[str, StageAnswer]
    """By precision as an engine's facts name it; empty where the frame is not gradable, and RETAKE by its reasons."""


class Vectors(_Part):
    """The whole file."""

    schema_: Literal["rop.vectors/1"] = Field(alias="schema")
    made_by: str
    """Backend and machine that gave the answers."""
    refer_threshold: float = Field(gt=0, lt=1)
    """That the outcomes are by: the bundle's own."""
    gate: dict[str, Annotated[float, Field(allow_inf_nan=False)]] | None = None
    """The gate's limits as the manifest states them. None in files of before."""
    tolerances: Tolerances
    frames: tuple[StageVector, ...] = Field(min_length=1)


def of_stages(bundle: Bundle) -> Bundle:
    """The bundle with the stages that the vectors are of: without the learnt test of what is a fundus."""
    files = tuple(entry for entry in bundle.manifest.files if entry.path != FAMILIAR)
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"files": files}))


def open_vectors(bundle: Bundle) -> Vectors:
    """The bundle's stage vectors. Raises `BundleError` where it holds none, or none that are whole."""
    if VECTORS not in {entry.path for entry in bundle.manifest.files}:
        raise BundleError(
            f"bundle {bundle.path}: holds no stage vectors; add them: python -m build_engines trust {bundle.path}"
        )
    try:
        return model_from(Vectors, bundle.read(VECTORS))
    except ValidationError as error:
        problem = first_problem(error, "file")
        raise BundleError(f"bundle {bundle.path}: {VECTORS}: {problem}; build it again") from None
    except ValueError as error:
        raise BundleError(f"bundle {bundle.path}: {VECTORS} is {error}; build it again") from None
