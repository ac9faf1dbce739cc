"""What a parity report says: the schema `rop.parity/1`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from runtime.cpu_class import class_of_flags
from runtime.manifest import Network, Precision

REPORT_SCHEMA: Literal["rop.parity/1"] = "rop.parity/1"
REPORT_FILE, REPORT_PICTURE = "parity.json", "parity.png"
"""Names in the bundle."""
ALL = "all"
Number = Annotated[float, Field(allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class MeasuredOn(_Part):
    """Where it was measured."""

    backend: str = "openvino"
    """What ran the precisions."""
    processor: str
    """The CPU; the GPU for a backend that runs there."""
    features: tuple[str, ...]
    """What the processor has of the instructions that low precision runs on."""
    cores: int
    half_precision: str
    """What the backend calculates `fp16` in: `f16`, `bf16`, or `f32` where the CPU has no half precision."""
    openvino: str
    """Its version; for another backend's report that of the fp32 which results are held against."""
    cpu_class: str | None = None
    """Of `runtime.cpu_class`; None for a CPU of another family. A report from before there were classes gets it
    from `features`."""
    held_to: str | None = None
    """The kernels that OpenVINO was held to so as to stand for a lesser CPU; None where it ran as it likes."""

    @model_validator(mode="before")
    @classmethod
    def _classed(cls, values: object) -> object:
        if isinstance(values, dict) and "cpu_class" not in values:
            return {**values, "cpu_class": class_of_flags(set(values.get("features", ())))}
        return values


class AdoptionLimits(_Part):
    """What a precision must keep to be a default."""

    dice_drop: Number = 0.005
    auc_drop: Number = 0.005
    same_outcomes: Share = 0.99
    faster: Number = 1.05
    """Speed-up from which a precision counts as faster."""


class Speed(_Part):
    """One network in one precision."""

    network: Network
    precision: Precision
    median_ms: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    speed_up: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    """The median over frames of fp32's time through this one's, both taken on the frame in turn."""
    int8_layers: int
    """Convolutions and matrix products that the backend runs in 8-bit integers."""


class FrameGroup(_Part):
    """Frames of one data set and device, or all of them."""

    dataset: str
    device: str
    judged: bool
    """Whether the figures of tasks are taken on its frames."""
    held_out: bool
    """Whether all of its frames are known to have taken no part in training."""
    frames: int = Field(gt=0)
    dice: Share | None
    """Mean over the frames with a vessel mask."""
    dice_frames: int
    auc: Share | None
    auc_frames: int
    largest_difference: Share
    """Of a class probability from fp32's."""
    p99_difference: Share
    """99th percentile over frames of the frame's largest."""
    same_outcomes: Share
    """Share of frames with fp32's outcome at the bundle's threshold; the quality gate is left out."""
    lost_refers: int | None = None
    """Frames that fp32 refers and this does not; None in a report from before they were counted."""
    gained_refers: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _judged_when_held_out(cls, values: object) -> object:
        if isinstance(values, dict) and "judged" not in values:
            return {**values, "judged": values.get("held_out")}
        return values

    @property
    def equal(self) -> int:
        """Frames with fp32's outcome."""
        return round(self.same_outcomes * self.frames)


class Combination(_Part):
    """Both networks in one precision each."""

    segmentation: Precision
    classifier: Precision
    groups: tuple[FrameGroup, ...]
    """By data set and device on judged frames; then all judged frames; then every frame."""
    vessels_error: Number
    """Mean |difference| of the vessel map from fp32's through its mean."""
    logits_error: Number

    @property
    def judged(self) -> FrameGroup:
        """All judged frames."""
        return self.groups[-2]

    @property
    def every(self) -> FrameGroup:
        """Every frame."""
        return self.groups[-1]


class ParityReport(_Part):
    """The whole of `parity.json`."""

    schema_: Literal["rop.parity/1"] = Field(alias="schema")
    created: str
    """Date, ISO 8601."""
    machine: MeasuredOn
    tolerance: AdoptionLimits
    truth: str
    """Where the frames and their labels are from, in words."""
    speeds: tuple[Speed, ...]
    combinations: tuple[Combination, ...]
    chosen: dict[Network, Precision]
    """The default that follows for the backend."""
    reasons: tuple[str, ...]
    """Why each lower precision was not taken, one line each."""
    others: tuple[ParityReport, ...] = ()
    """The same for other classes of CPU, measured on this one held to their instructions, and for other backends."""

    def speed(self, network: str, precision: str) -> Speed:
        """Of one network in one precision."""
        return next(speed for speed in self.speeds if (speed.network, speed.precision) == (network, precision))

    def combination(self, segmentation: str, classifier: str) -> Combination:
        """Of the two precisions."""
        wanted = (segmentation, classifier)
        return next(found for found in self.combinations if (found.segmentation, found.classifier) == wanted)
