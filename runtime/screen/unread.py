"""What of a source was not read, in words for the person at the terminal and for the page that a doctor opens."""

from __future__ import annotations

from device.cameras import Camera
from runtime.screen.loop import Progress


def passed_over(camera: Camera, *, subfolders: bool) -> str:
    """What the folder holds that is not read, by kind and count, and what reads it; empty for nothing.

    subfolders: whether the folders in it are read.
    """
    passed: str = getattr(camera, "passed_over", "")
    if not passed:
        return ""
    more = "; --subfolders reads those of the folders" if " folder" in passed and not subfolders else ""
    return f"passed over: {passed}{more}"


def not_read(camera: Camera, progress: Progress, *, subfolders: bool) -> list[str]:
    """A line for each kind of what was not read; empty when all of the source has its reading."""
    lines = [passed_over(camera, subfolders=subfolders)]
    if unreadable := progress.frames - progress.readable:
        lines.append(f"{unreadable} of {progress.frames} frames could not be read; the reasons are in the readings")
    total = camera.frame_count
    if not progress.ended and total is not None and total > progress.frames:
        lines.append(f"{total - progress.frames} of {total} frames: the run ended before them")
    if progress.lost:
        lines.append("what came after the source was lost")
    return [line for line in lines if line]
