"""Who may do what: every path of the API by every role, and no patient's data for a technician."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import connect
from websockets.typing import Origin

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.demo.parts import CLINICIAN, TECHNICIAN, USER
from runtime.cart.web.app import OF_NO_PATIENT
from tests.runtime.cart.quick import INFANT_FIELDS, Quick, quick

EVERYBODY = {USER, CLINICIAN, TECHNICIAN}
NURSING = {USER, CLINICIAN}
FINDINGS = {"eye": "OD", "stage": "1"}
WHO: dict[tuple[str, str], set[str]] = {
    ("GET", "state"): EVERYBODY,
    ("GET", "words"): NURSING,
    ("POST", "here"): EVERYBODY,
    ("POST", "pin"): EVERYBODY,
    ("GET", "worklist"): NURSING,
    ("POST", "worklist/refresh"): NURSING,
    ("POST", "exams"): NURSING,
    ("POST", "exams/look"): NURSING,
    ("GET", "exams"): NURSING,
    ("GET", "exams/{exam}"): NURSING,
    ("POST", "aim"): NURSING,
    ("POST", "light"): NURSING,
    ("POST", "capture"): NURSING,
    ("POST", "exams/{exam}/captures/{number}/exclude"): NURSING,
    ("POST", "exams/{exam}/captures/{number}/include"): NURSING,
    ("POST", "exams/{exam}/captures/{number}/confirm"): NURSING,
    ("POST", "exams/{exam}/captures/{number}/relabel"): NURSING,
    ("POST", "exams/{exam}/close"): NURSING,
    ("POST", "exams/{exam}/stop"): NURSING,
    ("POST", "exams/{exam}/void"): NURSING,
    ("POST", "exams/{exam}/correct"): NURSING,
    ("POST", "exams/{exam}/document"): {CLINICIAN},
    ("GET", "exams/{exam}/captures/{number}/{kind}"): NURSING,
    ("GET", "exams/{exam}/report.{kind}"): NURSING,
    ("GET", "preview"): EVERYBODY,
    ("GET", "preview.mjpg"): EVERYBODY,
    ("GET", "camera"): EVERYBODY,
    ("POST", "camera"): EVERYBODY,
    ("GET", "service"): EVERYBODY,
    ("POST", "service/light-test"): EVERYBODY,
    ("GET", "service/support.zip"): EVERYBODY,
    ("GET", "service/bundles"): {TECHNICIAN},
    ("POST", "service/bundles/install"): {TECHNICIAN},
    ("POST", "service/bundles/activate"): {TECHNICIAN},
    ("POST", "service/bundles/rollback"): {TECHNICIAN},
}
ANYBODY = {"welcome", "sign-in", "sign-out", "texts/{language}"}
REASON = {"reason": "tried"}
BODIES: dict[str, Any] = {
    "exams": {"infant": INFANT_FIELDS, "wrist_band_checked": True},
    "aim": {"exam": "20260101-AAAAAAAA", "eye": "OD", "view": "nasal"},
    "light": {"exam": "20260101-AAAAAAAA", "on": False},
    "exams/{exam}/captures/{number}/relabel": {"eye": "OD", "view": "nasal", **REASON},
    "exams/{exam}/stop": {"cause": "refused"},
    "exams/{exam}/correct": {"infant": INFANT_FIELDS, **REASON},
    "exams/{exam}/document": FINDINGS,
    "capture": {"exam": "20260101-AAAAAAAA", "eye": "OD", "view": "nasal"},
    "service/bundles/install": {"path": "/media/stick"},
    "service/bundles/activate": {"sha256": 64 * "0"},
}


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quick]:
    with quick(tmp_path_factory.mktemp("cart")) as made:
        made.open_exam()
        made.capture("OD", "disc-centred")
        yield made


def test_the_table_names_every_path(cart: Quick) -> None:
    described = cart.get("openapi.json").json()["paths"]
    paths = {
        (method.upper(), path.removeprefix("/api/1/"))
        for path, methods in described.items()
        for method in methods
        if path.removeprefix("/api/1/") not in ANYBODY
    }
    assert paths == set(WHO)


@pytest.mark.parametrize("name", sorted(EVERYBODY))
def test_each_role_gets_what_is_its_own_and_403_for_the_rest(cart: Quick, name: str) -> None:
    cart.sign_in(USER)
    exam = cart.get("state").json()["last_exam"]
    before = cart.get(f"exams/{exam}").json()
    cart.sign_in(name)
    for (method, path), who in WHO.items():
        if path == "preview.mjpg":
            continue  # endless; it stands beside `preview`
        filled = path.replace("{exam}", exam).replace("{number}", "1").replace("{kind}", "html")
        if name not in who:
            body = BODIES.get(path, REASON)
            answer = cart.get(filled) if method == "GET" else cart.post(filled, body)
            assert answer.status_code == 403, (method, path)
            assert answer.json()["title"] == "not yours"
            assert "Quick" not in answer.text
        elif method == "GET":
            assert cart.get(filled).status_code in (200, 204, 404), (method, path)
    cart.sign_in(USER)
    cart.sign_in(USER)
    after = cart.get(f"exams/{exam}").json()
    assert after | {"captures": 0} == before | {"captures": 0}  # a 403 changes nothing


def test_an_ophthalmologist_documents(cart: Quick) -> None:
    cart.sign_in(CLINICIAN)
    exam = cart.exam()["exam"]
    assert cart.post(f"exams/{exam}/document", FINDINGS).status_code == 200
    nothing = cart.post(f"exams/{exam}/document", {"eye": "OD"})
    assert (nothing.status_code, "nothing is named" in nothing.json()["detail"]) == (409, True)
    cart.sign_in(USER)
    assert cart.post(f"exams/{exam}/document", FINDINGS).status_code == 403


def test_a_technician_sees_nothing_of_a_patient(cart: Quick) -> None:
    cart.sign_in(TECHNICIAN)
    for path in ("state", "service", "welcome"):
        text = cart.get(path).text
        assert "Quick" not in text
        assert INFANT_FIELDS["infant_id"] not in text
    assert cart.get("state").json()["user"]["rights"] == ["bundles", "service"]
    cookie = "; ".join(f"{one.name}={one.value}" for one in cart.client.cookies.jar)
    url = cart.server.url
    address = url.replace("http", "ws") + "api/1/events"
    with connect(address, additional_headers={"Cookie": cookie}, origin=Origin(url[:-1])) as socket:
        heard = [json.loads(socket.recv(60))]
        cart.cart.events.tell("reading", exam="E", banner="OD nasal")
        cart.cart.events.tell("captured", exam="E")
        cart.cart.events.tell("health")
        while heard[-1]["kind"] != "health":
            heard.append(json.loads(socket.recv(60)))
    assert {event["kind"] for event in heard} <= OF_NO_PATIENT | {"alive"}
    cart.sign_in(USER)


def test_the_foot_switch_acts_for_nobody_who_may_not_screen(cart: Quick) -> None:
    operator = cart.cart.operator
    cart.sign_in(USER)
    cart.sign_in(TECHNICIAN)
    assert operator() == USER  # whoever screened last, not who was here last
    cart.sign_in(CLINICIAN)
    assert operator() == CLINICIAN
