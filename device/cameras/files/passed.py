"""What a folder holds that is not read, by kind and count, in the same words for every command that reads folders."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from device.cameras.files.decode import PICTURE_SUFFIXES
from device.cameras.files.sniff import is_picture_by_content

FOLDER, HIDDEN_PICTURE, HIDDEN_FOLDER = "folder", "hidden picture", "hidden folder with pictures"
_SPECIAL = "pipe, device or broken link"
_KINDS_SHOWN = 6
_MOVING = frozenset({".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".gif"})
"""Endings of what may show an eye, too: told before others."""
_MAC_SIDE = b"\0\5\x16\7"
"""Beginning of what a Mac writes beside each file (`._eye.jpg`): no picture, whatever its name says."""


def passed_kind(entry: os.DirEntry[str]) -> str:
    """In a few words what the entry of a folder is that is not read; empty for a hidden one without pictures."""
    if entry.name.startswith("."):
        return _hidden_kind(entry)
    try:
        if entry.is_dir():
            return FOLDER
        if not entry.is_file():
            return _SPECIAL
    except OSError:
        return _SPECIAL
    return ending_kind(entry.name)


def ending_kind(name: str) -> str:
    """A file's kind by its name alone."""
    ending = os.path.splitext(name)[1].lower()
    return "".join(c if c.isprintable() else "?" for c in ending[:12]) or "without an ending"


def counted(kinds: Iterable[str]) -> str:
    """How many entries there are of which kind: `5 entries: 2 folders, 1 .mp4, 2 .txt`; those first that may show an
    eye. Empty kinds do not count."""
    found = Counter(kind for kind in kinds if kind)
    ordered = sorted(found.items(), key=lambda item: (_weight(item[0]), -item[1], item[0]))
    sure = sum(_weight(kind) < len(_WEIGHTS) for kind, _ in ordered)
    shown = [f"{number} {_plural(kind, number)}" for kind, number in ordered]
    most = max(_KINDS_SHOWN, sure)
    more = [f"{len(shown) - most} kinds more"] if len(shown) > most else []
    total = sum(found.values())
    return f"{total} {'entry' if total == 1 else 'entries'}: {', '.join([*shown[:most], *more])}" if found else ""


_WEIGHTS = (frozenset({FOLDER}), frozenset({HIDDEN_PICTURE, HIDDEN_FOLDER}), _MOVING)


def _weight(kind: str) -> int:
    return next((at for at, kinds in enumerate(_WEIGHTS) if kind in kinds), len(_WEIGHTS))


def _plural(kind: str, number: int) -> str:
    plurals = {FOLDER: "folders", HIDDEN_PICTURE: "hidden pictures", HIDDEN_FOLDER: "hidden folders with pictures"}
    return kind if number == 1 else plurals.get(kind, kind)


def _hidden_kind(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_dir(follow_symlinks=False):
            return HIDDEN_FOLDER if _holds_picture(entry.path) else ""
        return HIDDEN_PICTURE if entry.is_file() and _is_hidden_picture(entry.path) else ""
    except OSError:
        return ""


def _holds_picture(folder: str) -> bool:
    return any(
        os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES and _is_hidden_picture(os.path.join(here, name))
        for here, _, names in os.walk(folder)
        for name in names
    )


def _is_hidden_picture(path: str) -> bool:
    """By its content, or by its ending where the content is not known to be something else."""
    if os.path.splitext(path)[1].lower() not in PICTURE_SUFFIXES:
        return is_picture_by_content(path)
    if not os.path.isfile(path):
        return False
    try:
        with Path(path).open("rb") as file:
            return file.read(len(_MAC_SIDE)) != _MAC_SIDE
    except OSError:
        return True  # it is there and cannot be looked at
