"""`CalibrationSet` and `open_set`: a set is checked, every file of it, before any frame is used."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calibration.errors import CalibrationError
from calibration.facts import INPUT, SET_FILE, SET_SCHEMA, ChosenFrame, SetFacts
from runtime.arrays import UInt8Array
from runtime.checked_json import NotJson, OtherSchema, first_problem, parsed, read_at_most
from runtime.preprocess import SIDE

if TYPE_CHECKING:
    from runtime.bundle import Bundle

LARGEST_SET_FILE = 32 * 2**20
LARGEST_FRAME = SIDE * SIDE * 4
"""Bytes; a PNG of noise takes little more than its pixels."""


@dataclass(frozen=True)
class CalibrationSet:
    """A checked calibration set. Make it with `open_set`."""

    path: Path
    facts: SetFacts

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole: of `set.json`'s content, which names every frame's."""
        return self.facts.sha256

    def frames(self) -> UInt8Array:
        """All frames in the order of choice, RGB, uint8 [N, 256, 256, 3]; the first n of them are the best n.

        Each file is checked once more as it is read. Raises `CalibrationError`.
        """
        return np.stack([_pixels(self.path, frame) for frame in self.facts.frames])

    def require_for(self, bundle: Bundle) -> None:
        """Raise `CalibrationError` unless the set was made for this bundle and its preprocessing.

        It is the bundle's when the name is the same (a rebuilt bundle keeps its set) or the segmentation graph is.
        """
        from runtime.manifest import graph_name

        if bundle.manifest.input != self.facts.input:
            raise CalibrationError(
                f"calibration set {self.path}: made for another input than bundle {bundle.manifest.name} takes; "
                f"make a set for this bundle: python -m calibration create --bundle {bundle.path}"
            )
        used = self.facts.bundle
        graphs = {entry.sha256 for entry in bundle.manifest.files if entry.path == graph_name("segmentation", "fp32")}
        if used.name != bundle.manifest.name and used.segmentation_sha256 not in graphs:
            raise CalibrationError(
                f"calibration set {self.path}: made with bundle {used.name} {used.version}, expected "
                f"{bundle.manifest.name}; make a set for it: python -m calibration create --bundle {bundle.path}"
            )


def open_set(path: Path | str) -> CalibrationSet:
    """Open and check a calibration set: schema, preprocessing, the SHA-256 of every file and of the whole.

    path: the set's folder. Raises `CalibrationError`.
    """
    folder = Path(path)
    content = _content(folder)
    facts = _parse(folder, content)
    if digest(content) != facts.sha256:
        raise CalibrationError(
            f"calibration set {folder}: {SET_FILE} was altered since it was made (its SHA-256 does not fit its "
            f"content); copy the set again, or create it anew"
        )
    for frame in facts.frames:
        _checked_bytes(folder, frame)
    return CalibrationSet(folder, facts)


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of the whole: of the JSON without its `sha256`, keys sorted, no blanks, ASCII."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _content(folder: Path) -> dict[str, Any]:
    try:
        raw = read_at_most(folder / SET_FILE, LARGEST_SET_FILE)
    except OSError as error:
        raise CalibrationError(
            f"calibration set {folder}: {SET_FILE} cannot be read ({error.strerror or error}); "
            f"expected a folder that `python -m calibration create` made"
        ) from None
    if len(raw) > LARGEST_SET_FILE:
        raise CalibrationError(f"calibration set {folder}: {SET_FILE} has over {LARGEST_SET_FILE} bytes; not a set")
    try:
        return parsed(raw, SET_SCHEMA)
    except NotJson as error:
        raise CalibrationError(
            f"calibration set {folder}: {SET_FILE} is truncated or {error}; copy the set again"
        ) from None
    except OtherSchema as error:
        raise CalibrationError(
            f"calibration set {folder}: {error}; create the set with this version, or use the version that made it"
        ) from None


def _parse(folder: Path, content: dict[str, Any]) -> SetFacts:
    from pydantic import ValidationError

    _require_input(folder, content.get("input"))
    try:
        # Through JSON once more: only in that mode are lists taken for tuples and nothing else converted.
        return SetFacts.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        problem = f"{first_problem(error, 'set')} ({error.error_count()} such)"
        raise CalibrationError(
            f"calibration set {folder}: {SET_FILE}: {problem}; copy the set again, or create it anew"
        ) from None


def _require_input(folder: Path, found: object) -> None:
    """A set for other preprocessing has a message of its own: nothing is wrong with it but its use."""
    expected = INPUT.model_dump()
    if not isinstance(found, dict) or found == expected:
        return
    other = [name for name in expected if found.get(name) != expected[name]]
    got = ", ".join(f"{name} {found.get(name)!r}" for name in other) or f"also {', '.join(found.keys() - expected)}"
    want = ", ".join(f"{name} {expected[name]!r}" for name in other) or "nothing more"
    raise CalibrationError(
        f"calibration set {folder}: made for other preprocessing: {got}, expected {want}; create it with this version"
    )


def _checked_bytes(folder: Path, frame: ChosenFrame) -> bytes:
    try:
        content = read_at_most(folder / frame.file, LARGEST_FRAME)
    except OSError as error:
        raise CalibrationError(
            f"calibration set {folder}: {frame.file} cannot be read ({error.strerror or error}); copy the set again"
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != frame.sha256:
        raise CalibrationError(
            f"calibration set {folder}: {frame.file} was altered: SHA-256 {found[:12]}..., expected "
            f"{frame.sha256[:12]}...; copy the set again, or create it anew"
        )
    return content


def _pixels(folder: Path, frame: ChosenFrame) -> UInt8Array:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(_checked_bytes(folder, frame)), formats=["PNG"]) as picture:
            if picture.size != (SIDE, SIDE) or picture.mode != "RGB":
                got = f"{picture.mode} {picture.size[0]} x {picture.size[1]}"
                raise CalibrationError(
                    f"calibration set {folder}: {frame.file} is {got}, expected RGB {SIDE} x {SIDE}; create it anew"
                )
            return np.asarray(picture)
    except OSError as error:
        raise CalibrationError(f"calibration set {folder}: {frame.file} is no PNG ({error}); create it anew") from None
