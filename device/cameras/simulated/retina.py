"""`draw_retina`: one infant's retina as a large picture, with the truth about it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from device.cameras.simulated.look import Look
from device.cameras.simulated.vessels import FOVEA, Array, Border, Vessel, grow_tree

CENTRE = (0.3, 0.0)
"""Of the canvas, in field radii from the disc: retina on the temporal side is looked at more."""
EXTENT = 1.9
"""Half a side of the canvas, in field radii."""

Image = NDArray[np.float32]


@dataclass(frozen=True)
class Retina:
    """A drawn eye on a square canvas; `scale` pixels are one field radius."""

    pixels: NDArray[np.uint8]
    """RGB, uint8 [S, S, 3]."""
    vessels: NDArray[np.uint8]
    """Where vessels were drawn, uint8 [S, S], 0 or 255."""
    ridge: NDArray[np.float64]
    """Points of the ridge in field radii from the disc, [N, 2]; none when there is no ridge."""
    scale: float


@dataclass(frozen=True)
class _Canvas:
    """Maps from field radii to pixels, and small coordinate grids for what varies slowly."""

    side: int
    scale: float
    x: Image
    y: Image

    @classmethod
    def of(cls, scale: float) -> _Canvas:
        side = round(2 * EXTENT * scale)
        coarse = np.linspace(-EXTENT, EXTENT, max(48, side // 4), dtype=np.float32)
        x, y = np.meshgrid(coarse + np.float32(CENTRE[0]), coarse + np.float32(CENTRE[1]))
        return cls(side, scale, x, y)

    def pixels(self, points: Array, zoom: int = 1, shift: int = 0) -> NDArray[np.int32]:
        corner = np.array(CENTRE) - EXTENT
        return np.asarray(np.round((points - corner) * self.scale * zoom * 2**shift), np.int32)

    def enlarge(self, coarse: Image) -> Image:
        return np.asarray(cv2.resize(coarse, (self.side, self.side), interpolation=cv2.INTER_LINEAR), np.float32)

    def noise(self, rng: np.random.Generator, grain: float) -> Image:
        """Seeded smooth noise of about unit variance on the coarse grid; `grain` in field radii."""
        cells = max(2, int(2 * EXTENT / grain))
        field = rng.standard_normal((cells, cells)).astype(np.float32) * 1.6
        return np.asarray(cv2.resize(field, self.x.shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def draw_retina(
    rng: np.random.Generator, look: Look, *, scale: float, ridge: bool, tortuosity: float, vessel_width: float
) -> Retina:
    """Draw one eye; everything by chance comes from `rng`."""
    canvas = _Canvas.of(scale)
    border = _vascular_border(rng, near=ridge)
    warm, pale = (np.array(colour, np.float32) for colour in look.palettes[rng.integers(len(look.palettes))])
    haze = _haze(rng, canvas, border)
    picture = canvas.enlarge(_background(rng, canvas, warm, pale, haze))
    picture *= _choroid(rng, canvas, look, haze)[:, :, None]
    _draw_disc(rng, canvas, picture)
    tree = grow_tree(rng, border, tortuosity=tortuosity, width=vessel_width)
    mask = _draw_vessels(canvas, picture, tree, canvas.enlarge(haze), look.contrast)
    line = _ridge_line(rng, border) if ridge else np.empty((0, 2))
    if ridge:
        _draw_ridge(rng, canvas, picture, line)
    levels = cv2.convertScaleAbs(picture)
    pixels = np.asarray(cv2.GaussianBlur(levels, (0, 0), max(0.4, look.blur * scale / 1000)), np.uint8)
    return Retina(pixels=pixels, vessels=mask, ridge=line, scale=scale)


def _vascular_border(rng: np.random.Generator, *, near: bool) -> Border:
    """How far vessels reach: less far on the temporal side, and less where a ridge shows that growth has stopped."""
    reach = rng.uniform(1.15, 1.45) if near else rng.uniform(1.65, 1.95)
    waves = rng.normal(0, 0.03, 5)
    phases = rng.uniform(0, 2 * np.pi, 5)

    def border(angle: Array) -> Array:
        wave = sum(a * np.sin(k * angle + p) for k, (a, p) in enumerate(zip(waves, phases, strict=True), start=2))
        return np.asarray(reach * (1 + 0.22 * np.sin(angle) ** 2 + 0.12 * (1 - np.cos(angle)) + wave))

    return border


def _haze(rng: np.random.Generator, canvas: _Canvas, border: Border) -> Image:
    """0 (clear) to 1: how far the retina is veiled, greyish and poor in contrast: periphery, macula, random clouds."""
    radius = np.hypot(canvas.x, canvas.y)
    beyond = radius - border(np.arctan2(canvas.y, canvas.x)).astype(np.float32)
    periphery = 1 / (1 + np.exp(-(beyond + 0.15) / 0.16))
    macula = np.exp(-((canvas.x - 0.8) ** 2 + (canvas.y - FOVEA[1]) ** 2) / (2 * 0.3**2))
    clouds = 0.2 * canvas.noise(rng, 0.9) + rng.uniform(0.0, 0.4)
    near_disc = np.exp(-(radius**2) / (2 * 0.35**2))
    veil = 0.9 * periphery + 0.55 * macula + clouds - 0.35 * near_disc
    return np.asarray(np.clip(veil, 0, 1), np.float32)


def _background(rng: np.random.Generator, canvas: _Canvas, warm: Image, pale: Image, haze: Image) -> Image:
    """Colour of the retina without vessels, float32 [h, w, 3] on the coarse grid."""
    radius = np.hypot(canvas.x, canvas.y)
    light = 1 + 0.05 * canvas.noise(rng, 0.7) + 0.13 * np.exp(-(radius**2) / (2 * 0.3**2))
    fovea = np.hypot(canvas.x - FOVEA[0], canvas.y - FOVEA[1])
    light -= rng.uniform(0.05, 0.16) * np.exp(-(fovea**2) / (2 * 0.22**2))
    light -= 0.05 * np.exp(-(fovea**2) / (2 * 0.05**2))
    colour = warm + (pale - warm) * haze[:, :, None]
    cast = 1 + np.array((0.02, 0.035, 0.05), np.float32) * canvas.noise(rng, 0.8)[:, :, None]
    return np.asarray(colour * cast * light[:, :, None], np.float32)


def _choroid(rng: np.random.Generator, canvas: _Canvas, look: Look, haze: Image) -> Image:
    """Factor around 1: the tessellation of the choroid's vessels and fine grain, both fading in the haze."""
    strength = look.texture * rng.uniform(0.5, 1.3)
    ridges = sum(np.abs(canvas.noise(rng, grain)) * weight for grain, weight in ((0.06, 0.5), (0.03, 0.6)))
    tessellation = canvas.enlarge(np.asarray((0.8 - ridges) * (1 - 0.85 * haze), np.float32))
    cells = max(8, int(2 * EXTENT / 0.012))
    grain = cv2.resize(rng.standard_normal((cells, cells)).astype(np.float32), (canvas.side, canvas.side))
    return np.asarray(1 + strength * tessellation + 0.006 * grain, np.float32)


