"""Eyes and views, the words by which a frame is bound to a place; and how often a view may be taken again."""

from __future__ import annotations

from enum import Enum

from device.eye import Eye as Eye

DEFAULT_RETAKES = 3
"""How often an ungradable view may be taken again before it counts as "not gradable", where nobody says otherwise."""
MOST_RETAKES = 20


class View(str, Enum):
    """Where in the eye the frame looks."""

    DISC = "disc-centred"
    TEMPORAL = "temporal"
    NASAL = "nasal"
    SUPERIOR = "superior"
    INFERIOR = "inferior"


EYE_WORDS = {Eye.OD: "right eye (OD)", Eye.OS: "left eye (OS)"}
EYES_IN_TABLES = {
    **dict.fromkeys(("od", "r", "re", "right", "right eye"), Eye.OD),
    **dict.fromkeys(("os", "l", "le", "left", "left eye"), Eye.OS),
}
"""An eye by the words that tables have for it, in small letters."""


def place(eye: Eye, view: View | None = None) -> str:
    """How a banner names it: `OD nasal`, or `OD` for the whole eye."""
    return eye.value if view is None else f"{eye.value} {view.value}"
