"""`left.json` (`rop.left/1`): bundles that a cart went away from, back or on, which it does not take again by itself.

One that is activated by a person is off the list. A list that cannot be read is none: what the cart uses does not hang
on it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from device.checked_file import read_at_most
from runtime.bundles.flushed import write_flushed
from runtime.checked_json import NotJson, OtherSchema, parsed
from runtime.slots import SLOT_NAME

LEFT = "left.json"
LEFT_SCHEMA = "rop.left/1"
LIMIT_BYTES = 64 * 1024
MOST = 200
"""The newest so many."""


def left_bundles(folder: Path) -> tuple[str, ...]:
    """Their SHA-256, the latest last."""
    try:
        found = parsed(read_at_most(folder / LEFT, LIMIT_BYTES), LEFT_SCHEMA).get("left")
    except (OSError, NotJson, OtherSchema):
        return ()
    names = found if isinstance(found, list) else []
    return tuple(name for name in names if isinstance(name, str) and SLOT_NAME.fullmatch(name))


def note_switch(folder: Path, active: str, *, left: str | None = None) -> None:
    """Take the bundle that is active now off the list, and put on it the one that the cart went away from.

    Never raises: a switch must not fail for want of room for this.
    """
    before = left_bundles(folder)
    after = [name for name in before if name not in (active, left)] + ([] if left is None else [left])
    if after != list(before):
        with suppress(OSError):
            content = {"schema": LEFT_SCHEMA, "left": after[-MOST:]}
            write_flushed(folder / LEFT, json.dumps(content).encode() + b"\n")
