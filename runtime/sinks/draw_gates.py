"""Drawing gates and occlusion: heat maps over the frame, each with its scale, and words that claim no more."""

from __future__ import annotations

import cv2
import numpy as np

from runtime.arrays import FloatArray, UInt8Array
from runtime.explanation import WORDS, Explanation
from runtime.sinks.draw import BACKGROUND, FAINT_TEXT, text_strip
from runtime.sinks.picture import shrink

TILE = 420
"""Longest side of each of the small frames, pixels."""
TINT = 0.5
OCCLUSION_WORDS = (
    "Occlusion: how much the answer's log-odds fall (warm) or rise (cold) when a part is covered; it shows what this "
    "network reacts to, not what is ill."
)


def draw_gates(pixels: UInt8Array, gates: tuple[FloatArray, ...]) -> UInt8Array:
    """The frame under the mean of its gates, RGB uint8 [H, W, 3] of the frame's own size.

    gates: as `Explanation.gates`; each is stretched over the frame and all count alike.
    """
    height, width = pixels.shape[:2]
    stretched = [_over(gate, 256, 256) for gate in gates]
    mean = np.asarray(np.mean(stretched, axis=0), np.float32)
    return _heated(pixels, _over(mean, width, height), cv2.COLORMAP_INFERNO)


def draw_each_gate(pixels: UInt8Array, gates: tuple[FloatArray, ...]) -> UInt8Array:
    """RGB picture: the frame under each gate, two in a row, with numbers and no word of any language.

    Beneath each stands its number, from the finest on, and how far it is open on average, 0 to 1.
    """
    small = shrink(pixels, TILE)
    return _in_rows([_tile(small, gate, f"{number}:  {gate.mean():.2f}") for number, gate in enumerate(gates, 1)])


def draw_explanation(pixels: UInt8Array, explanation: Explanation, notice: str) -> UInt8Array:
    """RGB picture: the frame under each gate (and under the occlusion map), numbers and words beneath."""
    small = shrink(pixels, TILE)
    tiles = []
    for number, gate in enumerate(explanation.gates, 1):
        label = f"gate {number}: {gate.shape[1]} x {gate.shape[0]}, open {gate.mean():.2f} of 1 on average"
        tiles.append(_tile(small, gate, label))
    if explanation.occlusion is not None:
        tiles.append(_occluded(small, explanation.occlusion))
    picture = _in_rows(tiles)
    numbers = (
        f"Log-odds for referral {explanation.log_odds:+.2f} = {explanation.base:+.2f} without both branches, "
        f"{explanation.raw_share:+.2f} by the picture, {explanation.seg_share:+.2f} by the vessels through the gates"
    )
    words = [numbers, WORDS, *([OCCLUSION_WORDS] if explanation.occlusion is not None else []), notice]
    width = picture.shape[1]
    return np.concatenate([picture, *(text_strip(text, 14, width, BACKGROUND, FAINT_TEXT) for text in words)])


def _in_rows(tiles: list[UInt8Array]) -> UInt8Array:
    """Two tiles in a row, an odd one beside nothing."""
    if len(tiles) % 2:
        tiles = [*tiles, np.full_like(tiles[0], BACKGROUND)]
    return np.concatenate([np.concatenate(tiles[at : at + 2], axis=1) for at in range(0, len(tiles), 2)])


def _tile(pixels: UInt8Array, gate: FloatArray, label: str) -> UInt8Array:
    height, width = pixels.shape[:2]
    heated = _heated(pixels, _over(gate, width, height), cv2.COLORMAP_INFERNO)
    return np.concatenate([heated, _label(label, width)])


def _occluded(pixels: UInt8Array, occlusion: FloatArray) -> UInt8Array:
    """Warm where covering lowers the log-odds; the scale is the largest change, and is told."""
    height, width = pixels.shape[:2]
    known = np.isfinite(occlusion)
    most = float(np.abs(occlusion[known]).max()) if known.any() else 0.0
    levels = np.where(known, occlusion, 0) / max(most, 1e-6) / 2 + 0.5
    whole = _over(levels.astype(np.float32), width, height, cv2.INTER_NEAREST)
    heated = _heated(pixels, whole, cv2.COLORMAP_TWILIGHT_SHIFTED)
    return np.concatenate([heated, _label(f"occlusion: up to {most:.2f} of log-odds", width)])


def _over(values: FloatArray, width: int, height: int, how: int = cv2.INTER_LINEAR) -> FloatArray:
    """A small map stretched over a picture, float32 [height, width]."""
    return np.asarray(cv2.resize(values, (width, height), interpolation=how), np.float32)


def _label(text: str, width: int) -> UInt8Array:
    strip = text_strip(text, 13, width, BACKGROUND, FAINT_TEXT)
    room = 40
    return np.pad(strip[:room], ((0, max(0, room - strip.shape[0])), (0, 0), (0, 0)))


def _heated(pixels: UInt8Array, values: FloatArray, colours: int) -> UInt8Array:
    """pixels: RGB [H, W, 3]; values: [H, W], 0 to 1, over the whole of the scale and never stretched to it."""
    levels = np.clip(values * 255, 0, 255).astype(np.uint8)
    heat = cv2.cvtColor(cv2.applyColorMap(levels, colours), cv2.COLOR_BGR2RGB)
    grey = np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., np.newaxis], 3, axis=2)
    drawn: UInt8Array = cv2.addWeighted(grey, 1 - TINT, heat, TINT, 0).astype(np.uint8, copy=False)
    return drawn
