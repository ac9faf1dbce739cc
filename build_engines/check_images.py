"""The images on which an exported graph is held against its network."""

from __future__ import annotations

from pathlib import Path

from build_engines.errors import BuildError
from device.cameras import open_camera
from device.errors import CameraError, FrameUnreadable
from runtime.arrays import UInt8Array
from runtime.preprocess import network_input

SIMULATED = "sim:seed=1,frames_per_eye=1"
"""Many eyes rather than many frames of one."""


def check_images(source: Path | None, count: int) -> list[UInt8Array]:
    """`count` images as the networks see them, RGB uint8 [256, 256, 3], from a folder or the simulated camera.

    Raises `BuildError` when the source gives none.
    """
    images: list[UInt8Array] = []
    try:
        with open_camera(SIMULATED if source is None else str(source)) as camera:
            while len(images) < count:
                try:
                    frame = camera.read()
                except FrameUnreadable:
                    continue
                if frame is None:
                    break
                images.append(network_input(frame.pixels)[0])
    except CameraError as error:
        raise BuildError(f"--check-images: {error}") from error
    if not images:
        raise BuildError(f"--check-images {source}: no image could be read; name a folder of fundus pictures")
    return images
