"""Bundles in slots, as every program sees them: which one is active, and where one of a given SHA-256 lies.

A folder of slots holds one folder for each installed bundle, named by the SHA-256 of its manifest, and `active.json`.
That file alone says what is active; it is replaced by one rename. `runtime.bundles` writes all of this.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from device.checked_file import one_line, read_at_most
from runtime.checked_json import NotJson, OtherSchema, parsed
from runtime.errors import BundleError
from runtime.site_state import state_folder

SLOTS_VARIABLE = "ROP_BUNDLES"
DEFAULT_FOLDER = "bundles"
"""In the folder of the site's state."""
ACTIVE = "active.json"
SLOTS_SCHEMA = "rop.slots/1"
ACTIVE_LIMIT_BYTES = 64 * 1024
SLOT_NAME = re.compile(r"[0-9a-f]{64}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


@dataclass(frozen=True)
class Active:
    """What `active.json` says."""

    active: str
    """SHA-256 of the manifest of the bundle in use."""
    previous: str | None
    """Of the one before, which it can go back to; None where there was none."""
    since: str
    """When it was switched, ISO 8601, UTC."""
    why: str
    """Why it was switched, in a few words."""
    returned: bool = False
    """Whether it is active because the cart went back to it; no program goes back again by itself then."""


def default_slots() -> Path:
    """The folder that a program looks into when none is named: `ROP_BUNDLES`, or `bundles` in the site's state."""
    named = os.environ.get(SLOTS_VARIABLE)
    return Path(named) if named else state_folder() / DEFAULT_FOLDER


def is_slots(folder: Path) -> bool:
    """Whether a folder is one of slots: something is active in it, or a bundle lies in it by its SHA-256."""
    return os.path.lexists(folder / ACTIVE) or bool(installed(folder))


def installed(folder: Path) -> tuple[str, ...]:
    """SHA-256 of each bundle that lies in the folder; whether it is whole is seen when it is opened."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False))
    except OSError:
        return ()
    return tuple(name for name in names if SLOT_NAME.fullmatch(name))


def read_active(folder: Path) -> Active | None:
    """What is active there; None where nothing ever was. Raises `BundleError` for a file that cannot be believed."""
    path = folder / ACTIVE
    try:
        content = parsed(read_at_most(path, ACTIVE_LIMIT_BYTES), SLOTS_SCHEMA)
        return _active(content)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        problem = f"cannot be read ({error.strerror or error}); allow it"
    except (NotJson, OtherSchema, ValueError) as error:
        problem = f"{error}; activate a bundle again: python -m runtime.bundles activate"
    raise BundleError(f"{path}: {problem}")


def _active(content: dict[str, object]) -> Active:
    found = {name: value for name, value in content.items() if name != "schema"}
    keys = ("active", "previous", "since", "why", "returned")
    if set(found) != set(keys):
        raise ValueError(f"its keys are {', '.join(map(one_line, found)) or 'none'}, expected {', '.join(keys)}")
    active, previous, since, why, returned = (found[name] for name in keys)
    if not isinstance(active, str) or not SLOT_NAME.fullmatch(active):
        raise ValueError("active is no SHA-256")
    if previous is not None and not (isinstance(previous, str) and SLOT_NAME.fullmatch(previous)):
        raise ValueError("previous is no SHA-256")
    if not isinstance(since, str) or not TIME.fullmatch(since) or not isinstance(why, str):
        raise ValueError("since and why are no time and words")
    if not isinstance(returned, bool):
        raise ValueError("returned is neither true nor false")
    return Active(active, previous, since, why, returned)


def resolve(path: Path | None, sha256: str | None = None) -> Path | None:
    """The bundle's folder that a program is to open; None for the demonstration that ships with the project.

    path: a bundle's folder, which is taken as it is, or a folder of slots; None is the default one. sha256: the bundle
    that an exam was opened with: taken where it lies in the slots, whatever is active. Raises `BundleError`.
    """
    folder = default_slots() if path is None else path
    if path is not None and not is_slots(path):
        return path
    if sha256 is not None and sha256 in installed(folder):
        return folder / sha256
    state = read_active(folder)
    if state is None:
        if path is None and not installed(folder):
            return None
        raise BundleError(
            f"{folder}: holds bundles and none is active; activate one: python -m runtime.bundles activate"
        )
    if state.active not in installed(folder):
        raise BundleError(
            f"{folder}: the active bundle {state.active[:12]}... is not there; install it again, or go back: "
            f"python -m runtime.bundles rollback"
        )
    return folder / state.active
