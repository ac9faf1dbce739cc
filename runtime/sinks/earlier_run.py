"""Clearing what an earlier run left in the output folder, so that no old picture stands beside new readings."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from device.outputs import OutputFolder
from runtime.sinks.files import naming
from runtime.sinks.names import FrameNames


def clear_earlier_run(readings: Path, pictures: dict[Path, str], at_end: Sequence[Path]) -> None:
    """Remove the pictures of the run that wrote `readings`, and what it wrote at its end; nothing else is touched.

    pictures: the folders that may hold some, with the ending of theirs. Frame names follow from the order of reading,
    so the old readings name their pictures. No link is followed. Raises `OutputError` when something cannot be removed.
    """
    with contextlib.ExitStack() as stack:
        with naming(str(readings.parent)):
            if (out := _held(stack, readings.parent, link_ok=True)) is None:
                return
            out.remove_parts()
        for path in at_end:
            with naming(str(path)):
                out.remove(path.name)
        with naming(str(readings)):
            if (lines := out.read(readings.name)) is None:
                return
            stack.enter_context(lines)
            folders = [(_held(stack, folder, link_ok=False), ending) for folder, ending in pictures.items()]
            _clear(lines, [(folder, ending) for folder, ending in folders if folder is not None])


def _held(stack: contextlib.ExitStack, folder: Path, *, link_ok: bool) -> OutputFolder | None:
    try:
        return stack.enter_context(OutputFolder(folder, link_ok=link_ok))
    except FileNotFoundError:
        return None


def _clear(lines: Iterable[bytes], folders: list[tuple[OutputFolder, str]]) -> None:
    names = FrameNames()
    for folder, _ in folders:
        folder.remove_parts()
    for line in lines:
        name = _frame_name(line, names)
        for folder, ending in folders if name else ():
            folder.remove(f"{name}{ending}")


def _frame_name(line: bytes, names: FrameNames) -> str | None:
    """The name of the pictures of a reading, None when the line is no reading of ours."""
    try:
        frame = json.loads(line)["frame"]
        source, sequence = frame["source"], frame["sequence"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    if not isinstance(source, str) or not isinstance(sequence, int):
        return None
    return names.frame_name(source, sequence)
