"""What a picture is refused with, whatever its format."""

from __future__ import annotations

MAX_MEGAPIXELS = 64
"""No fundus camera comes near it; a header may claim anything, and memory is taken only after this check."""


class Refused(Exception):
    """Why a picture cannot be used; `decode` adds the file's name. Its text holds nothing from inside the file."""
