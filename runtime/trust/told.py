"""A site's issue numbers, told to a file outside of the state folder that only grows: `ROP_SITE_ANCHOR`.

Whoever can write the state folder can take the numbers away; a file of another owner, to which the cart may only append
(`chattr +a`), keeps them. A line of JSON each: `{"name": "bundle demonstration", "issue": 3}`, or with `back` the
SHA-256 of the one manifest of that name that may be used although a higher number was. A `sum` at its end finds what a
disk changed; lines of before it was written, or of the file's owner, have none.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, ValidationError

from device.checked_file import read_whole
from runtime.checked_json import NotJson, model_from
from runtime.manifest import Sha256
from runtime.site_state import ANCHOR_VARIABLE
from runtime.summed import Summed
from runtime.trust.errors import SiteError

LIMIT_BYTES = 1024 * 1024
_ALL_BUT_ITS_BRACE = re.compile(rb'.*"sum": "[0-9a-f]+"')
"""What a loss of power may leave of a line at most; what then follows is its brace."""


class _Line(Summed):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    issue: Annotated[int, Field(ge=1)] | None = None
    back: Sha256 | None = None


@dataclass
class IssuesTold:
    """What the lines say, all together."""

    highest: dict[str, int] = field(default_factory=dict)
    back: dict[str, str] = field(default_factory=dict)


class SiteAnchor:
    """The file. It has to be there: one that is missing may have been taken away."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def named(cls, environment: Mapping[str, str] = os.environ) -> SiteAnchor | None:
        """The one that the environment names."""
        path = environment.get(ANCHOR_VARIABLE)
        return cls(Path(path)) if path else None

    def read(self) -> IssuesTold:
        """Raises `SiteError`, also where a line was altered; one that a loss of power cut short tells nothing.

        A file that is too large is refused whole: the number that counts may stand at its end.
        """
        told = IssuesTold()
        try:
            data = read_whole(self._path, LIMIT_BYTES)
        except OSError as error:
            raise self._unusable("read", error) from None
        for number, line in enumerate(data.split(b"\n"), 1):
            if not line.endswith(b"}"):
                summed = _ALL_BUT_ITS_BRACE.match(line)
                if line and (not line.startswith(b"{") or (summed and summed.end() < len(line))):
                    raise self._altered(number)
                if summed is None:
                    continue
                line += b"}"
            try:
                said = model_from(_Line, line)
            except (ValidationError, NotJson):
                raise self._altered(number) from None
            if said.issue is not None:
                told.highest[said.name] = max(said.issue, told.highest.get(said.name, 0))
            if said.back is not None:
                told.back[said.name] = said.back
        return told

    def tell(self, name: str, what: Mapping[str, int | str]) -> None:
        """One line more, on disk when this returns. Raises `SiteError`."""
        line = _Line.model_validate({"name": name, **what}).written().encode() + b"\n"
        flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(self._path, flags)
            try:
                size = os.fstat(descriptor).st_size
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise OSError("not a regular file")
                torn = size and os.pread(descriptor, 1, size - 1) != b"\n"
                os.write(descriptor, b"\n" + line if torn else line)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise self._unusable("appended to", error) from None

    def _altered(self, number: int) -> SiteError:
        return SiteError(f"{self._path}: line {number} was altered; find out who wrote to it before it is made anew")

    def _unusable(self, what: str, error: OSError) -> SiteError:
        do = "it has to be there, of another owner, and this user may read it and append to it"
        if error.errno == errno.EFBIG:
            do = "its owner finds out who wrote so much, and leaves of each name the highest issue and the last `back`"
        return SiteError(f"{ANCHOR_VARIABLE} {self._path}: cannot be {what} ({error.strerror or error}); {do}")
