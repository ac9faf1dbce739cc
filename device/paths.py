"""Paths as an option names them: an empty one is a variable that was never set, and not the folder one stands in."""

from __future__ import annotations

from pathlib import Path


def named_path(text: str) -> Path:
    """The path that was named. Raises `ValueError` for none: Python takes an empty one for the folder one stands in."""
    if not text.strip():
        raise ValueError(f"got {text[:20]!r}, expected a path (. is this folder); is a variable not set?")
    return Path(text)
