"""`python -m device cameras`: the cameras that this machine sees, with what to write to open them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from device.commands.common import parser
from device.shown import printable

if TYPE_CHECKING:
    from device.cameras.listing import CameraInfo

_MODES_SHOWN = 8


def main(words: Sequence[str]) -> int:
    made = parser("cameras", "List the cameras that this machine sees; nothing is opened for use.")
    made.add_argument("--json", action="store_true", help="a list of objects")
    options = made.parse_args(words)
    from device.cameras.listing import list_cameras

    cameras = list_cameras()
    if options.json:
        print(json.dumps([asdict(camera) for camera in cameras], indent=2))
        return 0
    for camera in cameras:
        print("\n".join(map(printable, _lines(camera))))
    return 0


def _lines(camera: CameraInfo) -> list[str]:
    serial = f", serial {camera.serial}" if camera.serial else ""
    lines = [f"{camera.source:<24} {camera.kind:<10} {camera.name}{serial}"]
    if camera.problem:
        lines.append(f"{'':24} cannot be opened: {camera.problem}")
    shown = ", ".join(map(str, camera.modes[:_MODES_SHOWN]))
    if shown:
        more = len(camera.modes) - _MODES_SHOWN
        lines.append(f"{'':24} {shown}{f' and {more} more' if more > 0 else ''}")
    return lines
