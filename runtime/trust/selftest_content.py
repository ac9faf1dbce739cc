"""The file `selftest/expected.json` of a bundle, `rop.selftest/1`: frames and what each precision must answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from runtime.trust.blocks import BLOCKS

LOOSEST = 0.2
"""No bundle may allow more than this."""

_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
_Tolerance = Annotated[float, Field(gt=0, le=LOOSEST, allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KnownAnswer(_Part):
    """Of one frame."""

    probabilities: tuple[_Share, ...] = Field(min_length=2)
    vessels: tuple[tuple[_Share, ...], ...]
    """Mean vessel probability of each block, rows of 16."""

    @model_validator(mode="after")
    def _square(self) -> KnownAnswer:
        if len(self.vessels) != BLOCKS or any(len(row) != BLOCKS for row in self.vessels):
            raise ValueError(f"vessels: expected {BLOCKS} rows of {BLOCKS}")
        return self


class KnownAnswers(_Part):
    """Of one precision, in the order of the frames."""

    probability_tolerance: _Tolerance
    vessels_tolerance: _Tolerance
    frames: tuple[KnownAnswer, ...]


class Expected(_Part):
    """What a frame shows, in the words of the bundle's classes; the same in every precision."""

    class_name: str | None
    """The most probable class; None where precisions differ."""
    refer: bool
    """Whether it has to be referred whatever threshold is in force: surely so at the bundle's own."""


class FrameMeaning(_Part):
    """What the frames show, and in which words."""

    classes: tuple[str, ...] = Field(min_length=2)
    """Names, in the order of the classifier's outputs."""
    refer_classes: tuple[str, ...] = Field(min_length=1)
    """Those that count towards referral."""
    frames: tuple[Expected, ...]


class SelfTestContent(_Part):
    """The whole file."""

    schema_: Literal["rop.selftest/1"] = Field(alias="schema")
    made_by: str
    """Backend and machine that gave the answers."""
    frames: tuple[str, ...] = Field(min_length=1)
    """File names in the bundle: pictures of 256 x 256."""
    meaning: FrameMeaning | None = None
    """None in bundles of before 0.2.0, which sites with keys refuse."""
    answers: dict[str, KnownAnswers] = Field(min_length=1)
    """By precision, as an engine's facts name it: `fp32`, or segmentation and classifier: `int8+fp16`."""

    @model_validator(mode="after")
    def _complete(self) -> SelfTestContent:
        for precision, known in self.answers.items():
            if len(known.frames) != len(self.frames):
                raise ValueError(f"{precision}: {len(known.frames)} answers for {len(self.frames)} frames")
        if self.meaning is not None and len(self.meaning.frames) != len(self.frames):
            raise ValueError(f"meaning: of {len(self.meaning.frames)} frames, there are {len(self.frames)}")
        return self
