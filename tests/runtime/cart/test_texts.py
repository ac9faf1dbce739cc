"""Every text of the pages has its word in every catalogue, with the same places for values."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from device.cameras import stills
from device.errors import CameraError, LightError
from device.light.messages import Flags
from device.live import CameraState
from runtime.cart import adjusting, cart, desk, lighting, orders, rights, room, shots, users, watch
from runtime.cart.errors import CALL, STEPS, CartBusy, CartError, DeskGone, NotNow, NotYours, SignInRefused, shown
from runtime.cart.lighting import Lighting
from runtime.cart.texts import Texts
from runtime.exam.look_twice import ALREADY, DO, for_the_trail
from runtime.exam.result import BY_WORD, IN_VOIDED, TAKEN_OUT
from tests.runtime.cart.texts_used import texts_used

LANGUAGES = [one["code"] for one in Texts().languages if one["code"] != "en"]


def test_the_languages_that_are_promised() -> None:
    assert set(LANGUAGES) >= {"es", "fr", "hi", "sw", "ar"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_missing_and_values_have_their_places(language: str) -> None:
    texts = Texts().catalogue(language)["texts"]
    assert sorted(texts_used() - set(texts)) == []
    for text, said in texts.items():
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", said)), text


def test_arabic_is_written_from_right_to_left_and_says_that_nobody_reviewed_it() -> None:
    found = Texts().catalogue("ar")
    assert (found["direction"], found["reviewed"]) == ("rtl", False)


@pytest.mark.parametrize("code", ["xx", "../es", "es/../es", "", "e" * 500])
def test_an_unknown_language_is_english(code: str) -> None:
    assert Texts().catalogue(code) == {"language": "en", "direction": "ltr", "reviewed": True, "texts": {}}


def test_a_site_offers_what_it_names_and_its_first_for_whoever_asks_for_another() -> None:
    texts = Texts(only=("fr", "en"))
    assert texts.languages == [{"code": "fr", "name": "français"}, {"code": "en", "name": "English"}]
    asked = {code: texts.catalogue(code)["language"] for code in ("ar", "xx", "en", "fr")}
    assert asked == {"ar": "fr", "xx": "fr", "en": "en", "fr": "fr"}
    with pytest.raises(CartError, match="languages: there is no 'xx'; choose of en, ar"):
        Texts(only=("en", "xx"))


def test_adding_a_language_is_adding_a_file(tmp_path: Path) -> None:
    (tmp_path / "de.po").write_text(
        'msgid ""\nmsgstr ""\n"Language: de\\n"\n"X-Language-Name: Deutsch\\n"\n\nmsgid "Light"\nmsgstr "Licht"\n'
    )
    texts = Texts(tmp_path)
    assert texts.languages == [{"code": "en", "name": "English"}, {"code": "de", "name": "Deutsch"}]
    assert texts.catalogue("de")["texts"] == {"Light": "Licht"}
    assert texts.catalogue("de")["reviewed"]


ROOMS = (adjusting, cart, desk, lighting, rights, room, shots, users, watch, stills)
"""What a nurse meets, and what it raises."""
KINDS = (NotNow, NotYours, SignInRefused, CartBusy, DeskGone, CameraError, LightError)


def raised(module: ModuleType) -> Iterator[str]:
    """The texts of the errors that a module makes, with `7` for each value in them, as the screen is told them."""
    names = {**vars(module), **vars(importlib.import_module("device.errors"))}
    assert module.__file__ is not None
    for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
            continue
        kind = names.get(node.func.id)
        if isinstance(kind, type) and issubclass(kind, KINDS):
            for said in texts(node.args[0], names):
                yield shown(CartError(said))


def texts(node: ast.expr, names: dict[str, Any]) -> list[str]:
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.Name):
        return [found] if isinstance(found := names.get(node.id), str) else []
    if isinstance(node, ast.JoinedStr):
        return ["".join(part for piece in node.values for part in texts(piece, names) or ["7"])]
    if isinstance(node, ast.FormattedValue):
        found = node.value
        return texts(found, names) if isinstance(found, ast.Name) and found.id.isupper() else ["7"]
    return []


class OnePart(SimpleNamespace):
    """A link to a board in some state."""


def told() -> Iterator[str]:
    """What the screens say by themselves: of parts, and of an infant that was looked for elsewhere."""
    yield from (watch.stills_problem(1), watch.stills_problem(3), watch.stuck_problem(20.0))
    for free in (0, watch.PICTURE_BYTES):
        yield watch.disk_problem(SimpleNamespace(free_bytes=lambda free=free: free))  # type: ignore[arg-type]
    for state in CameraState:
        yield cart._camera_problem(SimpleNamespace(state=state))[0]  # type: ignore[arg-type]
    for flags in (Flags(0), Flags.INTERLOCK_CLOSED | Flags.OVERHEATED):
        yield Lighting._problem_of(OnePart(failure=None, flags=flags))[0]  # type: ignore[arg-type]
    yield from (orders.UNREADABLE.format(count=3), orders.UNUSABLE.format(fault="KeyError"), room.UNREAD_TOLD)
    yield from ALREADY.values()
    yield from for_the_trail([f"the worklist has this name and birth date under A and B; {DO}"])
    yield f"the worklist has this identifier with another name and birth date; {DO}"
    yield f"exam 20261130-AAAA has this identifier with another sex; {DO}"
    for was in (TAKEN_OUT, IN_VOIDED):
        yield f"frame 3, OD nasal: read as REFER, {was}"
    yield f"frame 3, OD nasal: {BY_WORD}"
    yield from (f"something happened; {do}" for do in (*STEPS.values(), CALL))


def unsaid(text: str, texts_: dict[str, str]) -> list[str]:
    """The parts of a text that a language has no words for, as `said` of `dom.js` looks for them."""
    if text in texts_ or text == "7":
        return []
    patterns = [re.sub(r"\\{\w+\\}", "((?:(?!; ).)+?)", re.escape(one)) for one in texts_ if "{" in one]
    if any(re.fullmatch(pattern, text) for pattern in patterns):
        return []
    parts = text.split("; ")
    return [text] if len(parts) == 1 else [left for part in parts for left in unsaid(part, texts_)]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_the_cart_says_by_itself_is_said_in_every_language(language: str) -> None:
    words = Texts().catalogue(language)["texts"]
    every = {text for module in ROOMS for text in raised(module)} | set(told()) - {""}
    assert len(every) > 70
    every -= {
        "still 7: expected http://..., https://... or folder:PATH",
        "still: 7 within 7 s; wait 7 s in case it comes late, then press again",
    }
    left = {part for text in every for part in unsaid(text, words)}
    assert left == {"something happened"}