def _draw_disc(rng: np.random.Generator, canvas: _Canvas, picture: Image) -> None:
    """The optic disc: a pale upright oval with a brighter cup and a faint dark rim, drawn into `picture`."""
    half = int(0.2 * canvas.scale)
    cx, cy = canvas.pixels(np.zeros(2))
    offsets = np.arange(-half, half + 1, dtype=np.float32) / canvas.scale
    x, y = np.meshgrid(offsets, offsets)
    oval = np.hypot(x / (0.066 * rng.uniform(0.9, 1.1)), y / (0.086 * rng.uniform(0.9, 1.1)))
    inside = 1 / (1 + np.exp((oval - 1) * 14))
    rim = np.exp(-(((oval - 1.25) / 0.18) ** 2))
    cup = np.exp(-(((x - 0.01) / 0.028) ** 2) - (y / 0.036) ** 2)
    part = picture[cy - half : cy + half + 1, cx - half : cx + half + 1]
    tone = part.mean(axis=(0, 1)) * rng.uniform(1.0, 1.12)
    colour = np.minimum(tone * np.array((1.15, 1.42, 1.42), np.float32), 240)
    part *= 1 - 0.13 * rim[:, :, None]
    part += (inside * 0.75)[:, :, None] * (colour - part)
    part += (cup * inside)[:, :, None] * np.array((14, 30, 32), np.float32)


