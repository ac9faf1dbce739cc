"""The drawing surface that both pictures share: dark ground, one font, a colour for each device."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from runtime.arrays import UInt8Array
from runtime.commands.text import printable
from runtime.sinks.palette import rgb

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

Colour: TypeAlias = tuple[int, int, int]

GROUND = rgb("#14181D")
PANEL = rgb("#1D232A")
RULE = rgb("#3A434D")
TEXT = rgb("#E8ECF0")
FAINT = rgb("#A8B1BB")
LINE = rgb("#FFFFFF")
DEVICE_COLOURS = tuple(map(rgb, ("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#D55E00")))
"""After Okabe and Ito, told apart in any form of colour blindness."""


class Canvas:
    """A picture to draw on; positions are pixels from the upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        from PIL import Image, ImageDraw

        self._image = Image.new("RGB", (width, height), GROUND)
        self._draw = ImageDraw.Draw(self._image)

    def text(
        self, x: float, y: float, text: str, size: int = 16, colour: Colour = TEXT, align: Literal["l", "m", "r"] = "l"
    ) -> None:
        """One line of text with its middle at height `y`, beginning, centred or ending at `x`."""
        self._draw.text((x, y), printable(text), fill=colour, font=_font(size), anchor=f"{align}m")

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """A filled rectangle; nothing when it has no area."""
        if x1 - x0 >= 1 and y1 - y0 >= 1:
            self._draw.rectangle((round(x0), round(y0), round(x1) - 1, round(y1) - 1), fill=colour)

    def line(self, points: Iterable[tuple[float, float]], colour: Colour, width: int = 1) -> None:
        """A line through points."""
        self._draw.line([(round(x), round(y)) for x, y in points], fill=colour, width=width, joint="curve")

    def picture(self, x: int, y: int, pixels: UInt8Array) -> None:
        """A picture, RGB uint8 [H, W, 3], with its upper left corner at the position."""
        from PIL import Image

        self._image.paste(Image.fromarray(pixels), (x, y))

    def pixels(self) -> UInt8Array:
        """What was drawn, RGB, uint8 [H, W, 3]."""
        return np.asarray(self._image)


def text_width(text: str, size: int) -> float:
    """Width of a line of text in pixels."""
    return float(_font(size).getlength(printable(text)))


def device_colours(devices: Iterable[str]) -> dict[str, Colour]:
    """A colour for each device, in the order of their names; from the seventh on they repeat."""
    return {device: DEVICE_COLOURS[i % len(DEVICE_COLOURS)] for i, device in enumerate(sorted(devices))}


@cache
def _font(size: int) -> FreeTypeFont | ImageFont:
    # Pillow brings a font of its own; OpenCV's fonts know ASCII only and are not smoothed well.
    from PIL import ImageFont

    return ImageFont.load_default(size)
