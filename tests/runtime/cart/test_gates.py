"""Gates on request, over HTTP: of a picture with an outcome, for those who may look, also after a restart."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.configured import parts_of
from runtime.cart.demo.parts import TECHNICIAN
from runtime.config import load_config
from runtime.daemon.limits import Limits
from runtime.daemon.model import open_model
from runtime.errors import EngineError
from runtime.exam.errors import ExamRefused
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import find_key, write_new_key
from runtime.exam.session import stored_frame
from runtime.explanation import WORDS
from runtime.screener import Screener
from tests.runtime.cart.quick import Quick, bundle, quick
from tests.runtime.daemon.conftest import running
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


@pytest.mark.parametrize("engine", ["of its own", "of the daemon"])
def test_with_real_networks_they_are_those_of_the_stored_picture_whoever_read_it(tmp_path: Path, engine: str) -> None:
    write_new_key(tmp_path / "journal.key")
    socket, file = tmp_path / "s", tmp_path / "cart.toml"
    reader = f'reader = "daemon"\ndaemon_socket = "{socket}"\n' if engine == "of the daemon" else ""
    file.write_text(f'schema = "rop.cart/1"\nkey_file = "journal.key"\n{reader}[camera]\nsource = "sim:fps=15"\n')
    with running(socket, bundle(), limits=Limits(max_age_ms=60_000)) as daemon:
        daemon.open_model = partial(open_model, None, None, None, "", "auto", "auto", None, None)
        if reader:
            daemon.release.set()
            daemon.ready()
        else:
            daemon.engine.close()
            daemon.load_error = EngineError("not asked for")
        (tmp_path / "quick").mkdir()
        with quick(tmp_path / "quick") as cart:
            cart.stop()
            drawn, given = cart.parts, parts_of(load_config(file), send=False)
            cart.parts = replace(given, open_camera=drawn.open_camera, aimed=drawn.aimed)
            cart.start()
            cart.sign_in()
            exam = cart.open_exam()
            taken = cart.capture("OD", "nasal")
            answer = cart.client.get(taken["addresses"]["gates"])
            assert answer.status_code == 200, answer.text
        daemon.engine.close()
    told = json.loads(answer.headers["x-explanation"])
    with Journal.open(tmp_path / "journal", find_key(tmp_path / "journal.key"), read_only=True) as journal:
        reading, frame = journal.exam(exam).captures[0].reading, stored_frame(journal, exam, 1)
    assert reading is not None
    assert frame is not None
    assert ("in ropscreend" in reading["engine"]["why"]) is bool(reader)
    with Screener(bundle(), engine="openvino", trust="off") as own:
        expected = own.explain(frame, bundle_sha256=bundle().sha256, probabilities=reading["probabilities"])
    assert told == {**expected.to_dict(), "words": WORDS, "took_ms": told["took_ms"]}


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
