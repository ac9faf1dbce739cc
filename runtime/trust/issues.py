"""What this cart has seen of a site's issue numbers, so that nothing older is taken again; and what was withdrawn.

Bundles, profiles and the list of withdrawn things may bear a number that grows with each issue. The highest one of each
name is kept in a folder of the cart: `ROP_SITE_STATE`, or systemd's `STATE_DIRECTORY`, or `rop-screening` in the user's
state folder; and in a file that only grows where one is named (`told`), which then goes before the folder.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from device.checked_file import read_at_most
from device.signature import SignatureInvalid
from runtime.checked_json import NotJson, first_problem, model_from
from runtime.manifest import Sha256
from runtime.site_state import STATE_VARIABLE as STATE_VARIABLE
from runtime.site_state import state_folder as state_folder
from runtime.summed import Summed
from runtime.trust.errors import SiteError
from runtime.trust.keys import TrustedKeys
from runtime.trust.told import SiteAnchor

STATE_FILE = "site-issues.json"
BACK_FILE = "site-back.json"
WITHDRAWN_FILE = "withdrawn.signed"
"""In the folder of the trusted keys."""
WITHDRAWN_SCHEMA = "rop.withdrawn/1"
LIMIT_BYTES = 1024 * 1024
WITHDRAWN_LIST = "withdrawn"
"""Under what name the number of the list itself is kept."""


class Withdrawn(BaseModel):
    """The signed list `rop.withdrawn/1`: what must not be used any more though its signature is right."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["rop.withdrawn/1"] = Field(alias="schema")
    issue: Annotated[int, Field(ge=1)]
    """Grows with each list."""
    sha256: tuple[Sha256, ...]
    """Of a bundle's `manifest.json`, of a whole signed profile, or of a plan's `plan.json`."""


class _Seen(Summed):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["rop.site-issues/1"] = Field(alias="schema")
    highest: dict[str, Annotated[int, Field(ge=1)]]
    """By name: `bundle NAME`, `profile SITE`, `withdrawn`."""


class _Back(Summed):
    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_: Literal["rop.site-back/1"] = Field(alias="schema")
    back: dict[str, Sha256]
    """By name as in the numbers: the manifest that may be used although a higher number was."""


def parse_withdrawn(name: str, body: bytes) -> Withdrawn:
    """The list in a JSON object. Raises `SiteError`; `name` is said in it."""
    try:
        return model_from(Withdrawn, body)
    except (ValidationError, NotJson) as error:
        problem = first_problem(error, "list") if isinstance(error, ValidationError) else str(error)
        raise SiteError(f"{name}: not a {WITHDRAWN_SCHEMA}: {problem}; correct it") from None


def read_withdrawn(folder: Path, keys: TrustedKeys) -> Withdrawn | None:
    """The list beside the trusted keys; None where there is none. Raises `SiteError` for one not to be believed."""
    path = folder / WITHDRAWN_FILE
    try:
        data = read_at_most(path, LIMIT_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SiteError(f"{path}: cannot be read ({error.strerror or error}); allow it") from None
    body, newline, line = data.partition(b"\n")
    try:
        keys.signature(WITHDRAWN_FILE, body + newline, line)
    except SignatureInvalid as error:
        raise SiteError(f"{path}: {error}; get it anew from whoever signs for this site") from None
    return parse_withdrawn(WITHDRAWN_FILE, body)


class Issues:
    """The numbers that this cart has seen."""

    def __init__(self, folder: Callable[[], Path] = state_folder) -> None:
        self._folder = folder

    def take(self, name: str, issue: int, *, what: str) -> None:
        """`check`, then `note`."""
        self.check(name, issue, what=what)
        self.note(name, issue)

    def check(self, name: str, issue: int, *, what: str, sha256: str = "") -> None:
        """Raises `SiteError` where a higher number of that name was used. issue: 0 for something without a number.

        what: is said in the error. sha256: of the thing; the one that this cart may go back to is let through.
        """
        anchor = SiteAnchor.named()
        told = 0 if anchor is None else anchor.read().highest.get(name, 0)
        seen = max(told, _read(self._folder() / STATE_FILE).get(name, 0))
        if issue < seen and not (sha256 and self.may_go_back(name, sha256)):
            raise SiteError(
                f"{what}: its issue is {issue or 'not numbered'}, this cart has used issue {seen}; use the newest, "
                f"or have a numbered profile signed that pins this one"
            )

    def note(self, name: str, issue: int) -> None:
        """From now on nothing older of that name is taken. Raises `SiteError` where that cannot be kept."""
        if not issue:
            return
        with self._locked() as path:
            highest, anchor = _read(path), SiteAnchor.named()
            if anchor is not None and issue > anchor.read().highest.get(name, 0):
                anchor.tell(name, {"issue": issue})
            if issue > highest.get(name, 0):
                _write(path, _Seen(schema="rop.site-issues/1", highest={**highest, name: issue}))

    def may_go_back(self, name: str, sha256: str) -> bool:
        """Whether this is the one thing of that name that may be used though a higher number was."""
        if anchor := SiteAnchor.named():
            return anchor.read().back.get(name) == sha256
        return _read_back(self._folder() / BACK_FILE).get(name) == sha256

    def allow_back(self, name: str, sha256: str) -> None:
        """From now on that one may be used again; no other older one. Whoever calls this has had it in use here."""
        with self._locked() as path:
            if (anchor := SiteAnchor.named()) and anchor.read().back.get(name) != sha256:
                anchor.tell(name, {"back": sha256})
            back = path.with_name(BACK_FILE)
            _write(back, _Back(schema="rop.site-back/1", back={**_read_back(back), name: sha256}))

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        """One program at a time; the file of the numbers."""
        folder = self._folder()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise SiteError(
                f"{folder}: the numbers of what this site issued cannot be kept ({error.strerror or error}); name a "
                f"folder for them in {STATE_VARIABLE}"
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield folder / STATE_FILE
        finally:
            os.close(descriptor)


class NoIssues(Issues):
    """For what is tried or repeated and gives no result to anybody: every number will do, and none is noted."""

    def check(self, name: str, issue: int, *, what: str, sha256: str = "") -> None:
        """Nothing."""

    def note(self, name: str, issue: int) -> None:
        """Nothing."""


def _read(path: Path) -> Mapping[str, int]:
    try:
        return model_from(_Seen, read_at_most(path, LIMIT_BYTES)).highest
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise SiteError(
            f"{path}: what this cart has used cannot be read ({first}); find out why, and only then remove it"
        ) from None


def _read_back(path: Path) -> Mapping[str, str]:
    try:
        return model_from(_Back, read_at_most(path, LIMIT_BYTES)).back
    except (OSError, ValueError):
        return {}  # nothing may go back then, which is the careful answer


def _write(path: Path, content: _Seen | _Back) -> None:
    text = content.written()
    aside = None
    try:
        descriptor, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(descriptor)
        os.replace(aside, path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        if aside is not None:
            Path(aside).unlink(missing_ok=True)
        raise SiteError(f"{path}: cannot be written ({error.strerror or error}); make room for it") from None
