"""What a person at the cart's screen is told of an error: no commands of a terminal, which is the technician's."""

from __future__ import annotations

import asyncio
import json
from typing import cast

import pytest

pytest.importorskip("fastapi", reason="problems of the pages need the extra `cart`")

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from device.errors import BoardRefused, PortUnusable
from runtime.bundles.errors import SlotsError
from runtime.cart.errors import NotNow, shown
from runtime.cart.web import bodies
from runtime.cart.web.problems import of_a_body, of_ours
from runtime.exam.errors import ExamRefused, JournalDamaged, JournalFull, KeyUnusable
from tests.runtime.cart.quick import INFANT_FIELDS

SAID = {
    "damaged": (
        JournalDamaged("exam 7: its events were altered; run python -m runtime.exam verify, bring back a copy"),
        "exam 7: its events were altered; call the technician",
    ),
    "vessels": (
        JournalDamaged("vessels of exam 7: not its reading's; run verify"),
        "vessels of exam 7: not its reading's; call the technician",
    ),
    "options": (
        KeyUnusable("it is encrypted, and there is no key; name its file with --key-file"),
        "it is encrypted, and there is no key; call the technician",
    ),
    "typed words": (
        ExamRefused(
            "exam 7: no archive has them; keep its report (python -m runtime.exam export 7), then give --discard-typed"
        ),
        "exam 7: no archive has them; call the technician",
    ),
    "slots": (SlotsError("no such bundle; see: python -m runtime.bundles list"), "no such bundle; call the technician"),
    "for the person": (
        NotNow("the flash recharges, 0.2 s left; nothing was given, press again then"),
        "the flash recharges, 0.2 s left; nothing was given, press again then",
    ),
    "where a file lies": (
        JournalFull("journal /var/lib/the rop/j: 12 MiB left, new exams need 512; free some space, or retire exams"),
        "journal: 12 MiB left, new exams need 512; free some space, or retire exams",
    ),
    "where a relative one lies": (
        JournalFull("journal out/cart/journal.sqlite3: no space left; free some, then go on"),
        "journal: no space left; free some, then go on",
    ),
    "what a program asked": (
        BoardRefused(
            "/dev/pts/0: the board refused Arm(flash_us=8000, level=3): it is hot; let it cool", code=1, detail=0
        ),
        "the light board refused: it is hot; let it cool",
    ),
    "dashes": (PortUnusable("board -- away; plug it in"), "board -- away; plug it in"),
    "an exam's number": (
        ExamRefused("exam 20261129-2VG26DGV: capture 3 is excluded already"),
        "picture 3 is excluded already; nothing was changed; look at the exam again",
    ),
    "an open exam": (
        ExamRefused("exam 20261129-6NJ7FZN4 is still open; close it first, or stop or void it"),
        "an exam is still open; close it first, or stop or void it",
    ),
    "without words": (ValueError(), "ValueError; call the technician"),
}


TECHNICAL = {"damaged", "vessels", "options", "typed words", "slots"}
TECHNICAL |= {"where a file lies", "where a relative one lies", "what a program asked"}


@pytest.mark.parametrize("name", SAID)
def test_what_a_technician_needs_of_it_is_told_beside(name: str) -> None:
    error = SAID[name][0]
    answer = asyncio.run(of_ours(cast("Request", None), error))
    told = json.loads(bytes(answer.body))
    assert told.get("technical") == (str(error) if name in TECHNICAL else None)


@pytest.mark.parametrize("name", SAID)
def test_an_error_is_told_without_commands(name: str) -> None:
    error, said = SAID[name]
    assert shown(error) == said


def test_the_pages_get_these_words() -> None:
    error, said = SAID["damaged"]
    answer = asyncio.run(of_ours(cast("Request", None), error))
    assert json.loads(bytes(answer.body))["detail"] == said


ODD: list[object] = [None, True, False, 0, -1, 1.5, float("nan"), 10**30, "", " ", "x" * 10_000, "\0", [], {}, {"x": 1}]
BODIES = [kind for kind in vars(bodies).values() if isinstance(kind, type) and issubclass(kind, bodies.Body)]


@pytest.mark.parametrize("body", BODIES)
def test_what_is_wrong_with_a_request_is_said_in_words_for_people(body: type[bodies.Body]) -> None:
    for name in [*body.model_fields, "other"]:
        for value in ODD:
            try:
                body.model_validate({name: value})
                continue
            except ValidationError as error:
                wrong = [one for one in error.errors() if one["type"] != "missing"]
            if wrong:
                answer = asyncio.run(of_a_body(cast("Request", None), RequestValidationError(wrong)))
                said = json.loads(bytes(answer.body))["detail"]
                assert ": " in said
                assert not set(said.split()) & {"Input", "should", "valid", "True", "False", "pattern", "type"}, said
                assert "{" not in said
                assert said.partition(":")[0] not in ("int", "float"), said


def test_a_field_of_several_types_is_named_by_its_word() -> None:
    with pytest.raises(ValidationError) as wrong:
        bodies.OpenBody.model_validate(
            {"infant": {**INFANT_FIELDS, "birth_weight_g": "980"}, "wrist_band_checked": True}
        )
    answer = asyncio.run(of_a_body(cast("Request", None), RequestValidationError(wrong.value.errors())))
    assert json.loads(bytes(answer.body))["detail"] == "birth weight: expected a whole number"


def test_a_field_that_nobody_knows_is_named_whatever_its_name() -> None:
    with pytest.raises(ValidationError) as wrong:
        bodies.ReasonBody.model_validate({"reason": "x", "int": 1})
    answer = asyncio.run(of_a_body(cast("Request", None), RequestValidationError(wrong.value.errors())))
    assert json.loads(bytes(answer.body))["detail"] == "int: nothing is known by this name; leave it out"
