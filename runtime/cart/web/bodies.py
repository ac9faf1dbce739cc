"""What a page may send: every field checked, nothing else taken."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from runtime.exact import EXACT

EyeName = Literal["OD", "OS"]
ViewName = Literal["disc-centred", "temporal", "nasal", "superior", "inferior"]
Reason = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]


class Body(BaseModel):
    """Base: strict, frozen, no further fields."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SignInBody(Body):
    """Name and PIN."""

    name: Annotated[str, Field(max_length=64)]
    pin: Annotated[str, Field(max_length=64)]


class PinBody(Body):
    """The PIN of now, and the one from now on."""

    pin: Annotated[str, Field(max_length=64)]
    new_pin: Annotated[str, Field(max_length=64)]


class InfantBody(Body):
    """The infant's fields, as `runtime.exam.infant.Infant` checks them."""

    infant_id: Annotated[str, Field(max_length=64)]
    name: Annotated[str, Field(max_length=1000)]
    born_at: Annotated[str, Field(max_length=40)]
    """ISO 8601; the date alone where nobody knows the time."""
    gestational_age: Annotated[str, Field(max_length=20)]
    birth_weight_g: int | float
    sex: Annotated[str, Field(max_length=1)] = ""


class OpenBody(Body):
    """An exam is opened for a line of the worklist (`key`), or by hand."""

    key: Annotated[str, Field(max_length=64)] = ""
    infant: InfantBody
    wrist_band_checked: Annotated[Literal[True], EXACT]
    """The operator compared name and identifier with the wrist band."""


class LookBody(Body):
    """Of whom an exam is about to be opened."""

    infant: InfantBody


class ViewBody(Body):
    """Eye and view."""

    eye: EyeName
    view: ViewName


class AimBody(ViewBody):
    """The exam that the screen shows, with eye and view: nothing is set, and no picture taken, for another one."""

    exam: Annotated[str, Field(min_length=1, max_length=64)]


class RelabelBody(ViewBody):
    """Another eye or view, and why."""

    reason: Reason


class ReasonBody(Body):
    """Why."""

    reason: Reason


class StopBody(Body):
    """Why an exam ends before its time."""

    cause: Literal["infant unstable", "unstable", "refused", "equipment"]
    note: Annotated[str, Field(max_length=500)] = ""


class LightBody(Body):
    """The continuous light; `level` as the board counts, from the state's `light.level` up to `light.most`.

    Light is counted for the exam's infant and the eye that is set: `exam` and `eye` are those that the screen shows.
    """

    exam: Annotated[str, Field(min_length=1, max_length=64)]
    eye: EyeName | None = None
    on: bool
    level: Annotated[int, Field(ge=1, le=65535)] | None = None


class CameraBody(Body):
    """One setting of the camera; a `value` of null has the camera set it by itself."""

    control: Literal["exposure", "focus", "gain"]
    value: Annotated[float, Field(allow_inf_nan=False)] | None


class CorrectBody(Body):
    """Another infant, and why."""

    infant: InfantBody
    key: Annotated[str, Field(max_length=64)] = ""
    """The line of the worklist that is the right one, where there is one."""
    reason: Reason


class DocumentBody(Body):
    """What a clinician found in an eye; `runtime.exam.icrop3` has the words and checks them."""

    eye: EyeName
    zone: Annotated[str, Field(max_length=20)] | None = None
    notch: bool = False
    stage: Annotated[str, Field(max_length=20)] | None = None
    plus: Annotated[str, Field(max_length=20)] | None = None
    a_rop: bool = False
    note: Annotated[str, Field(max_length=2000)] = ""


class InstallBody(Body):
    """Where a bundle lies: a folder or an archive."""

    path: Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\x00]*$")]


class ActivateBody(Body):
    """An installed bundle, and why it is meant although its trial objects."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    despite: Annotated[str, Field(max_length=500)] = ""
