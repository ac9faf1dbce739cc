"""A cart that is up in a moment: an engine without networks, a camera whose pictures are drawn once, no light."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from device.errors import Disconnected
from device.frame import Frame
from device.live import LiveConfig, LiveReader
from runtime.bundle import Bundle, open_bundle
from runtime.cart.cart import Cart, aim_shown
from runtime.cart.demo.parts import PIN, USER, demonstration_users
from runtime.cart.parts import Parts
from runtime.cart.sending import Send
from runtime.cart.server import Address, Server
from runtime.cart.users import SignIn, User
from runtime.engines.fake import FakeEngine
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.site_rules import site_rules
from runtime.screener import Screener
from runtime.trust.site import Site
from runtime.views import Eye, View
from tests.runtime.cart.driving import PATIENCE_S, on_screen, until
from tests.runtime.test_explain import Telling

NEVER_STALLED = LiveConfig(stalled_after_s=300, kept_s=300, reconnect_after_s=300, connect_timeout_s=300)
"""A busy machine's camera is late, and no other one."""
UNPLUGGED_MS = 500.0
"""So long a press waits for a camera that is known to be away."""
KEY = JournalKey(bytes(range(32)))
INFANT = {"infant_id": "Q-1", "name": "Quick^Ada", "sex": "F", "born_at": "2026-10-18T00:00"}
INFANT_FIELDS: dict[str, Any] = {**INFANT, "gestational_age": "27w3d", "birth_weight_g": 980}


@cache
def users() -> tuple[User, ...]:
    """The demonstration's, their hashes made once."""
    return demonstration_users()


@cache
def drawn() -> Sequence[NDArray[np.uint8]]:
    """Ten different retinas, one a view of each eye; drawn once."""
    with SimulatedCamera(SimulatedConfig(seed=5, size=(256, 256), frames_per_eye=3)) as camera:
        return tuple(camera.render(3 * number)[0] for number in range(10))


@cache
def bundle() -> Bundle:
    """The demonstration's, opened and checked once."""
    return open_bundle()


@dataclass(eq=False)
class QuickCamera:
    """Shows the place that is aimed at; plugged in or not, as it is told."""

    live = True
    frame_count = None
    name = "quick camera"
    plugged: threading.Event
    place: list[int]
    dark: list[bool]
    number: int = 0
    closed: threading.Event = field(default_factory=threading.Event)

    def read(self) -> Frame | None:
        """A frame about every 20 ms, none like the one before."""
        self.closed.wait(0.02)
        if self.closed.is_set():
            return None
        if not self.plugged.is_set():
            raise Disconnected("the cable is out")
        self.number += 1
        captured_ns = (
            time.monotonic_ns()
        )  # before it is looked where it is aimed at: what is told earlier is in the picture
        pixels = drawn()[self.place[0]].copy()
        if self.dark[0]:
            pixels //= 40
        pixels[0, :4] = np.frombuffer((self.number & 0xFFFFFFFF).to_bytes(4, "little") * 3, np.uint8).reshape(4, 3)
        return Frame(pixels, sequence=self.number, source=f"quick:{self.number}", captured_ns=captured_ns)

    def close(self) -> None:
        """End it."""
        self.closed.set()

    def __enter__(self) -> QuickCamera:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


