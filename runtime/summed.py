"""`Summed`: JSON that programs write for themselves and nobody signs, with a sum over what it says.

A disk that changes one digit of it is found by this; whoever can write the file can make another sum.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import BaseModel, Field, model_validator

DIGITS = 16


class Summed(BaseModel):
    """A model that is written with its sum; a file without one, of before there was one, is read as well."""

    sum: str | None = Field(default=None, pattern=rf"^[0-9a-f]{{{DIGITS}}}$")
    """The first digits of the SHA-256 of everything else, in one spelling."""

    @model_validator(mode="after")
    def _as_it_was_written(self) -> Summed:
        if self.sum is not None and self.sum != _sum_of(self._rest()):
            do = "look through it and take its `sum` out, or bring back a copy"
            raise ValueError(f"it was altered, its sum is another: {do}")
        return self

    def summed(self) -> dict[str, Any]:
        """All that it says, and its sum last: for a file that people read, in any spelling."""
        return {**self._rest(), "sum": _sum_of(self._rest())}

    def written(self) -> str:
        """The same in one line, in the spelling that is summed: `rop-read` takes the sum off its end."""
        return f'{_spelled(self._rest())[:-1]}, "sum": "{_sum_of(self._rest())}"}}'

    def _rest(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude={"sum"}, exclude_none=True)


def _sum_of(content: dict[str, Any]) -> str:
    return hashlib.sha256(_spelled(content).encode()).hexdigest()[:DIGITS]


def _spelled(content: dict[str, Any]) -> str:
    return json.dumps(content, sort_keys=True)
