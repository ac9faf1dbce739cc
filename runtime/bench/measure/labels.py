"""The labels file: what is true of each picture, checked against what is there before anything is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from textwrap import shorten

import numpy as np

from device.cameras.files.decode import FILE_BYTES_MAX
from device.checked_file import read_whole
from runtime.arrays import UInt8Array
from runtime.bench.errors import BenchError
from runtime.csv_rows import NO, YES, read_rows

SHOWN = 120
"""Characters of a wrong header that are shown."""
COLUMNS = ("image", "mask", "refer", "device")


@dataclass(frozen=True)
class Label:
    """What is true of one picture; None where the file does not say."""

    mask: Path | None
    """Picture of the vessels: brighter than half is vessel."""
    refer: bool | None
    device: str | None = None
    """The camera."""


def read_labels(path: Path) -> dict[str, Label]:
    """Labels by the picture's path as the file has it, with forward slashes.

    A CSV file with a header: `image`, and `mask` (a picture, found from the file's own folder) or `refer` (1 or 0) or
    both, and `device`; other columns are passed over. Raises `BenchError` when it is another thing or a mask is not
    there.
    """
    try:
        rows = read_rows(path, COLUMNS)[1]
    except OSError as error:
        raise BenchError(f"labels {path}: cannot be read ({error.strerror or error}); name a CSV file") from None
    except ValueError as error:
        raise BenchError(f"labels {path}: not a CSV file ({error}); expected columns image and mask or refer") from None
    columns = set(rows[0]) if rows else set()
    if "image" not in columns or not columns & {"mask", "refer"}:
        got = shorten(", ".join(sorted(columns)), SHOWN) or "no rows"
        raise BenchError(f"labels {path}: got {got}; expected columns image, and mask or refer or both")
    labels: dict[str, Label] = {}
    for number, row in enumerate(rows, start=2):
        image = PurePosixPath(row["image"].replace("\\", "/"))
        name = image.as_posix()
        if not image.name or name in labels:
            what = f"{name} is named twice" if image.name else "no image is named"
            raise BenchError(f"labels {path}, line {number}: {what}; expected each picture once")
        mask, refer = _mask(path, number, row.get("mask")), _refer(path, number, row.get("refer"))
        labels[name] = Label(mask, refer, row.get("device") or None)
    return labels


def by_name(labels: Mapping[str, Label]) -> dict[str, Label]:
    """Labels by the picture's file name, as frames of a folder bear it. Raises `BenchError` where two have the same."""
    found: dict[str, Label] = {}
    first: dict[str, str] = {}
    for path, label in labels.items():
        name = PurePosixPath(path).name
        if name in found:
            raise BenchError(
                f"labels: {first[name]} and {path} have one file name, and frames are known by it; label one folder"
            )
        first[name], found[name] = path, label
    return found


def read_mask(path: Path, side: int) -> UInt8Array:
    """Vessels of a mask as uint8 [side, side], 0 or 255: shrunk by area, then cut at half. Raises `BenchError`."""
    import cv2

    try:
        content = np.frombuffer(read_whole(path, FILE_BYTES_MAX), np.uint8)
        mask = cv2.imdecode(content, cv2.IMREAD_GRAYSCALE) if content.size else None
    except (OSError, cv2.error) as error:
        raise BenchError(f"mask {path}: cannot be read ({error}); expected a picture") from None
    if mask is None:
        raise BenchError(f"mask {path}: not a picture; expected one of the vessels")
    return shrink_mask(mask.astype(np.uint8, copy=False), side)


def shrink_mask(mask: UInt8Array, side: int) -> UInt8Array:
    """A mask of any size as uint8 [side, side], 0 or 255."""
    import cv2

    cut = np.where(mask > 127, np.uint8(255), np.uint8(0))
    small = np.asarray(cv2.resize(cut, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    halved: UInt8Array = np.where(small > 127, np.uint8(255), np.uint8(0))
    return halved


def _mask(path: Path, number: int, text: str | None) -> Path | None:
    if not text:
        return None
    mask = path.parent / text
    if not mask.is_file():
        raise BenchError(f"labels {path}, line {number}: mask {text} is not there; expected a path from {path.parent}")
    return mask


def _refer(path: Path, number: int, text: str | None) -> bool | None:
    if not text:
        return None
    if text.lower() not in YES | NO:
        raise BenchError(f"labels {path}, line {number}: refer is {text!r}, expected 1 or 0")
    return text.lower() in YES