@dataclass(eq=False)
class Quick:
    """The cart, a client of its API, and the handles by which a test breaks things."""

    folder: Path
    send: Send | None = None
    ordering: Callable[[], Sequence[Any]] | None = None
    open_journal: Callable[[], Journal] | None = None
    plugged: threading.Event = field(default_factory=threading.Event)
    place: list[int] = field(default_factory=lambda: [0])
    dark: list[bool] = field(default_factory=lambda: [False])
    engine: FakeEngine = field(default_factory=FakeEngine)
    port: int = 0
    broken: dict[str, str] = field(default_factory=dict)
    """Further parts with what is said of them."""
    token: str = ""
    _away: pytest.MonkeyPatch = field(default_factory=pytest.MonkeyPatch)
    """What is changed while the camera is away."""

    def __post_init__(self) -> None:
        self.plugged.set()
        views = list(View)

        def aimed(eye: Eye, view: View) -> None:
            self.place[0] = views.index(view) + 5 * (eye is Eye.OS)

        def open_screener(threshold: float | None) -> Screener:
            return Screener(bundle(), engine=self.engine, trust="off", threshold=threshold, reject_repeats=True)

        self.parts = Parts(
            station="QUICK",
            open_journal=self.open_journal or (lambda: Journal.open(self.folder / "journal", KEY, create=True)),
            open_screener=open_screener,
            rules=lambda: site_rules(Site(), bundle()),
            open_camera=lambda: LiveReader(
                lambda: QuickCamera(self.plugged, self.place, self.dark), "quick camera", NEVER_STALLED
            ),
            open_explainer=lambda: Screener(
                bundle(), engine=Telling(probabilities=self.engine.probabilities), trust="off"
            ),
            ordering=self.ordering,
            archive=self.send is not None,
            send=self.send,
            aimed=aimed,
            health=[partial(self._said_of, name) for name in self.broken],
        )
        self.start()

    def _said_of(self, name: str) -> tuple[str, str]:
        return name, self.broken[name]

    def start(self) -> None:
        """Start it, or start it again; nobody is signed in."""
        self.cart = Cart(self.parts)
        self.server = Server(self.cart, SignIn(users()), Address(port=self.port), idle_s=3600).__enter__()
        fresh = httpx.Limits(max_keepalive_connections=0)  # a kept one may be closed just as it is used again
        self.client = httpx.Client(base_url=self.server.url, timeout=PATIENCE_S, limits=fresh)
        until(self.ready, "the cart is ready")

    def ready(self) -> bool:
        """Whether every part but those that were broken on purpose is."""
        health = {part["name"]: part["problem"] for part in self.cart.health()}
        return not health["software"] and not (health["camera"] and self.plugged.is_set())

    def unplug(self) -> None:
        """Pull the camera's cable."""
        self._away.setattr("runtime.cart.room.CAPTURE_TIMEOUT_MS", UNPLUGGED_MS)
        self.plugged.clear()

    def plug(self) -> None:
        """Put the cable in again."""
        self._away.undo()
        self.plugged.set()

    def stop(self) -> None:
        """End it in the proper way."""
        self.client.close()
        self.server.__exit__()
        self.cart.close()

    def sign_in(self, name: str = USER) -> None:
        """Sign in as one of the demonstration's users."""
        answer = self.client.post("/api/1/sign-in", json={"name": name, "pin": PIN})
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["csrf"]

    def get(self, path: str) -> Any:
        """Ask."""
        return self.client.get(f"/api/1/{path}")

    def post(self, path: str, body: object = None) -> Any:
        """Change."""
        return self.client.post(f"/api/1/{path}", json=body or {}, headers={"X-CSRF-Token": self.token})

    def done(self, path: str, body: object = None) -> dict[str, Any]:
        """Change, which must work."""
        answer = self.post(path, body)
        assert answer.status_code < 300, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def open_exam(self, **other: Any) -> str:
        """By hand."""
        body = {"infant": {**INFANT_FIELDS, **other}, "wrist_band_checked": True}
        return str(self.done("exams", body)["exam"])

    def exam(self) -> dict[str, Any]:
        """The open one, as the screens show it."""
        found: dict[str, Any] = self.get("state").json()["exam"]
        return found

    def aim(self, eye: str, view: str) -> None:
        """Set eye and view, as the page has it that shows the state of now."""
        self.done("aim", {"exam": self.exam()["exam"], "eye": eye, "view": view})

    def capture(self, eye: str, view: str) -> dict[str, Any]:
        """Aim, and take the next picture, which shows what is aimed at."""
        self.aim(eye, view)
        found: dict[str, Any] = self.done("capture", on_screen(self.exam()))["capture"]
        return found

    def press(self) -> Any:
        """The button, once, as the page has it that shows the state of now."""
        return self.post("capture", on_screen(self.exam()))

    def pressed(self) -> Future[dict[str, Any]]:
        """The same by the `Cart` itself; nothing is waited for."""
        exam = self.cart.exam_shown()
        aim = aim_shown(exam)
        assert aim is not None
        return self.cart.capture(operator=USER, exam=exam["exam"], aim=aim)


@contextmanager
def quick(folder: Path, **settings: Any) -> Iterator[Quick]:
    """A quick cart with the nurse signed in."""
    made = Quick(folder, **settings)
    try:
        made.sign_in()
        yield made
    finally:
        made.plug()
        made.stop()
