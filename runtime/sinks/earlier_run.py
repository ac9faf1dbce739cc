"""Clearing what an earlier run left in the output folder, so that no old picture stands beside new readings."""

from __future__ import annotations

import json
from pathlib import Path

from runtime.sinks.files import naming
from runtime.sinks.names import FrameNames


def clear_earlier_run(readings: Path, pictures: dict[Path, str], page: Path) -> None:
    """Remove the pictures of the run that wrote `readings`, and its page; nothing else in the folder is touched.

    pictures: the folders that may hold some, with the ending of theirs. Frame names follow from the order of reading,
    so the old readings name their pictures. Raises `OutputError` when something cannot be removed.
    """
    with naming(str(page)):
        page.unlink(missing_ok=True)
    if not readings.is_file():
        return
    names = FrameNames()
    with naming(str(readings)), readings.open("rb") as lines:
        for line in lines:
            name = _frame_name(line, names)
            for folder, ending in pictures.items() if name else ():
                (folder / f"{name}{ending}").unlink(missing_ok=True)


def _frame_name(line: bytes, names: FrameNames) -> str | None:
    """The name of the pictures of a reading, None when the line is no reading of ours."""
    try:
        frame = json.loads(line)["frame"]
        source, sequence = frame["source"], frame["sequence"]
    except (ValueError, LookupError, TypeError):
        return None
    if not isinstance(source, str) or not isinstance(sequence, int):
        return None
    return names.frame_name(source, sequence)
