"""Drawing an overlay picture: the fundus with its vessels, under a bar that says the outcome."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np

from runtime.arrays import UInt8Array
from runtime.commands.text import printable, word
from runtime.outcome import picture_banner
from runtime.reading import Reading
from runtime.sinks.palette import DARK_TEXT, OUTCOME_COLOURS, VESSEL_COLOUR, rgb
from runtime.sinks.picture import shrink

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont, ImageFont

Colour: TypeAlias = tuple[int, int, int]

LONGEST = 1024
NARROWEST = 360
NO_PICTURE = (160, 480)
"""Height and width of the empty field that stands for a frame without pixels."""
BACKGROUND = (20, 24, 29)
FAINT_TEXT = (176, 184, 193)
TINT = 0.22
VESSEL_THRESHOLD = 128
"""Probability 0.5, as in `Reading.vessel_fraction`."""


def draw_overlay(pixels: UInt8Array | None, reading: Reading) -> UInt8Array:
    """RGB picture of a reading: bar with the outcome, the fundus with its vessels, file name and notice.

    The bars stand above and below the fundus, so that nothing of it is covered. The fundus keeps its geometry; its
    longer side is at most 1024 px.
    """
    if pixels is None:
        fundus = np.full((*NO_PICTURE, 3), BACKGROUND, dtype=np.uint8)
    else:
        fundus = draw_vessels(shrink(pixels, LONGEST), reading.vessels)
    spare = max(0, NARROWEST - fundus.shape[1])
    fundus = np.pad(fundus, ((0, 0), (spare // 2, spare - spare // 2), (0, 0)))
    width = fundus.shape[1]
    size, small = max(13, width // 38), max(12, width // 48)
    bright, ink = rgb(OUTCOME_COLOURS[reading.outcome]), rgb(DARK_TEXT)
    return np.concatenate(
        [
            text_strip(word(reading.outcome), size * 8 // 5, width, bright, ink, bold=True),
            text_strip(picture_banner(reading.outcome, reading.reason), size, width, bright, ink),
            fundus,
            text_strip(reading.frame.source, small, width, BACKGROUND, FAINT_TEXT),
            text_strip(reading.bundle.notice, small, width, BACKGROUND, FAINT_TEXT),
        ]
    )


def draw_vessels(fundus: UInt8Array, vessels: UInt8Array | None) -> UInt8Array:
    """The fundus, RGB [H, W, 3], with the vessel map (any size, uint8 probability x 255) tinted and outlined."""
    if vessels is None:
        return fundus
    height, width = fundus.shape[:2]
    mask = cv2.resize(vessels, (width, height), interpolation=cv2.INTER_LINEAR) >= VESSEL_THRESHOLD
    colour = rgb(VESSEL_COLOUR)
    drawn: UInt8Array = fundus.copy()
    drawn[mask] = (drawn[mask] * (1 - TINT) + np.multiply(colour, TINT)).astype(np.uint8)
    outlines, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, outlines, -1, colour, 1, cv2.LINE_AA)
    return drawn


# Most lines are those of the frame before; drawing one takes longer than drawing the vessels.
@lru_cache(maxsize=16)
def text_strip(text: str, size: int, width: int, fill: Colour, ink: Colour, *, bold: bool = False) -> UInt8Array:
    """A strip of the full width with a text in it, shrunk and wrapped to fit."""
    from PIL import Image, ImageDraw

    margin = max(6, width // 80)
    lines, size = fit_text(text, size, width - 2 * margin)
    height = size * 13 // 10
    strip = Image.new("RGB", (width, len(lines) * height + margin * 3 // 4), fill)
    canvas = ImageDraw.Draw(strip)
    for row, line in enumerate(lines):
        position = (margin, margin // 4 + row * height)
        canvas.text(position, line, fill=ink, font=_font(size), stroke_width=bold / 2, stroke_fill=ink)
    return np.asarray(strip, dtype=np.uint8)


def fit_text(text: str, size: int, width: int, most_lines: int = 2, smallest: int = 11) -> tuple[list[str], int]:
    """Lines no wider than `width` px and the size in px at which they are; what does not fit at all ends in `...`."""
    text = " ".join(printable(text).split())
    while True:
        lines = _wrap(text, size, width)
        if len(lines) <= most_lines or size <= smallest:
            break
        size -= 1
    if len(lines) > most_lines:
        lines = lines[:most_lines]
        while lines[-1] and _font(size).getlength(lines[-1] + "...") > width:
            lines[-1] = lines[-1][:-1]
        lines[-1] += "..."
    return lines, size


def _wrap(text: str, size: int, width: int) -> list[str]:
    font = _font(size)
    if font.getlength(text) <= width:
        return [text]
    lines = [""]
    for piece in text.split(" "):
        joined = f"{lines[-1]} {piece}".strip()
        if font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in piece:  # a file name without a blank may be wider than a line
            if font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines


@cache
def _font(size: int) -> FreeTypeFont | ImageFont:
    # Pillow brings a font of its own, so the picture is the same on every cart; OpenCV's fonts know ASCII only.
    from PIL import ImageFont

    return ImageFont.load_default(size)
