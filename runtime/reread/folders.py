"""The pictures of a folder and of the folders in it, DICOM objects among them, with what labels say of each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from device.cameras.files.decode import DICOM_SUFFIXES
from device.cameras.files.passed import counted
from device.errors import DeviceError
from device.numbers import strict_float
from runtime.csv_rows import NO, YES, rows_in
from runtime.outcome import Outcome
from runtime.reread.errors import RereadError
from runtime.reread.places import EntryKind, FileState, PicturePlace, picture_place
from runtime.reread.stored import Stored
from runtime.views import EYES_IN_TABLES

LABELS = "labels.csv"
READINGS = "readings.jsonl"
WRITTEN = frozenset({READINGS, "summary.html", "run.json", "overlays", "vessels", "gates"})
"""What a run wrote: its readings, and beside them its page and what it drew."""
LABELS_LIMIT_BYTES = 1 << 30
INFANT = ("infant", "patient", "subject")
CAMERA = ("camera", "device")
KNOWN = ("image", "refer", "eye", "view", "site", "outcome", "probability", *INFANT, *CAMERA)
"""Columns that are used."""
LONGEST_WORD = 60
_TAGS = ["ImageLaterality", "Laterality", "StudyInstanceUID", "PatientID", "Manufacturer", "ManufacturerModelName"]


@dataclass
class _Codes:
    """Infants and studies by number, in the order in which they are met: what identifies them stays out."""

    numbers: dict[str, int] = field(default_factory=dict)

    def of(self, source: int, said: str) -> str:
        if not said:
            return ""
        return f"s{source}-{self.numbers.setdefault(said, len(self.numbers) + 1)}"


def pictures_below(
    number: int, folder: str, note: Callable[[str], None], *, show_files: bool = False
) -> Iterator[Stored]:
    """Every picture below the folder, by the bytes of its path. With a `labels.csv` in it, those that it names.

    folder: its path, or an address of an object storage. Columns: `image` (path from the folder), and where they are
    there `refer` (1 or 0), `eye`, `view`, `site`, `camera` or `device`, `infant`, `outcome` and `probability` (of an
    earlier reading). note: hears what is passed over, in one line at the end.

    Raises `RereadError` for labels that cannot be used.
    """
    place = picture_place(folder)
    labels = _labels(place, folder)
    codes = _Codes()
    passed: list[str] = []
    found = 0
    listed = ((name, None) for name in sorted(labels)) if labels is not None else _paths(place, passed)
    for found, (relative, state) in enumerate(listed, start=1):
        said = {} if labels is None else labels[relative]
        yield _stored((number, found - 1), folder, relative, state, said, codes, show_files)
    if not found:
        what = f" ({counted(passed)})" if passed else ""
        raise RereadError(f"{folder}: holds no picture{what}; expected pictures, DICOM objects or journals")
    if passed:
        note(f"source {number}: passed over: {counted(passed)}")


def _stored(
    order: tuple[int, int],
    folder: str,
    relative: str,
    state: FileState | None,
    said: Mapping[str, str],
    codes: _Codes,
    show_file: bool,
) -> Stored:
    number, place = order[0], picture_place(folder)
    try:
        size, mtime_ns = place.state(relative) if state is None else state
    except OSError:
        size, mtime_ns = -1, -1  # told in its row, when it is read
    dicom = {} if said or size < 0 else _dicom(place, relative)
    eye = said.get("eye", "").strip() or dicom.get("eye", "")
    infant = next((said[name] for name in INFANT if said.get(name)), "") or dicom.get("exam", "")
    return Stored(
        reading=f"s{number}/{hashlib.sha256(os.fsencode(relative) + b'%d' % size).hexdigest()[:24]}",
        order=order,
        folder=folder,
        file=relative,
        size=size,
        mtime_ns=mtime_ns,
        site=_word(said.get("site", "")),
        camera=_word(next((said[name] for name in CAMERA if said.get(name)), "") or dicom.get("camera", "")),
        exam=codes.of(number, infant),
        eye=known.value if (known := EYES_IN_TABLES.get(eye.lower())) else _word(eye),
        view=_word(said.get("view", "")),
        label=_truth(said.get("refer", "")),
        old_outcome=said.get("outcome", "").strip() or None,
        old_probability=_share(said.get("probability", "")),
        show_file=show_file,
    )


def _paths(place: PicturePlace, passed: list[str], below: str = "") -> Iterator[tuple[str, FileState | None]]:
    """Relative paths of the pictures, one folder after the other; hidden ones and what a run wrote are passed over.

    passed: gets the kind of each entry that is not read, what a run wrote apart.
    """
    here = sorted(place.entries(below), key=lambda entry: os.fsencode(entry.name))
    written = WRITTEN if any(entry.name == READINGS for entry in here) else frozenset()
    for entry in here:
        if entry.name in written:
            continue
        if entry.passed:
            passed.append(entry.passed)
        path = f"{below}/{entry.name}" if below else entry.name
        if entry.kind is EntryKind.FOLDER:
            yield from _paths(place, passed, path)
        elif entry.kind is EntryKind.PICTURE:
            yield path, entry.state


def _labels(place: PicturePlace, folder: str) -> dict[str, dict[str, str]] | None:
    path = f"{folder}/{LABELS}"
    try:
        raw = place.read(LABELS, LABELS_LIMIT_BYTES)
    except FileNotFoundError:
        return None
    try:
        rows = rows_in(raw, KNOWN)
    except ValueError as error:
        raise RereadError(f"{path}: not a CSV file in UTF-8 ({error})") from None
    found: dict[str, dict[str, str]] = {}
    for line, row in enumerate(rows, start=2):
        image = _image(path, line, row)
        _check(f"{path}, line {line}", row)
        if image in found:
            raise RereadError(f"{path}, line {line}: this picture stands in an earlier line; expected each once")
        found[image] = row
    return found


def _check(here: str, said: Mapping[str, str]) -> None:
    truth, outcome = said.get("refer", "").strip().lower(), said.get("outcome", "").strip()
    if truth and truth not in YES | NO:
        raise RereadError(f"{here}: refer is {truth[:20]!r}; expected 1 or 0, or nothing where not known")
    if outcome and outcome not in {one.value for one in Outcome}:
        expected = ", ".join(one.value for one in Outcome)
        raise RereadError(f"{here}: outcome is {outcome[:20]!r}; expected one of {expected}")
    if said.get("probability", "").strip() and _share(said["probability"]) is None:
        raise RereadError(f"{here}: probability is {said['probability'][:20]!r}; expected a number from 0 to 1")


def _image(path: str, line: int, row: Mapping[str, Any]) -> str:
    text = row.get("image")
    image = PurePosixPath(str(text or "").strip().replace("\\", "/"))
    if not text or image.is_absolute() or ".." in image.parts:
        raise RereadError(f"{path}, line {line}: image names no file below this folder; expected a relative path")
    return image.as_posix()


def _truth(text: str) -> bool | None:
    word = text.strip().lower()
    return word in YES if word else None


def _share(text: str) -> float | None:
    try:
        value = strict_float(text)
    except ValueError:
        return None
    return value if 0 <= value <= 1 else None


def _word(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text.strip()[:LONGEST_WORD])


def _dicom(place: PicturePlace, name: str) -> dict[str, str]:
    """Laterality, camera, and what holds a study's pictures together; nothing where it is no DICOM object."""
    if not place.may_be_dicom(name):
        return {}
    try:
        with place.opened(name) as file:
            if file.read(132)[128:] != b"DICM" and os.path.splitext(name)[1].lower() not in DICOM_SUFFIXES:
                return {}
            import pydicom

            from device.cameras.files.dicom import stated_eye

            file.seek(0)
            dataset = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=[*_TAGS])
        eye = stated_eye(dataset)
        camera = " ".join(str(dataset.get(tag) or "") for tag in ("Manufacturer", "ManufacturerModelName")).strip()
        exam = str(dataset.get("PatientID") or "") or str(dataset.get("StudyInstanceUID") or "")
    except (ImportError, DeviceError, OSError):
        return {}
    except Exception:  # pydicom raises nearly anything on a damaged object; its row tells, when it is read
        return {}
    return {"eye": eye if eye in ("R", "L") else "", "camera": camera, "exam": exam}
