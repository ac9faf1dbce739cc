"""Strips and tiles of a TIFF that are missing, in one place, exchanged or another's: most decoders show what comes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from device import FrameUnreadable
from device.cameras.codecs.tiles import tile_score
from device.cameras.files import decode
from tests.pictures import retina

RETINA = retina(seed=4, width=320, height=240)
TILE = 64
Places = tuple[bytearray, list[int], list[int]]
"""The data, where each part lies, and its bytes."""


def whole(places: Places) -> None:
    """As it is."""


def tiff(edit: Callable[[Places], None] = whole, *, tiled: bool, planes: bool, packing: int, turned: int = 1) -> bytes:
    """A TIFF in tiles or strips, with its channels together or in planes, uncompressed (1) or deflated (8)."""
    height, width = RETINA.shape[:2]
    parts = []
    for each in [RETINA[..., k] for k in range(3)] if planes else [RETINA]:
        rows, columns = (TILE, TILE) if tiled else (16, width)
        full = np.pad(each, [(0, -height % rows), (0, -width % columns), (0, 0)][: each.ndim], mode="edge")
        for y in range(0, full.shape[0], rows):
            parts += [full[y : y + rows, x : x + columns].tobytes() for x in range(0, full.shape[1], columns)]
    packed = [zlib.compress(part) if packing == 8 else part for part in parts]
    data = bytearray(b"II*\0\0\0\0\0" + b"".join(packed))
    places: Places = (data, [8 + sum(map(len, packed[:k])) for k in range(len(packed))], list(map(len, packed)))
    edit(places)
    entries = {256: [width], 257: [height], 258: [8] * 3, 259: [packing], 262: [2], 274: [turned]}
    entries |= {277: [3], 284: [2 if planes else 1]}
    entries |= {324: places[1], 325: places[2], 322: [TILE], 323: [TILE]} if tiled else {}
    entries |= {} if tiled else {273: places[1], 279: places[2], 278: [16]}
    data += bytes(len(data) % 2)
    struct.pack_into("<I", data, 4, len(data))
    directory, extra = struct.pack("<H", len(entries)), b""
    extra_at = len(data) + 2 + 12 * len(entries) + 4
    for tag, values in sorted(entries.items()):
        value = struct.pack(f"<{len(values)}I", *values)
        if len(values) > 1:
            value, extra = struct.pack("<I", extra_at + len(extra)), extra + value
        directory += struct.pack("<HHI", tag, 4, len(values)) + value
    return bytes(data) + directory + bytes(4) + extra


def no_data(places: Places) -> None:
    places[1][7] = places[2][7] = 0


def in_one_place(places: Places) -> None:
    places[1][7], places[2][7] = places[1][6], places[2][6]


def half_in_another(places: Places) -> None:
    places[1][7] -= places[2][7] // 2


def too_few(places: Places) -> None:
    del places[1][-3:], places[2][-3:]


def too_many(places: Places) -> None:
    places[1].append(8)
    places[2].append(4)


def ends_early(places: Places) -> None:
    places[1][7] += len(places[0]) * 4


LAYOUTS = [(tiled, planes, packing) for tiled in (False, True) for planes in (False, True) for packing in (1, 8)]


@pytest.mark.parametrize(("tiled", "planes", "packing"), LAYOUTS)
def test_whole_ones_are_read(tmp_path: Path, tiled: bool, planes: bool, packing: int) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(tiled=tiled, planes=planes, packing=packing))
    assert np.array_equal(decode(tmp_path / "a.tif"), RETINA)


@pytest.mark.parametrize("damage", [no_data, in_one_place, half_in_another, too_few, too_many, ends_early])
@pytest.mark.parametrize(("tiled", "planes", "packing"), LAYOUTS)
def test_parts_without_a_place_of_their_own_are_refused(
    tmp_path: Path, tiled: bool, planes: bool, packing: int, damage: Callable[[Places], None]
) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(damage, tiled=tiled, planes=planes, packing=packing))
    with pytest.raises(FrameUnreadable, match=r"damaged|not read here"):  # Pillow opens no planes of too many
        decode(tmp_path / "a.tif")


def test_wrong_numbers_of_bytes_of_unpacked_strips_are_not_heeded(tmp_path: Path) -> None:
    """Some writers state none, and no decoder looks."""

    def none_stated(places: Places) -> None:
        places[2][:] = [0] * len(places[2])

    (tmp_path / "a.tif").write_bytes(tiff(none_stated, tiled=False, planes=False, packing=1))
    assert np.array_equal(decode(tmp_path / "a.tif"), RETINA)


def exchanged(places: Places) -> None:
    """Two parts that lie within the eye."""
    for each in (places[1], places[2]):
        each[2], each[17] = each[17], each[2]


def zeros(places: Places) -> None:
    at, size = places[1][7], places[2][7]
    places[0][at : at + size] = bytes(size)


def noise(places: Places) -> None:
    at, size = places[1][7], places[2][7]
    places[0][at : at + size] = np.random.default_rng(2).bytes(size)


@pytest.mark.parametrize("damage", [exchanged, zeros, noise])
@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("turned", [1, 6, 8])
def test_a_tile_that_is_not_of_its_place_is_refused(
    tmp_path: Path, damage: Callable[[Places], None], planes: bool, turned: int
) -> None:
    data = tiff(damage, tiled=True, planes=planes, packing=1, turned=turned)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(FrameUnreadable, match="damaged"):
        decode(tmp_path / "a.tif")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tile", [(64, 64), (128, 64), (256, 256)])
def test_sides_of_tiles_in_whole_pictures_do_not_stand_out(seed: int, tile: tuple[int, int]) -> None:
    assert tile_score(retina(seed=seed, width=640, height=480), tile) < 1
