"""The signed calibration file of one board: what its light does to an eye, and the limits, as a laboratory measured.

Nothing here knows a limit. The file has two lines: the calibration as one JSON object, and one with the Ed25519
signature of the first line's bytes, newline included. Any changed byte makes it invalid.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import date, datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from device.checked_file import place_of, read_at_most, strict_json
from device.errors import CalibrationInvalid
from device.refused_value import refused_value
from device.signature import ContentAltered, KeyNotTrusted, NoSignature, signature_line, signed_by

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LIMIT_BYTES = 256 * 1024
CALIBRATION_SCHEMA = "rop.light-calibration/1"
_Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class RatePoint(_Strict):
    """What the light gives at one drive level."""

    level: int = Field(gt=0, le=65535)
    """Drive level as the board counts."""
    per_second: float = Field(ge=0)
    """The hazard's unit per second of light at this level."""


class Hazard(_Strict):
    """One quantity that is limited, per eye."""

    name: str = Field(min_length=1)
    """As the standard calls it."""
    unit: str = Field(min_length=1)
    clause: str = Field(min_length=1)
    """Where the limit comes from: standard and clause."""
    limit: _Positive
    """The most that one eye may get within the window, in `unit`."""
    window_s: _Positive
    """Exposures that ended longer ago than this no longer count, seconds."""
    led: tuple[RatePoint, ...]
    """Continuous light, by rising level; empty when it was not calibrated (it is then refused)."""
    flash: tuple[RatePoint, ...]
    """Flash, by rising level; empty when it was not calibrated (it is then refused)."""

    @model_validator(mode="after")
    def _rising(self) -> Hazard:
        for points in (self.led, self.flash):
            for low, high in pairwise(points):
                if high.level <= low.level or high.per_second < low.per_second:
                    raise ValueError(f"{self.name}: points must rise in level and not fall in rate: {low}, {high}")
        return self


class LightCalibration(_Strict):
    """What a laboratory found for one board."""

    schema_: Literal["rop.light-calibration/1"] = Field("rop.light-calibration/1", alias="schema")
    board_id: int = Field(ge=0, lt=2**64)
    """The number that the board tells in its STATUS."""
    laboratory: str = Field(min_length=1)
    traceable_to: str = Field(min_length=1)
    """The standard that limits and measurements follow, ISO 15004-2:2024 for example."""
    issued: date
    """First day on which the file may be used (UTC)."""
    expires: date
    """Last day on which the file may be used (UTC)."""
    hazards: tuple[Hazard, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> LightCalibration:
        if self.expires < self.issued:
            raise ValueError(f"expires {self.expires} is before issued {self.issued}")
        names = [hazard.name for hazard in self.hazards]
        if len(set(names)) != len(names):
            raise ValueError(f"hazards must have names of their own, got {names}")
        return self


def sign_calibration(calibration: LightCalibration, key: Ed25519PrivateKey) -> bytes:
    """The file's bytes, signed: for the laboratory."""
    body = json.dumps(calibration.model_dump(mode="json", by_alias=True), ensure_ascii=True, sort_keys=True).encode()
    body += b"\n"
    return body + signature_line(body, key)


def load_calibration(
    path: Path, *, board_id: int, trusted_keys: Collection[bytes], today: date | None = None
) -> LightCalibration:
    """Read a calibration file for the board that is connected.

    `trusted_keys` are the laboratories' public keys, 32 bytes each. Raises `CalibrationInvalid`; nothing of the file's
    content is used before its signature has been checked.
    """
    try:
        data = read_at_most(path, LIMIT_BYTES)
    except OSError as error:
        raise CalibrationInvalid(f"{path.name}: cannot be read ({error.strerror}); get the board's file") from error
    body = _checked_body(path.name, data, trusted_keys)
    try:
        strict_json(body)
        calibration = LightCalibration.model_validate_json(body, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = place_of(first["loc"])
        raise CalibrationInvalid(
            f"{path.name}: signed, but no {CALIBRATION_SCHEMA}: {where}: {refused_value(first)}; ask the laboratory"
        ) from error
    except ValueError as error:
        raise CalibrationInvalid(f"{path.name}: signed, but not JSON ({error}); ask the laboratory") from error
    _check_use(path.name, calibration, board_id, today or datetime.now(timezone.utc).date())
    return calibration


def _checked_body(name: str, data: bytes, trusted_keys: Collection[bytes]) -> bytes:
    """The first line, once its signature by a trusted key is right."""
    body, newline, line = data.partition(b"\n")
    body += newline
    try:
        signed_by(body, line, trusted_keys)
    except NoSignature:
        raise CalibrationInvalid(
            f"{name}: got no signature line, expected line 2 as {{ed25519, key}}; get it anew"
        ) from None
    except KeyNotTrusted as error:
        raise CalibrationInvalid(
            f"{name}: {error}; get the file from a trusted laboratory, or trust its key in the configuration"
        ) from None
    except ContentAltered as error:
        raise CalibrationInvalid(f"{name}: {error}; get it anew") from None
    return body


def _check_use(name: str, calibration: LightCalibration, board_id: int, today: date) -> None:
    if calibration.board_id != board_id:
        raise CalibrationInvalid(
            f"{name}: is for board {calibration.board_id:016x}, connected is {board_id:016x}; use this board's own file"
        )
    if today > calibration.expires:
        raise CalibrationInvalid(
            f"{name}: expired on {calibration.expires}, today is {today} (UTC); have the board calibrated"
        )
    if today < calibration.issued:
        raise CalibrationInvalid(
            f"{name}: issued on {calibration.issued}, today is {today} (UTC); set this machine's clock right"
        )
