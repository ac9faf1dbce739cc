"""Colour profiles (ICC): a picture in other colours than sRGB is converted, since the networks were trained on sRGB."""

from __future__ import annotations

import functools
from io import BytesIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image

_MODES = frozenset({"RGB", "L", "CMYK"})
_PROFILE_BYTES_MAX = 8 << 20


@functools.cache
def _srgb() -> Any:
    from PIL import ImageCms

    return ImageCms.createProfile("sRGB")


def to_srgb(picture: Image.Image, profile: bytes | None) -> tuple[Image.Image, str | None]:
    """The picture in sRGB, and what was done to it in a few words; as it is where it has no other profile than that.

    A profile that cannot be used is passed over, and told.
    """
    if not profile or picture.mode not in _MODES:
        return picture, None
    from PIL import ImageCms

    if len(profile) > _PROFILE_BYTES_MAX:
        return picture, "colour profile passed over: it cannot be used"
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        name = _printable(ImageCms.getProfileDescription(source))
        if name.lower().startswith("srgb") or "iec61966-2" in name.lower():
            return picture, None
        converted = ImageCms.profileToProfile(picture, source, _srgb(), ImageCms.Intent.RELATIVE_COLORIMETRIC, "RGB")
    except Exception:  # lcms and Pillow raise nearly anything on a damaged profile
        return picture, "colour profile passed over: it cannot be used"
    if converted is None:
        return picture, None
    return converted, f"colours converted from {name or 'an unnamed profile'} to sRGB"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text).strip()[:60]
