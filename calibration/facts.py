"""What a calibration set says of itself: the schema `rop.calibration/1` of its `set.json`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from runtime.manifest import InputFacts, Sha256

SET_SCHEMA = "rop.calibration/1"
SET_FILE = "set.json"
FEATURES = ("brightness", "redness", "green_excess", "detail", "vessel_density")
"""What frames are spread over: light, colour (two), sharpness, vessels. All but the last as in `QualityLimits`."""
UNKNOWN = "unknown"
"""The device of a frame that nobody named."""

INPUT = InputFacts(width=256, height=256, layout="NHWC", dtype="uint8", color="RGB", resize="antialiased bilinear")
"""The preprocessing of `runtime.preprocess`, which made the frames."""

Kind = Literal["pictures", "readings", "recording", "simulated", "camera"]
"""What a source of frames is."""
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BundleUsed(_Part):
    """The bundle whose segmentation gave the vessel density."""

    name: str
    version: str
    sha256: Sha256
    """Of its manifest."""
    segmentation_sha256: Sha256
    """Of the graph that ran."""
    engine: str
    """Backend and precision, `openvino fp32`."""


class SourceFacts(_Part):
    """One source that frames came from; never its name, which may be a patient's."""

    kind: Kind
    frames: int = Field(ge=0)
    """How many frames were looked at."""


class ExclusionFacts(_Part):
    """One table of frames that were kept out."""

    table_sha256: Sha256
    rule: Literal["all", "held out"]
    """`all` its frames, or those that `build_engines.train` holds out."""
    held_out_share: Number | None = None
    frames: int = Field(ge=0)
    """How many frames it keeps out."""


class Refusal(_Part):
    """Why some frames were refused."""

    reason: str
    frames: int = Field(gt=0)


class ChosenFrame(_Part):
    """One frame of the set, and why it was chosen."""

    file: str = Field(pattern=r"^frame_\d{4,6}\.png$")
    """Numbered in the order of choice; nothing of the source's name."""
    sha256: Sha256
    """Of the file."""
    pixels_sha256: Sha256
    """Of the source frame's RGB pixels at full size, as in `rop.reading/1`."""
    device: str
    rank: int = Field(ge=0)
    """0 was chosen first, by the seed; each later one was the farthest from all before it."""
    distance: Number | None
    """To the nearest frame chosen before, in standard deviations of the features; None for the first."""
    features: dict[str, Number]
    """By the names in `FEATURES`."""


class FeatureStatistics(_Part):
    """How a feature is spread over the chosen frames."""

    mean: Number
    std: Number
    min: Number
    p5: Number
    median: Number
    p95: Number
    max: Number


class Population(_Part):
    """The usable frames that the set was chosen from: what `compare` compares.

    The chosen ones are spread on purpose, so they are not distributed as the camera's frames are.
    """

    frames: int = Field(gt=0)
    devices: dict[str, int]
    features: dict[str, tuple[Number, ...]]
    """Values by feature, of all usable frames or of a seeded sample of them, the same frames in each."""


class SetFacts(_Part):
    """The content of `set.json`."""

    schema_: Literal["rop.calibration/1"] = Field(alias="schema")
    created: str
    """Date, ISO 8601."""
    input: InputFacts
    bundle: BundleUsed
    tools: dict[str, str]
    """Package versions."""
    seed: int = Field(ge=0)
    sources: tuple[SourceFacts, ...]
    exclusions: tuple[ExclusionFacts, ...]
    refused: tuple[Refusal, ...]
    devices: dict[str, int]
    """How many chosen frames each device gave."""
    covering_distance: Number
    """No usable frame is farther than this from a chosen one, in standard deviations of the features."""
    statistics: dict[str, FeatureStatistics]
    population: Population
    frames: tuple[ChosenFrame, ...] = Field(min_length=1)
    sha256: Sha256
    """Of everything else in this file, as `calibration.opened.digest` counts it; it names every frame's hash."""

    @model_validator(mode="after")
    def _consistent(self) -> SetFacts:
        if len({frame.file for frame in self.frames}) != len(self.frames):
            raise ValueError("frames: a file is listed twice")
        for where, names in (("statistics", self.statistics), ("population", self.population.features)):
            if set(names) != set(FEATURES):
                raise ValueError(f"{where}: features are {', '.join(names)}; expected {', '.join(FEATURES)}")
        if any(set(frame.features) != set(FEATURES) for frame in self.frames):
            raise ValueError(f"frames: a frame lacks features; expected {', '.join(FEATURES)}")
        if len({len(values) for values in self.population.features.values()}) != 1:
            raise ValueError("population: features have different numbers of values")
        return self
