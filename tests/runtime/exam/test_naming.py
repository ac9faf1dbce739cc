from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.exam.naming import cleaned, family_names, name_keys, same_name, says_nothing, spoilt

KEPT = {
    "ideographic space": "山田\u3000太郎",
    "no-break space": "De\u00a0la\u00a0Cruz^Ana",
    "joiner": "क्\u200dष^शिशु",
    "non-joiner": "می\u200cخواهم^علی",
    "mark of direction": "כהן\u200e^נועה",
}
SPOILT = {
    "control": "Doe\x07^Baby",
    "next line": "Doe\x85^Baby",
    "line separator": "Doe\u2028^Baby",
    "override": "Doe\u202e^Baby",
    "isolate": "Doe\u2066^Baby",
    "half of a character": "Doe\ud800^Baby",
}


@pytest.mark.parametrize("name", KEPT)
def test_what_a_script_needs_stays(name: str) -> None:
    assert cleaned(KEPT[name]) == KEPT[name]


@pytest.mark.parametrize("name", SPOILT)
def test_what_no_name_holds_becomes_a_space(name: str) -> None:
    assert cleaned(SPOILT[name]) == "Doe ^Baby"


SAME = [
    ("Doe^Baby", "DOE^BABY^^"),
    ("Doe^Baby", "Doe Baby"),
    ("Doe^Baby", "Baby Doe"),
    ("O'Brien^Nora", "O\u2019Brien^Nora"),
    ("Zoe\u0308^A", "Zoë^A"),
    ("Ｙａｍａｄａ^Ｔａｒｏ", "Yamada^Taro"),
    ("Yamada^Taro=山田^太郎", "Yamada^Taro"),
    ("Yamada^Taro=山田^太郎=やまだ^たろう", "=山田^太郎"),
]
OTHERS = [
    ("Doe^BabyA", "Doe^BabyB"),
    ("Doe^Baby^A", "Doe^Baby^B"),
    ("Doe^Baby", "Doe^Baby^B"),
    ("Doe^Baby", "Baby^Doe"),
    ("Müller^Zoe", "Muller^Zoe"),
    ("Yamada^Taro=山田^太郎", "Yamada^Taro=山田^次郎"),
    ("Yamada^Taro", "=山田^太郎"),
    ("", ""),
    ("^", "^"),
]


@pytest.mark.parametrize(("first", "second"), SAME)
def test_one_name_written_twice_is_one(first: str, second: str) -> None:
    assert same_name(first, second)
    assert set(name_keys(first)) & set(name_keys(second))
    assert same_name(second, first)


@pytest.mark.parametrize(("first", "second"), OTHERS)
def test_twins_and_others_are_told_apart(first: str, second: str) -> None:
    assert not same_name(first, second)
    assert not same_name(second, first)


@pytest.mark.parametrize("name", ["", "^", "^^=^", " = ", "\u200d", "\u3000", "\\"])
def test_a_name_of_delimiters_says_nothing(name: str) -> None:
    assert says_nothing(name)
    assert not says_nothing(name + "山")


def test_twins_share_a_family_name() -> None:
    for first, second in (
        ("DOE^A", "Doe^B=x^y"),
        ("=山田^太郎", "=山田^次郎"),
        ("王^小东", "王^小明"),
        ("Yamada^A=山田^太郎", "=山田^次郎"),
        ("Rivera Baby A", "Rivera^Baby B"),
        ("Baby of Ana Rivera", "RIVERA^TWIN II"),
    ):
        assert family_names(first) & family_names(second), (first, second)
    for first, second in (
        ("Doe^A", "Roe^A"),
        ("Baby of Ana", "Baby of Eva"),
        ("^A", "^B"),
        ("", ""),
        ("X^Doe", "Y^Doe"),
    ):
        assert not family_names(first) & family_names(second), (first, second)


@given(st.text(max_size=80))
def test_a_cleaned_name_holds_nothing_spoilt_and_stays(text: str) -> None:
    once = cleaned(text)
    assert not any(map(spoilt, once))
    assert cleaned(once) == once
    assert not once.startswith(" ")
    assert same_name(text, text) is bool([g for g in once.split("=")[:9] if g.strip("^ ")])
