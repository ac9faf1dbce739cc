"""Gates on request, over HTTP: of a picture with an outcome, for those who may look, also after a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.demo.parts import TECHNICIAN
from runtime.errors import EngineError
from runtime.exam.errors import ExamRefused
from runtime.explanation import WORDS
from tests.runtime.cart.quick import Quick, quick
from tests.runtime.test_explain import Telling


@pytest.fixture
def cart(tmp_path: Any) -> Iterator[Quick]:
    with quick(tmp_path, engine=Telling()) as made:
        made.open_exam()
        yield made


def test_gates_are_made_when_they_are_asked_for(cart: Quick) -> None:
    taken = cart.capture("OD", "nasal")
    frames = cart.engine.frames
    answer = cart.client.get(taken["addresses"]["gates"])
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/jpeg"
    assert cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR) is not None
    told = json.loads(answer.headers["x-explanation"])
    assert told["words"] == WORDS
    assert told["log_odds"] == pytest.approx(told["base"] + told["raw_share"] + told["seg_share"])
    assert cart.engine.frames == frames + 1
    again = cart.capture("OD", "temporal")
    assert again["outcome"] == taken["outcome"]  # what was asked in between is no repeated picture
    assert cart.engine.frames == frames + 2  # and a capture makes none


def test_they_are_there_after_a_restart(cart: Quick) -> None:
    cart.capture("OD", "nasal")
    cart.stop()
    cart.start()
    cart.sign_in()
    (capture,) = cart.exam()["captures"]
    assert cart.client.get(capture["addresses"]["gates"]).status_code == 200


def test_an_address_holds_for_one_picture_kind_and_person(cart: Quick) -> None:
    address = cart.capture("OD", "nasal")["addresses"]["gates"]
    other = address.replace("/captures/1/gates", "/captures/1/overlay")
    for wrong in (address.partition("?")[0], other, address + "0", address.replace("/captures/1/", "/captures/2/")):
        assert cart.client.get(wrong).status_code == 404, wrong
    cart.sign_in(TECHNICIAN)
    assert cart.client.get(address).status_code == 403
    cart.client.cookies.clear()
    assert cart.client.get(address).status_code == 401


def test_without_an_outcome_there_are_none(cart: Quick) -> None:
    cart.dark[0] = True
    taken = cart.capture("OD", "nasal")
    assert taken["outcome"] == "RETAKE"
    assert "gates" not in taken["addresses"]
    exam = cart.exam()["exam"]
    for number, said in ((1, "no gates"), (2, "no picture 2"), (0, "no picture 0")):
        with pytest.raises(ExamRefused, match=said):
            cart.cart.gates(exam, number).result()


@pytest.mark.parametrize("why", ["the engine cannot", "it reads otherwise now"])
def test_what_cannot_be_told_is_refused_with_words(cart: Quick, why: str) -> None:
    taken = cart.capture("OD", "nasal")
    assert isinstance(cart.engine, Telling)
    if why == "the engine cannot":
        cart.engine.failure = EngineError("no account of its branches")
    else:
        cart.engine.probabilities = (0.9, 0.1)
    answer = cart.client.get(taken["addresses"]["gates"])
    assert (answer.status_code, answer.json()["title"]) == (409, "refused")
    said = {"the engine cannot": "no account", "it reads otherwise now": "other probabilities"}[why]
    assert said in answer.json()["detail"]
    assert cart.exam()["captures"][0]["outcome"] == taken["outcome"]
