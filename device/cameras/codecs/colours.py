"""The colour profile that a picture states, where it has one: embedded, or by a name or numbers instead of one.

Sources: ISO 15444-1 annex I (JP2's `colr`), PNG specification, third edition (`cICP`, `cHRM`, `gAMA`), Exif 3.0 (DCF
option file), ICC.1:2001-04 (matrix profiles), Bradford's adaptation to D50 (ICC.1:2022, annex E).
"""

from __future__ import annotations

import functools
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from device.cameras.codecs.jpeg2000 import is_jpeg2000
from device.cameras.codecs.refused import Refused

if TYPE_CHECKING:
    from PIL import Image

_D65 = (0.3127, 0.3290)
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_D50 = np.array([0.9642, 1.0, 0.8249])
_EXIF, _INTEROPERABILITY, _COLOUR_SPACE = 0x8769, 0xA005, 0xA001
_ADOBE_RGB_BY_EXIF = (2, 0xFFFF)
_GAMMA, _GAMMA_TOLERANCE, _XY_TOLERANCE = 1 / 2.2, 0.02, 0.003
_BRIGHTER_THAN_WHITE = (16, 18)
"""PQ and HLG, by ITU-T H.273."""


@dataclass(frozen=True)
class Space:
    """Colours by their primaries and white (x, y each), and a gamma; None for the curve of sRGB."""

    name: str
    red: tuple[float, float]
    green: tuple[float, float]
    blue: tuple[float, float]
    white: tuple[float, float] = _D65
    gamma: float | None = None


SRGB = Space("sRGB", (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
SPACES = {
    "ADOBERGB": Space("Adobe RGB (1998)", (0.64, 0.33), (0.21, 0.71), (0.15, 0.06), gamma=2.19921875),
    "DISPLAYP3": Space("Display P3", (0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
    "ROMMRGB": Space("ROMM RGB", (0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001), (0.3457, 0.3585), 1.8),
    "BT2020": Space("BT.2020", (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
}
"""By DICOM's terms (0028,2002), and one more."""
_BY_NUMBER = {9: SPACES["BT2020"], 11: SPACES["DISPLAYP3"], 12: SPACES["DISPLAYP3"]}
"""By the numbers of ITU-T H.273."""


def stated_profile(picture: Image.Image, data: bytes) -> bytes | None:
    """The ICC profile of an opened picture, or one made of what else it says of its colours; None for nothing.

    Raises `Refused` for a picture whose colours are brighter than white (HDR).
    """
    said = _png_number(data) if picture.format == "PNG" else None
    if said is not None:  # goes before a profile
        return said or None
    embedded = picture.info.get("icc_profile")
    if embedded:
        return bytes(embedded)
    if picture.format == "PNG":
        return _png_numbers(picture)
    if is_jpeg2000(data):
        return _jp2_profile(data)
    return matrix_profile(SPACES["ADOBERGB"]) if _is_adobe_rgb(picture) else None


@functools.cache
def matrix_profile(space: Space) -> bytes:
    """An ICC profile (version 2) of these colours."""
    columns = _to_d50(space)
    if space.gamma is None:
        signal = np.linspace(0, 1, 1024)
        light = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
        curve = b"curv" + bytes(4) + struct.pack(">I", 1024) + (light * 65535).round().astype(">u2").tobytes()
    else:
        curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(space.gamma * 256)) + bytes(2)
    name = space.name.encode("ascii")
    blocks = {b"desc": b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name + b"\0" + bytes(78)}
    blocks[b"wtpt"] = b"XYZ " + bytes(4) + _fixed(_D50)
    for k, letter in enumerate((b"r", b"g", b"b")):
        blocks[letter + b"XYZ"] = b"XYZ " + bytes(4) + _fixed(columns[:, k])
        blocks[letter + b"TRC"] = curve
    table, body, start = struct.pack(">I", len(blocks)), b"", 128 + 4 + 12 * len(blocks)
    for tag, block in blocks.items():
        table += tag + struct.pack(">II", start + len(body), len(block))
        body += block + bytes(-len(block) % 4)
    head = struct.pack(">I", start + len(body)) + b"\0\0\0\0\x02\x10\0\0mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28)
    return (head + _fixed(_D50)).ljust(128, b"\0") + table + body


def _to_d50(space: Space) -> np.ndarray:
    """Columns: XYZ of red, green and blue, seen under D50."""
    primaries = np.array([_xyz(*corner) for corner in (space.red, space.green, space.blue)]).T
    white = _xyz(*space.white)
    lights = primaries * np.linalg.solve(primaries, white)
    cones = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    return np.asarray(np.linalg.inv(_BRADFORD) @ cones @ _BRADFORD @ lights)


def _xyz(x: float, y: float) -> np.ndarray:
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _fixed(values: np.ndarray) -> bytes:
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)


def _png_number(data: bytes) -> bytes | None:
    """The profile that a PNG's `cICP` stands for, empty for sRGB; None without one."""
    at = 8
    while at + 12 <= len(data) and (kind := data[at + 4 : at + 8]) not in (b"IDAT", b"IEND"):
        if kind == b"cICP":
            primaries, transfer = data[at + 8 : at + 10]
            if transfer in _BRIGHTER_THAN_WHITE:
                raise Refused("a PNG in HDR, expected sRGB; export it so")
            space = _BY_NUMBER.get(primaries)
            return b"" if space is None else matrix_profile(space)
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return None


def _png_numbers(picture: Image.Image) -> bytes | None:
    """The profile that a PNG's `gAMA` and `cHRM` stand for, where they are not those of sRGB."""
    info = picture.info
    if "srgb" in info:
        return None
    gamma, corners = float(info.get("gamma", _GAMMA)), info.get("chromaticity")
    usual_gamma = abs(gamma - _GAMMA) <= _GAMMA_TOLERANCE or not 0.1 <= gamma <= 2
    white, red, green, blue = (SRGB.white, SRGB.red, SRGB.green, SRGB.blue)
    if isinstance(corners, tuple) and len(corners) == 8 and all(0 < float(value) < 1 for value in corners):
        white, red, green, blue = ((float(corners[k]), float(corners[k + 1])) for k in (0, 2, 4, 6))
    stated = np.array((white, red, green, blue)) - np.array((SRGB.white, SRGB.red, SRGB.green, SRGB.blue))
    if usual_gamma and np.abs(stated).max() <= _XY_TOLERANCE:
        return None
    return matrix_profile(Space("a PNG's own colours", red, green, blue, white, None if usual_gamma else 1 / gamma))


def _jp2_profile(data: bytes) -> bytes | None:
    """The profile in a JP2 file's header, which Pillow leaves aside."""
    header = data.find(b"jp2h", 0, 1 << 16)
    if header < 4:
        return None
    at, end = header + 4, header - 4 + int.from_bytes(data[header - 4 : header], "big")
    while at + 11 <= min(end, len(data)):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"colr" and data[at + 8] == 2:
            return data[at + 11 : at + length]
        at += max(length, 8)
    return None


def _is_adobe_rgb(picture: Image.Image) -> bool:
    """Whether a camera wrote Adobe RGB without a profile, as DCF has it: index R03."""
    try:
        exif = picture.getexif()
        if not exif:
            return False
        return (
            exif.get_ifd(_INTEROPERABILITY).get(1) == "R03"
            and exif.get_ifd(_EXIF).get(_COLOUR_SPACE) in _ADOBE_RGB_BY_EXIF
        )
    except Exception:  # damaged EXIF is as good as none
        return False
