"""JPEG to RGB, or what is wrong with its data: libjpeg-turbo through simplejpeg, whose strict mode hides no warning.

libjpeg makes a picture of nearly anything and only warns; Pillow and OpenCV throw the warnings away. simplejpeg decodes
to the same pixels as Pillow (both are libjpeg-turbo), in half the time, and raises where libjpeg warns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from device.cameras.codecs.further import check_alone
from device.cameras.codecs.progressive import check_scans
from device.cameras.codecs.refused import Damaged, Refused, check_pieces, check_size
from device.cameras.codecs.seams import damage_seen

_SOI, _EOI, _SOS, _DQT, _DRI = 0xD8, 0xD9, 0xDA, 0xDB, 0xDD
_SOF_KINDS = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive", 0xC3: "lossless", 0xF7: "JPEG-LS"}
_SOF = frozenset(_SOF_KINDS) | {0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_NO_LENGTH = frozenset({0x01, *range(0xD0, 0xD8)})
_SCANS_MAX = 100
"""A progressive encoder writes about ten."""
_SCAN_MEGAPIXELS_MAX = 1000
"""Scans times megapixels: so much takes some seconds, and a file of 100 kB can ask for a thousand times that."""
_STRAY_BYTES_MAX = 16
"""Cameras write up to nine stray bytes before a marker (opencv #9477); more is data that was meant for something."""
_STRAY = re.compile(r"(\d+) extraneous bytes before marker 0x(\w\w)")
_MARKER = re.compile(rb"\xff(?=[^\xff\x00])")
_SEGMENTS, _STRAYS = "JPEG of over {} segments", "JPEG of over {} bytes that stray between its segments"
_PADDING = re.compile(rb"(?<!\xff)\x00+(?=\xff[\xd0-\xd7\xd9])|\xff+(?=\xff[\xd0-\xd7\xd9])")


@dataclass(frozen=True)
class JpegHeader:
    """What stands before the first scan."""

    width: int
    height: int
    components: int
    bits: int
    kind: str
    """`baseline`, `progressive`, ..."""
    data_at: int
    """Where the entropy-coded data of the first scan begins."""
    restart_every: int
    """Restart interval in blocks (MCU), 0 for none."""
    mcu: tuple[int, int]
    """Width and height of a block (MCU) in pixels."""
    quantum: float
    """Levels that one step of the first channel's stored mean of a block makes; 0 where the header does not say."""
    clean: bytes | None
    """The header without the bytes that stray between its segments; None where there are none."""


def is_jpeg(data: bytes) -> bool:
    """Whether the data begins as JPEG does."""
    return data[:3] == b"\xff\xd8\xff"


def read_header(data: bytes) -> JpegHeader:
    """The header of a JPEG picture; raises `Refused` when there is none that can be read."""
    at, parts, frame, restart, steps, strays = 2, [data[:2]], None, 0, dict[int, int](), 0
    while True:
        found = _MARKER.search(data, at)
        if found is None or found.start() + 4 > len(data):
            raise Damaged("JPEG", "its header ends early")
        marker_at = found.start()
        check_pieces(strays := strays + marker_at - at, _STRAYS)
        marker = data[marker_at + 1]
        if marker in _NO_LENGTH:
            at, strays = marker_at + 2, strays + 2
            continue
        length = int.from_bytes(data[marker_at + 2 : marker_at + 4], "big")
        end = marker_at + 2 + length
        if marker in (_SOI, _EOI) or length < 2 or end > len(data):
            raise Damaged("JPEG", "its header is torn")
        body = data[marker_at + 4 : end]
        parts.append(data[marker_at:end])
        check_pieces(len(parts), _SEGMENTS)
        if marker in _SOF and len(body) >= 6:
            frame = (marker, body)
        elif marker == _DRI and len(body) >= 2:
            restart = int.from_bytes(body[:2], "big")
        elif marker == _DQT:
            steps |= _first_steps(body)
        at = end
        if marker == _SOS:
            break
    if frame is None:
        raise Damaged("JPEG", "it states no size")
    kind, body = frame
    sampling = list(body[7::3]) or [0x11]
    clean = b"".join(parts)
    return JpegHeader(
        width=int.from_bytes(body[3:5], "big"),
        height=int.from_bytes(body[1:3], "big"),
        components=body[5],
        bits=body[0],
        kind=_SOF_KINDS.get(kind, "hierarchical or arithmetic"),
        data_at=at,
        restart_every=restart,
        quantum=steps.get(body[8], 0) / 8 if len(body) > 8 else 0.0,  # eight times the mean is stored
        mcu=(8 * max(s >> 4 for s in sampling), 8 * max(s & 15 for s in sampling)) if len(sampling) > 1 else (8, 8),
        clean=None if len(clean) == at else clean,
    )


def _first_steps(body: bytes) -> dict[int, int]:
    """Of each table of a segment that defines quantisation its first step, which is the mean's."""
    found, at = {}, 0
    while at + 3 <= len(body):
        wide = body[at] >> 4 > 0
        found[body[at] & 15] = int.from_bytes(body[at + 1 : at + 2 + wide], "big")
        at += 1 + 64 * (1 + wide)
    return found


def check_header(header: JpegHeader, data: bytes) -> None:
    """Raise `Refused` for a kind that is not decoded here, a size over the limit, or more scans than anyone writes."""
    if header.kind not in ("baseline", "extended", "progressive"):
        raise Refused(f"a {header.kind} JPEG, expected baseline or progressive; export it so")
    if header.bits != 8:
        raise Refused(f"a JPEG of {header.bits} bits a channel, expected 8; export it so")
    if header.components not in (1, 3, 4):
        raise Refused(f"a JPEG of {header.components} channels, expected gray, colour or CMYK; export it so")
    check_size(header.width, header.height)
    scans = 1 + data.count(b"\xff\xda", header.data_at)
    megapixels = header.width * header.height / 1e6
    if scans > _SCANS_MAX or scans * megapixels > _SCAN_MEGAPIXELS_MAX:
        raise Refused(
            f"a JPEG of {scans} scans, expected at most {min(_SCANS_MAX, int(_SCAN_MEGAPIXELS_MAX / megapixels))} "
            "at its size; export it anew"
        )
    check_alone(data, header.data_at, (header.width, header.height))


def decode_jpeg(data: bytes) -> NDArray[np.uint8]:
    """RGB, uint8 [H, W, 3], of a JPEG of 8 bits in gray or colour, as stored (orientation and profile are not applied).

    Raises `Damaged` when libjpeg warns of its data, or the picture shows that it was damaged; `Refused` for what is
    not decoded here (CMYK among it). Stray bytes before a marker alone are harmless, many cameras write them.
    """
    header = read_header(data)
    check_header(header, data)
    if header.kind == "progressive":
        check_scans(data)
    if header.components == 4:
        raise Refused("a JPEG in CMYK, expected gray or colour; have it made in RGB")
    pixels = _strict(data, header)
    seen = damage_seen(pixels, quantum=header.quantum)
    if seen is not None:
        raise Damaged("JPEG", seen)
    return pixels


def check_jpeg(data: bytes) -> None:
    """Raise as `decode_jpeg` does, CMYK allowed, for a picture that another decoder makes pixels of."""
    header = read_header(data)
    check_header(header, data)
    if header.kind == "progressive":
        check_scans(data)
    _strict(data, header, "CMYK" if header.components == 4 else "RGB")


def _strict(data: bytes, header: JpegHeader, colours: str = "RGB") -> NDArray[np.uint8]:
    if header.clean is not None:
        data = header.clean + data[header.data_at :]
        header = read_header(data)
    try:
        return _decode(data, colours)
    except ValueError as error:
        why = str(error)
    if not _STRAY.search(why):
        raise Damaged("JPEG", _words(why))
    entropy = data[header.data_at :]
    padded = _PADDING.sub(b"", entropy)
    if len(padded) < len(entropy):
        try:
            return _decode(data[: header.data_at] + padded, colours)
        except ValueError:
            pass
    if header.restart_every and header.kind != "progressive":
        _check_intervals(data, header)
    elif not _few_strays(why, b"\xd9"):
        raise Damaged("JPEG", _words(why))
    return _decode(data, colours, strict=False)


def _decode(data: bytes, colours: str, *, strict: bool = True) -> NDArray[np.uint8]:
    pixels = simplejpeg.decode_jpeg(data, colorspace=colours, strict=strict)
    return np.asarray(pixels, np.uint8)


def _few_strays(why: str, markers: bytes) -> bool:
    found = _STRAY.search(why)
    return found is not None and int(found[1]) <= _STRAY_BYTES_MAX and int(found[2], 16) in markers


def _check_intervals(data: bytes, header: JpegHeader) -> None:
    """Raise `Damaged` when a part between two restart markers is anything but whole, a few stray bytes behind it apart.

    A decoder that was told to pass over strays passes over all else too, so each part is tried as a picture of its own.
    """
    across = -(-header.width // header.mcu[0])
    blocks = across * -(-header.height // header.mcu[1])
    parts = re.split(rb"\xff[\xd0-\xd7]", data[header.data_at : data.rfind(b"\xff\xd9")])
    wanted = -(-blocks // header.restart_every)
    if len(parts) != wanted:
        raise Damaged("JPEG", f"{len(parts)} of {wanted} parts between its restart markers")
    for number, part in enumerate(parts):
        count = min(header.restart_every, blocks - number * header.restart_every)
        try:
            _decode(_alone(data, header, part, count), "GRAY")
        except ValueError as error:
            if not _few_strays(str(error), b"\xd9"):
                raise Damaged("JPEG", _words(str(error))) from None


def _alone(data: bytes, header: JpegHeader, part: bytes, blocks: int) -> bytes:
    """The blocks between two restart markers as a picture, one block wide."""
    head = bytearray(data[: header.data_at])
    at = 2
    while at < len(head):
        marker, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4], "big")
        if marker in _SOF:
            head[at + 5 : at + 9] = (blocks * header.mcu[1]).to_bytes(2, "big") + header.mcu[0].to_bytes(2, "big")
        elif marker == _DRI:
            head[at + 4 : at + 6] = b"\0\0"
        at += 2 + length
    return bytes(head) + part + b"\xff\xd9"


def _words(why: str) -> str:
    return why.removeprefix("Corrupt JPEG data: ").splitlines()[0][:100] or "its data cannot be decoded"
