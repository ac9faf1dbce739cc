"""JSON files of our own, checked as they are read: the steps that all share. Each reader adds what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError


class NotJson(ValueError):
    """Truncated, or something else; its text begins with `not JSON`."""


class OtherSchema(ValueError):
    """JSON, but not of the schema that is read here; its text says which."""


def read_at_most(path: Path, limit: int) -> bytes:
    """A file's bytes; one more than the limit where there are more. Raises `OSError`."""
    with path.open("rb") as file:
        return file.read(limit + 1)


def parsed(raw: bytes, schema: str) -> dict[str, Any]:
    """The JSON object that says it is of the schema. Raises `NotJson` or `OtherSchema`."""
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise NotJson(f"not JSON ({error})") from None
    if not isinstance(content, dict) or content.get("schema") != schema:
        found = content.get("schema") if isinstance(content, dict) else None
        raise OtherSchema(f"schema is {found!r}, this version reads {schema!r}")
    return content


def first_problem(error: ValidationError, whole: str) -> str:
    """The first thing that is wrong, with its place; `whole` names the place where that is all of it."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or whole
    return f"{where}: {first['msg']}"
