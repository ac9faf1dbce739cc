"""Every text of the pages has its word in every catalogue, with the same places for values."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runtime.cart.errors import CartError
from runtime.cart.texts import Texts
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
