"""Text from outside as a terminal, a page and JSON may have it."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from device.shown import escaped_json, printable, printable_lines

ANY = st.text(st.characters(codec=None, categories=None, min_codepoint=0), max_size=40)
NAMES = (
    "M\u00fc\u0142ler",
    "\u0645\u0631\u064a\u0645\u200c",
    "\u5c71\u3000\u7530",
    "\u0939\u093f\u200d",
    "a\u00a0b",
    "\U0001f600",
)
ACTS = ("Cc", "Cs", "Zl", "Zp", "Cf")
KEPT = "\u200c\u200d\u200e\u200f"


def acting(text: str) -> set[str]:
    return {c for c in text if unicodedata.category(c) in ACTS and c not in KEPT}


@given(ANY)
def test_nothing_that_is_shown_acts(text: str) -> None:
    assert not acting(printable(text))
    assert len(printable(text)) == len(text)
    assert acting(printable_lines(text)) <= {"\n"}
    printable(text).encode()


@given(st.recursive(ANY, lambda some: st.lists(some, max_size=3) | st.dictionaries(ANY, some, max_size=3)))
def test_escaped_json_says_the_same(content: object) -> None:
    for indent in (None, 2):
        text = escaped_json(json.dumps(content, ensure_ascii=False, indent=indent))
        assert json.loads(text) == content
        assert acting(text) <= {"\n"}


def test_names_of_every_script_stay_as_they_are() -> None:
    for name in NAMES:
        assert printable(name) == name
        assert escaped_json(json.dumps(name, ensure_ascii=False)) == f'"{name}"'
