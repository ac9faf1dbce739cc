"""The montage: every frame of a set, by device, in the order of choice."""

from __future__ import annotations

from calibration.facts import ChosenFrame, SetFacts
from calibration.pictures.canvas import FAINT, GROUND, Canvas, Colour, device_colours
from runtime.arrays import UInt8Array
from runtime.sinks.picture import shrink

SIDE = 112
GAP = 8
CAPTION = 18
COLUMNS = 12
MARGIN = 24
TITLE = 64
HEADING = 44


def draw_montage(facts: SetFacts, frames: UInt8Array) -> UInt8Array:
    """RGB picture of all frames. frames: uint8 [N, 256, 256, 3] in the order of `facts.frames`."""
    columns = min(COLUMNS, max(6, max(facts.devices.values())))
    width = 2 * MARGIN + columns * (SIDE + GAP) - GAP
    rows = {device: -(-number // columns) for device, number in facts.devices.items()}
    height = TITLE + sum(HEADING + row * (SIDE + CAPTION + GAP) for row in rows.values()) + MARGIN
    canvas = Canvas(width, height)
    canvas.text(MARGIN, 26, f"Calibration set, {len(facts.frames)} frames", 24)
    canvas.text(MARGIN, 52, f"{facts.sha256[:16]}, made {facts.created}; number: order of choice", 14, FAINT)
    top = TITLE
    for device, colour in device_colours(facts.devices).items():
        mine = [(rank, frame) for rank, frame in enumerate(facts.frames) if frame.device == device]
        _heading(canvas, top, width, f"{device}, {len(mine)} frames", colour)
        for place, (rank, frame) in enumerate(mine):
            x = MARGIN + place % columns * (SIDE + GAP)
            y = top + HEADING + place // columns * (SIDE + CAPTION + GAP)
            _card(canvas, x, y, frame, frames[rank])
        top += HEADING + rows[device] * (SIDE + CAPTION + GAP)
    return canvas.pixels()


def _heading(canvas: Canvas, top: int, width: int, text: str, colour: Colour) -> None:
    canvas.box(MARGIN, top + 12, width - MARGIN, top + 36, colour)
    canvas.text(MARGIN + 10, top + 24, text, 16, GROUND)


def _card(canvas: Canvas, x: int, y: int, frame: ChosenFrame, pixels: UInt8Array) -> None:
    canvas.picture(x, y, shrink(pixels, SIDE))
    canvas.text(x + SIDE / 2, y + SIDE + CAPTION / 2, str(frame.rank), 13, FAINT, "m")
