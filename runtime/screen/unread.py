"""What of a source was not read, in words for the person at the terminal and for the page that a doctor opens."""

from __future__ import annotations

from device.cameras import Camera
from runtime.commands.passed import passed_over
from runtime.screen.loop import Progress

OF_FOLDERS = "--subfolders reads those of the folders"


def passed(camera: Camera, *, subfolders: bool) -> str:
    """What the folder holds that is not read, and what reads it; empty for nothing. subfolders: whether those are."""
    return passed_over(camera, of_folders="" if subfolders else OF_FOLDERS)


def not_read(camera: Camera, progress: Progress, *, subfolders: bool) -> list[str]:
    """A line for each kind of what was not read; empty when all of the source has its reading."""
    lines = [passed(camera, subfolders=subfolders)]
    if unreadable := progress.frames - progress.readable:
        lines.append(f"{unreadable} of {progress.frames} frames could not be read; the reasons are in the readings")
    total = camera.frame_count
    if not progress.ended and total is not None and total > progress.frames:
        lines.append(f"{total - progress.frames} of {total} frames: the run ended before them")
    elif progress.broken:
        lines.append("what came after the run broke off, as what it reads could not be written")
    if progress.lost:
        lines.append("what came after the source was lost")
    return [line for line in lines if line]