def _draw_vessels(
    canvas: _Canvas, picture: Image, tree: list[Vessel], haze: Image, contrast: float
) -> NDArray[np.uint8]:
    """Darken `picture` along the vessels; returns their mask, uint8 [S, S], 0 or 255."""
    fine = 2
    shape = (canvas.side * fine, canvas.side * fine)
    layers = {True: np.zeros(shape, np.uint8), False: np.zeros(shape, np.uint8)}
    cover = np.zeros(shape, np.uint8)
    for vessel in tree:
        points = canvas.pixels(vessel.points, fine, shift=3)
        diameters = vessel.widths * canvas.scale * fine
        thick = np.maximum(1, np.round(diameters)).astype(int)
        ends = np.flatnonzero(np.diff(thick)) + 1
        for run in np.split(np.arange(len(points)), ends):
            line = points[run[0] : run[-1] + 2].reshape(-1, 1, 2)
            size = int(thick[run[0]])
            strength = min(255, int(255 * (vessel.widths[run[0]] / 0.02) ** 0.6))
            cv2.polylines(layers[vessel.vein], [line], False, strength, size, cv2.LINE_8, shift=3)
            cv2.polylines(cover, [line], False, 255, size, cv2.LINE_8, shift=3)
    side = (canvas.side, canvas.side)
    clear = np.asarray((1 - 0.65 * haze) * contrast / 255, np.float32)
    arteries, veins = (
        cv2.resize(layers[vein], side, interpolation=cv2.INTER_AREA).astype(np.float32) * clear
        for vein in (False, True)
    )
    passing = [
        cv2.exp(cv2.addWeighted(arteries, -in_artery, veins, -in_vein, 0))
        for in_artery, in_vein in ((0.03, 0.07), (0.15, 0.24), (0.14, 0.19))  # red, green, blue
    ]
    cv2.multiply(picture, cv2.merge(passing), dst=picture)
    covered = cv2.resize(cover, side, interpolation=cv2.INTER_AREA)
    return np.asarray(np.where(covered > 100, 255, 0), np.uint8)


def _ridge_line(rng: np.random.Generator, border: Border) -> Array:
    """The ridge follows the end of the vessels on the temporal side, irregularly."""
    angles = np.linspace(-rng.uniform(0.6, 1.15), rng.uniform(0.6, 1.15), 160)
    wobble = np.interp(angles, np.linspace(-1.2, 1.2, 14), rng.normal(0, 0.022, 14))
    wobble += np.interp(angles, np.linspace(-1.2, 1.2, 45), rng.normal(0, 0.01, 45))
    radius = border(angles) + 0.03 + wobble
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)


def _draw_ridge(rng: np.random.Generator, canvas: _Canvas, picture: Image, line: Array) -> None:
    """A pale band with a brighter core, of uneven strength, drawn into `picture`."""
    margin = 0.1
    corner = np.maximum(canvas.pixels(line.min(axis=0) - margin), 0)
    left, top, right, bottom = *corner, *np.minimum(canvas.pixels(line.max(axis=0) + margin), canvas.side)
    part = picture[top:bottom, left:right]
    points = canvas.pixels(line, shift=3) - corner * 8
    along = np.interp(np.arange(len(line)), np.linspace(0, len(line), 12), rng.uniform(0.25, 1.0, 12))
    along *= np.clip(np.minimum(np.arange(len(line)), np.arange(len(line))[::-1]) / 15, 0.1, 1)
    broad, core = (np.zeros(part.shape[:2], np.float32) for _ in range(2))
    thick = rng.uniform(0.016, 0.03)
    for at in range(len(line) - 1):
        segment, strength = points[at : at + 2].reshape(-1, 1, 2), float(along[at])
        cv2.polylines(broad, [segment], False, strength, max(1, round(2.6 * thick * canvas.scale)), shift=3)
        cv2.polylines(core, [segment], False, strength, max(1, round(thick * canvas.scale)), shift=3)
    soft = cv2.GaussianBlur(broad, (0, 0), 0.018 * canvas.scale)
    sharp = cv2.GaussianBlur(core, (0, 0), 0.008 * canvas.scale)
    alpha = (0.2 * soft + rng.uniform(0.16, 0.4) * sharp)[:, :, None]
    tone = np.minimum(np.median(picture[::8, ::8], axis=(0, 1)) * np.array((1.18, 1.3, 1.3), np.float32), 235)
    part += alpha * (tone.astype(np.float32) - part)
