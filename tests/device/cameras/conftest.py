"""Pictures and recordings that the camera tests make for themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

MakePictures = Callable[..., Path]
MakeVideo = Callable[..., Path]


@pytest.fixture
def make_pictures(tmp_path: Path) -> MakePictures:
    """A folder with pictures of these names; picture k has the red value 10 * k."""

    def make(*names: str, folder: str = "pictures") -> Path:
        target = tmp_path / folder
        target.mkdir(exist_ok=True)
        for k, name in enumerate(names):
            Image.new("RGB", (24, 16), (10 * k, 100, 50)).save(target / name)
        return target

    return make


@pytest.fixture
def make_video(tmp_path: Path) -> MakeVideo:
    """A video of 12 noisy frames, frame k with the red value 20 * k; `keep` cuts the file to a share of its bytes."""

    def make(name: str = "clip.avi", codec: str = "MJPG", keep: float = 1.0) -> Path:
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, (160, 120))
        assert writer.isOpened(), f"OpenCV was built without {codec}"
        rng = np.random.default_rng(0)
        for k in range(12):
            bgr = np.empty((120, 160, 3), np.uint8)
            bgr[..., 2], bgr[..., 1], bgr[..., 0] = 20 * k, rng.integers(90, 110, (120, 160)), 60
            writer.write(bgr)
        writer.release()
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * keep)])
        return path

    return make
