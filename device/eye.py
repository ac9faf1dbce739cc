"""`Eye`: the one type for laterality, of light and of pictures."""

from __future__ import annotations

from enum import Enum


class Eye(str, Enum):
    """Laterality, from the operator or the worklist; never inferred from a picture."""

    OD = "OD"
    """Right."""
    OS = "OS"
    """Left."""
