"""Augmentation that imitates the clinic: how the camera is held, lit and focused, and what is in its way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from build_engines.segimgnet.size import INPUT_SIDE
from build_engines.train.data import MaskedFrame, shrink_mask
from runtime.arrays import FloatArray, UInt8Array
from runtime.preprocess import network_input


@dataclass(frozen=True)
class TrainingSample:
    """One augmented training sample at the network's size."""

    image: UInt8Array
    """RGB, uint8 [256, 256, 3]."""
    masks: Mapping[str, FloatArray]
    """By name, float32 [256, 256] in [0, 1]."""


def augment(canvas: MaskedFrame, rng: np.random.Generator, strength: float = 1.0) -> TrainingSample:
    """A random variation of a canvas; the same generator state gives the same sample.

    strength: scales how often and how far a frame is changed, flips aside; 1 is the full range.
    """
    matrix = _camera_pose(rng, canvas.image.shape[0], strength)
    warped = _warp(canvas.image, matrix)
    image = network_input(warped)[0]
    lit = _lighting(image.astype(np.float32) / np.float32(255), rng, strength)
    masks = {
        name: shrink_mask(_warp(mask, matrix).astype(np.float32, copy=False), INPUT_SIDE)
        for name, mask in canvas.masks.items()
    }
    return TrainingSample(np.rint(lit * 255).astype(np.uint8), masks)


def _camera_pose(rng: np.random.Generator, side: int, strength: float) -> FloatArray:
    """Affine [2, 3]: rotation (any angle in half of the draws), zoom, shift, a little shear, flips."""
    angle = np.deg2rad(rng.uniform(-180, 180) if rng.random() < 0.5 * strength else rng.uniform(-20, 20) * strength)
    zoom = np.exp(rng.uniform(np.log(0.85), np.log(1.3)) * strength)
    stretch = np.exp(rng.uniform(-0.1, 0.1) * strength)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    rotate = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    shear = np.array([[1.0, rng.uniform(-0.06, 0.06) * strength], [0.0, 1.0]])
    linear = rotate @ shear @ np.diag([zoom * stretch * flip, zoom / stretch])
    centre = (side - 1) / 2 * np.ones(2)
    shift = rng.uniform(-0.07, 0.07, 2) * side * strength
    return np.column_stack((linear, centre + shift - linear @ centre)).astype(np.float32)


def _warp(array: NDArray[Any], matrix: FloatArray) -> NDArray[Any]:
    side = array.shape[0]
    return cv2.warpAffine(array, matrix, (side, side), flags=cv2.INTER_LINEAR)


def _lighting(image: FloatArray, rng: np.random.Generator, strength: float) -> FloatArray:
    """Exposure, colour cast, haze, glare, vignette, blur and noise, each in a share of the draws."""
    field = (image.max(axis=2, keepdims=True) > 0.06).astype(np.float32)
    field = cv2.GaussianBlur(field, (0, 0), 1.0)[..., np.newaxis]
    if rng.random() < 0.3 * strength:
        image = _haze(image, rng)
    if rng.random() < 0.8:
        image = np.clip(image, 1e-4, 1) ** np.float32(np.exp(rng.uniform(-0.4, 0.4) * strength))
        image = image * np.float32(np.exp(rng.uniform(-0.35, 0.25) * strength))
    if rng.random() < 0.8:
        image = image * np.exp(rng.uniform(-0.25, 0.25, 3) * strength).astype(np.float32)
    if rng.random() < 0.5 * strength:
        mean = image.mean(axis=(0, 1), keepdims=True)
        image = mean + (image - mean) * np.float32(rng.uniform(0.7, 1.4))
    if rng.random() < 0.2 * strength:
        image = image + _blob(rng, 0.05, 0.15) * np.float32(rng.uniform(0.2, 0.6))
    if rng.random() < 0.3 * strength:
        image = image * (1 - np.float32(rng.uniform(0.2, 0.6)) * (1 - _blob(rng, 0.4, 0.8)))
    image = image * field
    if rng.random() < 0.35 * strength:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.3)).astype(np.float32, copy=False)
    if rng.random() < 0.3 * strength:
        image = image + rng.normal(0, rng.uniform(0.003, 0.02), image.shape).astype(np.float32)
    return np.clip(image, 0, 1).astype(np.float32)


def _haze(image: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Hazy media: a part of the field fades towards the grey-green or ochre veil of a premature eye."""
    veil = np.array([rng.uniform(0.35, 0.75), rng.uniform(0.35, 0.65), rng.uniform(0.2, 0.45)], np.float32)
    strength = np.float32(rng.uniform(0.2, 0.75)) * _blob(rng, 0.25, 0.7)
    return np.asarray(image * (1 - strength) + veil * strength, np.float32)


def _blob(rng: np.random.Generator, smallest: float, largest: float) -> FloatArray:
    """A soft spot in [0, 1], float32 [256, 256, 1], its radius a share of the side."""
    y, x = np.mgrid[0:INPUT_SIDE, 0:INPUT_SIDE].astype(np.float32) / INPUT_SIDE
    cx, cy = rng.uniform(0, 1, 2)
    rx, ry = rng.uniform(smallest, largest, 2)
    spot = np.exp(-0.5 * (((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2))
    return np.asarray(spot[..., np.newaxis], np.float32)
