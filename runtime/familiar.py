"""Whether a frame is a fundus as the networks were trained on: how far it lies from those, as their encoder sees it.

The means of the segmentation's two deepest encoder maps are compared with those of the frames that the test was fitted
on: a Mahalanobis distance in their principal components, and what lies outside of these (Mahalanobis 1936; the form for
networks: Lee et al. 2018). It sees what is unlike; it knows nothing of what is likely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from runtime.arrays import FloatArray
from runtime.checked_json import first_problem, model_from
from runtime.errors import BundleError
from runtime.manifest import FAMILIAR, Sha256, graph_name

if TYPE_CHECKING:
    from runtime.bundle import Bundle

FAMILIAR_SCHEMA = "rop.familiar/1"
LARGEST = 4096
"""Numbers that an encoder gives; the published network gives 1536."""
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KeptShare(_Part):
    """Frames of one camera, and how many are kept by a test whose fit and limit knew nothing of their like."""

    frames: int = Field(gt=0)
    kept: int = Field(ge=0)


class FamiliarContent(_Part):
    """The file `reference/familiar.json` of a bundle: statistics only, of no single frame."""

    schema_: Literal["rop.familiar/1"] = Field(alias="schema")
    segmentation_sha256: Sha256
    """Of the fp32 graph that the numbers are of; another one's are others."""
    mean: tuple[_Number, ...] = Field(min_length=2, max_length=LARGEST)
    """Of log(1 + mean of a channel), over the frames."""
    scale: tuple[_Positive, ...]
    axes: tuple[tuple[_Number, ...], ...] = Field(min_length=1, max_length=256)
    """Principal components of what is left when the mean is taken away and the scale divided out."""
    variances: tuple[_Positive, ...]
    """Along each axis."""
    rest: _Positive
    """Mean squared length of what the axes leave over."""
    limit: _Positive
    """Frames that lie farther away are none that the networks know."""
    cameras: dict[str, KeptShare] = Field(min_length=1)

    @model_validator(mode="after")
    def _fit_together(self) -> FamiliarContent:
        count = len(self.mean)
        if len(self.scale) != count or any(len(axis) != count for axis in self.axes):
            raise ValueError("mean, scale and axes must be equally long")
        if len(self.variances) != len(self.axes):
            raise ValueError("as many variances as axes are needed")
        return self


@dataclass(frozen=True, eq=False)
class Familiar:
    """The fitted test, ready to ask."""

    mean: FloatArray
    scale: FloatArray
    axes: FloatArray
    """[K, F]."""
    variances: FloatArray
    rest: float
    limit: float

    def distance(self, encoded: FloatArray) -> float:
        """How far a frame lies from those of the fit, whose mean is about 2. encoded: float32 [F], see `Inference`.

        Not a number where `encoded` is none, which no limit lets pass.
        """
        with np.errstate(invalid="ignore"):
            return float(distances(encoded[np.newaxis], self)[0])


def distances(encoded: FloatArray, fitted: Familiar) -> FloatArray:
    """Of many frames. encoded: [N, F]; gives [N]."""
    z = (np.log1p(np.maximum(encoded, 0)) - fitted.mean) / fitted.scale
    inside = z @ fitted.axes.T
    left = np.square(z).sum(axis=1) - np.square(inside).sum(axis=1)
    found: FloatArray = (np.square(inside) / fitted.variances).mean(axis=1) + left / fitted.rest
    return found


def familiar_of(content: FamiliarContent) -> Familiar:
    """The numbers of a file, ready to ask."""
    return Familiar(
        np.array(content.mean, np.float32),
        np.array(content.scale, np.float32),
        np.array(content.axes, np.float32),
        np.array(content.variances, np.float32),
        content.rest,
        content.limit,
    )


def open_familiar(bundle: Bundle) -> Familiar | None:
    """A bundle's test; None where it has none. Raises `BundleError` for one that cannot be used."""
    if not bundle.tells_strangers:
        return None
    again = f"make it again: python -m build_engines familiar {bundle.path}"
    try:
        content = model_from(FamiliarContent, bundle.read(FAMILIAR))
    except ValidationError as error:
        raise BundleError(f"bundle {bundle.path}: {FAMILIAR}: {first_problem(error, 'file')}; {again}") from None
    except ValueError as error:
        raise BundleError(f"bundle {bundle.path}: {FAMILIAR} is not JSON ({error}); {again}") from None
    graphs = {entry.path: entry.sha256 for entry in bundle.manifest.files}
    if content.segmentation_sha256 != graphs.get(graph_name("segmentation", "fp32")):
        raise BundleError(f"bundle {bundle.path}: {FAMILIAR} is of another segmentation graph; {again}")
    return familiar_of(content)
