"""A laboratory's key and calibration for tests. Its numbers are round and stand in no standard."""

from __future__ import annotations

from datetime import date
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.light import Hazard, LightCalibration, RatePoint

KEY = Ed25519PrivateKey.from_private_bytes(b"\1" * 32)
TRUSTED = frozenset({KEY.public_key().public_bytes_raw()})
BOARD_ID = 0x51D
TODAY = date(2026, 6, 1)


def hazard(**changed: Any) -> Hazard:
    """Limit 10 units in 60 s; LED 1 unit/s up to level 100, 4 up to 1000; flash 100 units/s up to level 50."""
    values: dict[str, Any] = {
        "name": "made-up exposure",
        "unit": "units",
        "clause": "no standard, test only",
        "limit": 10.0,
        "window_s": 60.0,
        "led": (RatePoint(level=100, per_second=1.0), RatePoint(level=1000, per_second=4.0)),
        "flash": (RatePoint(level=50, per_second=100.0),),
    }
    return Hazard(**{**values, **changed})


def calibration(*hazards: Hazard, expires: date = date.max) -> LightCalibration:
    return LightCalibration(
        schema="rop.light-calibration/1",
        board_id=BOARD_ID,
        laboratory="Test laboratory",
        traceable_to="nothing: test only",
        issued=date(2026, 1, 31),
        expires=expires,
        hazards=hazards or (hazard(),),
    )
