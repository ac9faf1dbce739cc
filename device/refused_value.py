"""What pydantic found wrong with one value of a file, in words for the person who wrote it: got, expected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from device.secrets import hide_secrets

MOST_SHOWN = 60
"""Characters of a value that a message repeats."""
_SECRET = re.compile("(?i)pin|hash|salt|secret|password|token")
_SHOULD = re.compile(r"[\w ]+? should (?:be|have|contain) (.*)", re.DOTALL)
_PLAIN = {
    "missing": "is missing",
    "extra_forbidden": "no such key; remove it",
    "string_type": "text",
    "string_unicode": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table of names and values",
    "model_type": "a table of names and values",
    "model_attributes_type": "a table of names and values",
    "path_type": "a path",
}
_WHOLE = ("missing", "extra_forbidden")
"""Kinds whose words stand alone."""
_OWN = ("value_error", "assertion_error")


def refused_value(problem: Mapping[str, Any]) -> str:
    """One of the `errors()` of a `ValidationError`; nothing of a value that may be secret, or is long, is repeated."""
    kind, given = problem["type"], problem["input"]
    if kind in _WHOLE:
        return _PLAIN[kind]
    if kind in _OWN:  # our own words, which say what was got where that helps
        return str(problem["msg"]).partition(", ")[2]
    if any(_SECRET.search(str(part)) for part in problem["loc"]):
        return f"expected {_expected(problem)}"
    return f"got {_shown(given)}, expected {_expected(problem)}"


def _expected(problem: Mapping[str, Any]) -> str:
    if plain := _PLAIN.get(problem["type"]):
        return plain
    if problem["type"] == "string_pattern_mismatch":
        return f"text of the form {problem['ctx']['pattern']}"
    message = re.sub(r" after validation, not \d+$", "", str(problem["msg"]))
    found = _SHOULD.fullmatch(message)
    words = found[1] if found else message[:1].lower() + message[1:]
    return {"True": "true", "False": "false", "None": "null"}.get(words, words)


def _shown(given: object) -> str:
    """A value as a JSON or TOML file has it; of what holds others only its kind."""
    if isinstance(given, Mapping):
        return "a table"
    if isinstance(given, (list, tuple)):
        return f"a list of {len(given)}"
    if given is None or isinstance(given, bool):
        return {None: "null", True: "true", False: "false"}[given]
    text = repr(hide_secrets(given)) if isinstance(given, str) else str(given)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."
