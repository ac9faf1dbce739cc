"""JSON files of our own, checked as they are read: the steps that all share. Each reader adds what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from device.checked_file import place_of, strict_json
from device.checked_file import read_at_most as read_at_most
from device.refused_value import refused_value

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound="BaseModel")


class NotJson(ValueError):
    """Truncated, or something else; its text begins with `not JSON`."""


class OtherSchema(ValueError):
    """JSON, but not of the schema that is read here; its text says which."""


def parsed(raw: bytes, schema: str) -> dict[str, Any]:
    """The JSON object that says it is of the schema. Raises `NotJson` or `OtherSchema`."""
    content = _strict(raw)
    if not isinstance(content, dict) or content.get("schema") != schema:
        found = content.get("schema") if isinstance(content, dict) else None
        raise OtherSchema(f"schema is {found!r}, this version reads {schema!r}")
    return content


def model_from(kind: type[Model], raw: bytes | str) -> Model:
    """The model that the JSON spells, nothing in it converted: `"false"` and 0 are no truth values, 1.5 is no count.

    Raises `NotJson`, or pydantic's `ValidationError`.
    """
    try:
        text = raw if isinstance(raw, str) else raw.decode()
    except UnicodeDecodeError:
        raise NotJson("not JSON in UTF-8") from None
    _strict(text)
    return kind.model_validate_json(raw, strict=True)


def _strict(raw: bytes | str) -> Any:
    try:
        return strict_json(raw)
    except ValueError as error:
        raise NotJson(f"not JSON ({error})") from None


def first_problem(error: ValidationError, whole: str) -> str:
    """The first thing that is wrong, with its place; `whole` names the place where that is all of it."""
    first = error.errors()[0]
    return f"{place_of(first['loc']) or whole}: {refused_value(first)}"
