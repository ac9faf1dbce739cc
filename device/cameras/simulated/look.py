"""How the two imitated cameras look: colours of the retina, shape of the field, sharpness and noise.

Measured on the public images of HVDROPDB (50 RetCam, 50 3nethra Neo): medians over the field are RGB 184/115/65 for
RetCam and 167/136/83 for Neo; a vessel's core is darker than its surroundings by 8 % (green; the darkest tenth of an
expert's mask) in RetCam and 5 % in Neo images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """Constants of one kind of camera."""

    palettes: tuple[tuple[Colour, Colour], ...]
    """RGB of the vascularised retina, and of the hazy and the avascular one; an eye takes one pair."""
    contrast: float
    """Strength of the vessels, 1 for RetCam."""
    texture: float
    """Strength of the choroid's texture, as a share of the brightness."""
    blur: float
    """Standard deviation of the lens blur, in 1/1000 of the field radius."""
    noise: float
    """Standard deviation of the sensor noise, in grey levels."""


RETCAM = Look(
    palettes=(
        ((214, 122, 48), (176, 138, 80)),
        ((208, 112, 60), (146, 116, 78)),
        ((202, 98, 74), (138, 104, 90)),
        ((222, 112, 112), (174, 126, 148)),
        ((222, 146, 46), (158, 142, 68)),
        ((172, 72, 42), (104, 76, 62)),
    ),
    contrast=1.0,
    texture=0.035,
    blur=2.6,
    noise=1.5,
)
NEO = Look(
    palettes=(
        ((192, 132, 78), (142, 150, 98)),
        ((172, 120, 74), (112, 114, 84)),
        ((206, 156, 86), (182, 178, 104)),
        ((206, 112, 76), (140, 126, 94)),
        ((180, 150, 80), (152, 162, 96)),
    ),
    contrast=0.85,
    texture=0.022,
    blur=3.4,
    noise=0.8,
)
LOOKS = {"retcam": RETCAM, "neo": NEO}


@dataclass(frozen=True)
class Field:
    """The lit area of the frame, an ellipse that the frame's edges may cut."""

    centre: tuple[float, float]
    """Pixels, x and y."""
    radii: tuple[float, float]
    """Pixels, x and y."""
    right_edge: float
    """The field ends here to the right, in pixels."""

    @classmethod
    def of(cls, device: str, width: int, height: int) -> Field:
        """The field of a device: as in stored RetCam images (fitted to 40 of them), a whole circle for Neo."""
        if device == "retcam":
            centre, radii = (0.523 * width, 0.524 * height), (0.484 * width, 0.662 * height)
            return cls(centre, radii, right_edge=0.988 * width)
        side = min(width, height) / 2
        return cls((width / 2 - 0.5, height / 2 - 0.5), (side, side), right_edge=float(width))

    def polar(self, width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        """x and y of every pixel in field radii, float32 [H, W] each, and whether it is lit, bool [H, W]."""
        x = (np.arange(width, dtype=np.float32) - self.centre[0]) / self.radii[0]
        y = (np.arange(height, dtype=np.float32) - self.centre[1]) / self.radii[1]
        across, down = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
        lit = (across**2 + down**2 <= 1) & (np.arange(width) <= self.right_edge)
        return across, down, lit
