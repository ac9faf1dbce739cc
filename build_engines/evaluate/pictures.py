"""Failures and flips as small pictures in the output folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from build_engines.evaluate.cases import Table
from build_engines.evaluate.result import Evaluation
from device.errors import FrameUnreadable

FOLDER = "pictures"
SIDE = 360
"""Pixels of the longer side."""


def with_pictures(found: Evaluation, table: Table, out: Path, most: int) -> Evaluation:
    """The evaluation with the names of its pictures; at most so many of each list, worst first."""
    drawn: dict[str, str | None] = {}

    def picture(image: str) -> str | None:
        if image not in drawn:
            drawn[image] = _draw(table.folder / image, out / FOLDER, len(drawn) + 1)
        return drawn[image]

    def pictured(items: Sequence[object]) -> tuple[object, ...]:
        return tuple(
            replace(item, picture=picture(item.image)) if number < most else item  # type: ignore[type-var,attr-defined]
            for number, item in enumerate(items)
        )

    if most:
        (out / FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
    readers = tuple(replace(reader, failures=pictured(reader.failures)) for reader in found.readers)  # type: ignore[arg-type]
    comparisons = tuple(replace(pair, flips=pictured(pair.flips)) for pair in found.comparisons)  # type: ignore[arg-type]
    return replace(found, readers=readers, comparisons=comparisons)


def _draw(path: Path, folder: Path, number: int) -> str | None:
    """The picture's name in the output folder; None where it is not there or no picture."""
    import cv2

    from device.cameras.files.folder import read_picture

    if not path.is_file():
        return None
    try:
        pixels = read_picture(path, 0).pixels
    except FrameUnreadable:
        return None
    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    done, content = cv2.imencode(".jpg", cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)[..., ::-1])
    if not done:
        return None
    name = f"{number:04d}.jpg"
    (folder / name).write_bytes(content.tobytes())
    return f"{FOLDER}/{name}"
