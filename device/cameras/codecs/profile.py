"""Colours: a picture in others than sRGB is converted, since the networks were trained on sRGB.

What a profile is called says nothing of what it does (`sRGB-elle-V2-g10` is linear), so what it does is looked at.
"""

from __future__ import annotations

import functools
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from device.cameras.codecs.plausible import plausible

if TYPE_CHECKING:
    from PIL import Image

_MODES = frozenset({"RGB", "L", "CMYK"})
_PROFILE_BYTES_MAX = 8 << 20
_SAME_LEVELS = 2
"""Profiles of sRGB by different makers differ from each other by so much at most."""
_CANNOT = "colour profile passed over: it cannot be used"


def to_srgb(picture: Image.Image, profile: bytes | None) -> tuple[Image.Image, str | None]:
    """The picture in sRGB, and what was done to it in a few words; as it is where it has no other profile than that.

    A profile that cannot be used, or that is damaged, is passed over, and told.
    """
    if not profile or picture.mode not in _MODES:
        return picture, None
    if len(profile) > _PROFILE_BYTES_MAX:
        return picture, _CANNOT
    from PIL import ImageCms

    try:
        transform, mode, name = _transform(profile, picture.mode)
        if transform is None:
            return picture, None
        converted = ImageCms.applyTransform(picture if picture.mode == mode else picture.convert(mode), transform)
    except Exception:  # lcms and Pillow raise nearly anything on a damaged profile
        return picture, _CANNOT
    return converted or picture, f"colours converted from {name or 'an unnamed profile'} to sRGB"


@functools.lru_cache(8)
def _transform(profile: bytes, mode: str) -> tuple[Any, str, str]:
    """What makes sRGB of a picture in this profile, None where it changes nothing; of which mode; the profile's name.

    A camera writes the same profile into each picture, and to prepare one takes longer than to use it.
    """
    from PIL import ImageCms

    if not plausible(profile):
        raise ValueError("damaged")
    source = ImageCms.ImageCmsProfile(BytesIO(profile))
    if mode == "L" and source.profile.xcolor_space.strip() == "RGB":  # gray that was made of a colour picture
        mode = "RGB"
    transform = ImageCms.buildTransform(
        source, _srgb(), mode, "RGB", renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC
    )
    name = _printable(ImageCms.getProfileDescription(source))
    return (None if mode != "CMYK" and _changes_nothing(transform, mode) else transform), mode, name


def _changes_nothing(transform: Any, mode: str) -> bool:
    from PIL import Image, ImageCms

    levels = np.linspace(0, 255, 16).round().astype(np.uint8)
    colours = levels[None] if mode == "L" else np.stack(np.meshgrid(*[levels] * 3), axis=-1).reshape(1, -1, 3)
    before = Image.fromarray(colours)
    after = ImageCms.applyTransform(before, transform)
    return int(np.abs(np.asarray(before.convert("RGB"), np.int16) - np.asarray(after, np.int16)).max()) <= _SAME_LEVELS


@functools.cache
def _srgb() -> Any:
    from PIL import ImageCms

    return ImageCms.createProfile("sRGB")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()[:60]
