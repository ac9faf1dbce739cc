"""Calibration files: signed, whole, for this board, and in date."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from device.errors import CalibrationInvalid
from device.light import LightCalibration, load_calibration, sign_calibration
from tests.device.light.lab import BOARD_ID, KEY, TODAY, TRUSTED, calibration


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "board.rop-calibration"
    path.write_bytes(sign_calibration(calibration(), KEY))
    return path


def load(path: Path, **changed: Any) -> LightCalibration:
    return load_calibration(path, **{"board_id": BOARD_ID, "trusted_keys": TRUSTED, "today": TODAY, **changed})


def test_a_good_file_is_read(file: Path) -> None:
    assert load(file) == calibration()
    assert json.loads(file.read_bytes().splitlines()[0])["schema"] == "rop.light-calibration/1"


def test_every_changed_byte_is_refused(file: Path) -> None:
    good = file.read_bytes()
    for at in range(len(good)):
        bit = (0x01, 0x20)[at % 2]
        file.write_bytes(good[:at] + bytes((good[at] ^ bit,)) + good[at + 1 :])
        with pytest.raises(CalibrationInvalid):
            load(file)


@pytest.mark.parametrize("cut", [0, 1, 50, -1, -100])
def test_a_file_cut_short_is_refused(file: Path, cut: int) -> None:
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(CalibrationInvalid, match="get it anew"):
        load(file)


def test_anything_added_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(CalibrationInvalid):
        load(file)


def test_an_altered_limit_says_altered(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b'"limit": 10.0', b'"limit": 99.0'))
    with pytest.raises(CalibrationInvalid, match="altered, the signature does not fit"):
        load(file)


def test_a_file_signed_by_anyone_else_is_refused(file: Path) -> None:
    file.write_bytes(sign_calibration(calibration(), Ed25519PrivateKey.from_private_bytes(b"\2" * 32)))
    with pytest.raises(CalibrationInvalid, match="expected one of 1 trusted keys"):
        load(file)


def test_another_boards_file_is_refused(file: Path) -> None:
    with pytest.raises(CalibrationInvalid, match=r"is for board 000000000000051d, connected is 0000000000000007"):
        load(file, board_id=7)


def test_dates_are_kept(file: Path) -> None:
    file.write_bytes(sign_calibration(calibration(expires=date(2027, 1, 31)), KEY))
    load(file, today=date(2027, 1, 31))
    with pytest.raises(
        CalibrationInvalid, match=r"expired on 2027-01-31, today is 2027-02-01 \(UTC\); have the board calibrated"
    ):
        load(file, today=date(2027, 2, 1))
    with pytest.raises(CalibrationInvalid, match="set this machine's clock right"):
        load(file, today=date(2025, 12, 31))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CalibrationInvalid, match=r"none\.cal: cannot be read"):
        load(tmp_path / "none.cal")


def test_signed_content_of_another_schema_is_refused(file: Path) -> None:
    body = file.read_bytes().splitlines(keepends=True)[0].replace(b"calibration/1", b"calibration/2")
    line = json.dumps({"ed25519": KEY.sign(body).hex(), "key": KEY.public_key().public_bytes_raw().hex()})
    file.write_bytes(body + line.encode() + b"\n")
    with pytest.raises(CalibrationInvalid, match=r"signed, but no rop\.light-calibration/1: schema"):
        load(file)


@pytest.mark.parametrize(
    "wrong",
    [
        {"hazards": ()},
        {"expires": date(2020, 1, 1)},
        {"board_id": -1},
        {"laboratory": ""},
        {"unknown": 1},
    ],
)
def test_values_that_make_no_sense_cannot_be_signed(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LightCalibration(**{**calibration().model_dump(by_alias=True), **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": float("nan")},
        {"limit": float("inf")},
        {"window_s": -1},
        {"led": ({"level": 10, "per_second": 2.0}, {"level": 5, "per_second": 3.0})},
        {"led": ({"level": 5, "per_second": 2.0}, {"level": 10, "per_second": 1.0})},
        {"flash": ({"level": 5, "per_second": -2.0},)},
    ],
)
def test_hazards_that_make_no_sense_cannot_be_signed(wrong: dict[str, Any]) -> None:
    content = calibration().model_dump(by_alias=True)
    content["hazards"] = ({**content["hazards"][0], **wrong},)
    with pytest.raises(ValidationError):
        LightCalibration(**content)
