"""Where a cart keeps what it has to remember of its site: issue numbers, and by default its bundles."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

STATE_VARIABLE = "ROP_SITE_STATE"
ANCHOR_VARIABLE = "ROP_SITE_ANCHOR"
"""Names the file outside of that folder that is told the issue numbers (`runtime/trust/told.py`)."""


def state_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """`ROP_SITE_STATE`, or systemd's `STATE_DIRECTORY`, or `rop-screening` in the user's state folder."""
    if named := environment.get(STATE_VARIABLE):
        return Path(named)
    if managed := environment.get("STATE_DIRECTORY"):  # of systemd, several separated by colons
        return Path(managed.split(":")[0])
    root = environment.get("XDG_STATE_HOME") or str(Path(environment.get("HOME") or "/var/lib") / ".local" / "state")
    return Path(root) / "rop-screening"
