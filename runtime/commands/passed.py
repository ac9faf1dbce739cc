"""What a folder holds that a command does not read, in words for the person at the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from device.cameras import Camera


def passed_over(camera: Camera, *, of_folders: str = "") -> str:
    """By kind and count; empty for nothing. of_folders: what reads the pictures of the folders in it, said of those."""
    passed: str = getattr(camera, "passed_over", "")
    if not passed:
        return ""
    return f"passed over: {passed}" + (f"; {of_folders}" if of_folders and " folder" in passed else "")
