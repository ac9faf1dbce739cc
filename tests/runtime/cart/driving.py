"""A whole cart on simulated parts with its web server, and a client that uses it as the pages do."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect
from websockets.typing import Origin

from runtime.cart.cart import Cart
from runtime.cart.demo.parts import PIN, USER, Demonstration, demonstration, demonstration_users
from runtime.cart.server import Address, Server
from runtime.cart.users import SignIn
from runtime.exam.errors import ExamRefused
from runtime.views import Eye, View
from tests.made_once import made_once

INFANT = {"gestational_age": "27w3d", "birth_weight_g": 980, "born_at": "2026-10-18T00:00"}
VIEWS = ("disc-centred", "temporal", "nasal", "superior", "inferior")
PATIENCE_S = 300.0
"""For what a busy machine may take; nothing waits for so long where it works."""


def on_screen(exam: dict[str, Any]) -> dict[str, str]:
    """What a page sends with a press, from the exam that it shows."""
    return {"exam": exam["exam"], **(exam["aim"] or {})}


@dataclass(eq=False)
class Driver:
    """The client: cookie, token, and the words of the API."""

    simulated: Demonstration
    cart: Cart
    server: Server
    client: httpx.Client
    token: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(f"/api/1/{path}")

    def post(self, path: str, body: object = None, **headers: str) -> httpx.Response:
        return self.client.post(f"/api/1/{path}", json=body or {}, headers={"X-CSRF-Token": self.token, **headers})

    def done(self, path: str, body: object = None) -> dict[str, Any]:
        answer = self.post(path, body)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.get("state").json()
        return found

    def sign_in(self, name: str = USER, pin: str = PIN) -> None:
        answer = self.client.post("/api/1/sign-in", json={"name": name, "pin": pin})
        assert answer.is_success, answer.text
        self.token = answer.json()["csrf"]

    def open_exam(self, row: int = 0) -> str:
        item = self.done("worklist/refresh")["rows"][row]
        infant = {"infant_id": item["patient_id"], "name": item["patient_name"], "sex": item["sex"], **INFANT}
        infant["born_at"] = f"{item['birth_day']}T00:00"
        exam = self.done("exams", {"key": item["key"], "infant": infant, "wrist_band_checked": True})
        return str(exam["exam"])

    def press(self) -> httpx.Response:
        """The button, once, as the page has it that shows the state of now."""
        return self.post("capture", on_screen(self.state()["exam"]))

    def aim(self, eye: str, view: str) -> None:
        """Set eye and view, as the page has it that shows the state of now."""
        self.done("aim", {"exam": self.state()["exam"]["exam"], "eye": eye, "view": view})

    def light(self, on: bool, **more: object) -> httpx.Response:
        """Switch the light, as the page has it that shows the state of now."""
        exam = self.state()["exam"]
        return self.post("light", {"exam": exam["exam"], "eye": (exam["aim"] or {}).get("eye"), "on": on, **more})

    def pressed(self) -> httpx.Response:
        """The button, again while the cart says to wait or a busy machine makes the board refuse, as a person would."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self.press()
            if answer.is_success or time.monotonic() > deadline:
                return answer
            wait_s = answer.json().get("retry_s")
            if not wait_s and "the board refused" not in answer.text:
                return answer
            time.sleep((wait_s or 0.2) + 0.01)  # the board's own limits of time refuse without light given

    def capture(self, eye: str, view: str) -> dict[str, Any]:
        """Aim and take one picture; waits while the flash recharges, as a person would."""
        self.aim(eye, view)
        answer = self.pressed()
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()["capture"]
        return found

    def picture(self, eye: str, view: str) -> dict[str, Any]:
        """`capture`, again where no frame held the flash, as happens on a busy machine and is told as such."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            taken = self.capture(eye, view)
            if "image" in taken["pictures"] or time.monotonic() > deadline:
                return taken
            assert taken["outcome"] == "NO_RESULT", taken

    def whole_exam(self) -> None:
        """Every view of both eyes until none is left to do, retaking as the map says."""
        for eye in ("OD", "OS"):
            for view in VIEWS:
                for _ in range(4):
                    self.picture(eye, view)
                    if self.state()["exam"]["eyes"][eye]["views"][view]["status"] in ("taken", "refer"):
                        break

    def cookie(self) -> str:
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.client.cookies.jar)

    @contextmanager
    def listening(self) -> Iterator[Callable[..., dict[str, Any]]]:
        """Events as a page hears them; the function waits for the next of a kind, or of one of several."""
        address = self.server.url.replace("http", "ws") + "api/1/events"
        origin = Origin(self.server.url[:-1])
        with connect(address, additional_headers={"Cookie": self.cookie()}, origin=origin) as socket:

            def wait_for(*kinds: str) -> dict[str, Any]:
                deadline = time.monotonic() + PATIENCE_S
                while time.monotonic() < deadline:
                    event: dict[str, Any] = json.loads(socket.recv(timeout=PATIENCE_S))
                    if event["kind"] in kinds:
                        return event
                raise AssertionError(f"no event {kinds}")

            wait_for("alive")
            yield wait_for


@contextmanager
def driven(folder: Path, **settings: Any) -> Iterator[Driver]:
    """A cart that is ready to be used; its host waits longer for the board, which is a thread of the same process."""
    users = SignIn(demonstration_users())
    with (
        made_once(lambda bundle: True),
        pytest.MonkeyPatch.context() as patient,
        demonstration(folder, **settings) as simulated,
        Cart(simulated.parts) as cart,
        Server(cart, users, Address(port=0)) as server,
        httpx.Client(base_url=server.url, timeout=PATIENCE_S) as client,
    ):
        patient.setattr("device.light.link.REPLY_MS", 300)
        until(lambda: all(not part["problem"] for part in cart.health()), "every part ready")
        yield Driver(simulated, cart, server, client)


@contextmanager
def unhurried() -> Iterator[None]:
    """The cart's own limits of time (a press holds for 2 s, a frame comes within 2 s), for tests of something else.

    There the machine is only busy with other tests.
    """
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("runtime.cart.room.PRESS_HOLDS_S", PATIENCE_S)
        patched.setattr("runtime.cart.room.CAPTURE_TIMEOUT_MS", PATIENCE_S * 1000)
        patched.setattr("runtime.cart.demo.parts.BUDGET_MS", PATIENCE_S * 1000)
        yield


def taken(cart: Cart, view: View) -> dict[str, Any]:
    """A picture of the right eye by the `Cart` itself, as its screen shows it."""
    exam = cart.aim(Eye.OD, view).result(PATIENCE_S)["exam"]
    while True:
        try:
            pressed = cart.capture(operator=USER, exam=exam, aim=(Eye.OD, view)).result(PATIENCE_S)
            found: dict[str, Any] = pressed["capture"]
            return found
        except ExamRefused as error:  # of a frame from before the exam was opened, on a slow machine
            if "while no exam was open" not in str(error):
                raise


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in time"
        time.sleep(0.01)
