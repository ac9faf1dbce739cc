"""`python -m runtime.cart terminal`: a whole exam from a terminal, in one warm process; keys, and states in words.

A thin face over `Cart`, as the pages are: it decides nothing and words no outcome.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, TextIO

from device.errors import DeviceError
from runtime.cart.alone import alone
from runtime.cart.cart import Cart, aim_shown
from runtime.cart.events import CartEvent
from runtime.cart.room import NOT_AIMED
from runtime.commands.text import printable
from runtime.errors import ScreeningError
from runtime.exam.infant import Infant
from runtime.views import Eye, View

VIEW_KEYS = dict(zip("12345", View, strict=True))
EYE_KEYS = {"r": Eye.OD, "l": Eye.OS}
HELP = (
    f"r right eye (OD), l left eye (OS); {', '.join(f'{key} {view.value}' for key, view in VIEW_KEYS.items())}; "
    "space or foot switch takes the picture; i light on or off; m what is done; c close the exam; q leave it open"
)
LOOK_S, READY_S = 0.05, 120.0
AWAKE_S = 0.5
"""So often it looks also where nothing was pressed or told, as for an engine that is lost."""


class Terminal:
    """One exam at a terminal.

    keys: a descriptor of which each byte is a key; out: where lines go. Use `run` in the thread that made it.
    """

    def __init__(self, cart: Cart, operator: str, keys: int, out: TextIO) -> None:
        self._cart, self._operator, self._keys, self._out = cart, operator, keys, out
        self._eye, self._hint = Eye.OD, ""
        self._waiting: list[Future[dict[str, Any]]] = []
        self._woken, self._bell = socket.socketpair()
        """What is told wakes the wait for a key."""
        self._bell.setblocking(False)
        self._health: dict[str, str] = {}
        cart.operator = lambda: operator

    def run(self, infant: Infant | None) -> int:
        """Open an exam for the infant, or go on with the one that is open; gives the exit code."""
        with self._woken, self._bell, self._cart.events.listen(self._wake) as listener:
            self._ready()
            self._say(self._cart.welcome()["notice"])
            if infant is not None and not self._done(self._cart.open_exam(infant, operator=self._operator)):
                return 2
            exam = self._exam()
            if not exam:
                self._say("no exam is open; name the infant with --infant FILE")
                return 2
            self._say(f"exam {exam['exam']}: {_whose(exam)}")
            self._say_beside(exam)
            self._say(HELP)
            self._aim(View.DISC)
            while True:
                ended = self._press(self._key())
                for event in listener.take():
                    self._told(event)
                self._told_of_commands()
                if ended or self._cart.lost:
                    return self._end(ended)

    def _ready(self) -> None:
        """The engine, the camera and the board take a moment; what is missing after that is said, and waited for."""
        until = time.monotonic() + READY_S
        while time.monotonic() < until and any(part["problem"] for part in self._cart.health()[:1]):
            time.sleep(LOOK_S)
        while time.monotonic() < until and any(part["problem"] for part in self._cart.health()):
            time.sleep(LOOK_S)
            if self._cart.camera.part is not None and self._tell_health():
                break

    def _wake(self) -> None:
        with suppress(OSError):  # it is full of bells already, or nobody waits any more
            self._bell.send(b"!")

    def _key(self) -> str:
        """The key that was pressed, empty where something was told before; the end of the keys is `q`."""
        bell = self._woken.fileno()
        ready = select.select([self._keys, bell], [], [], AWAKE_S)[0]
        if bell in ready:
            self._woken.recv(65536)
        if self._keys not in ready:
            return ""
        try:
            return os.read(self._keys, 1).decode("ascii", "replace") or "q"
        except OSError:  # the terminal is gone
            return "q"

    def _press(self, key: str) -> str:
        """Do what a key asks; gives it where it ends the session."""
        if not self._cart.exam_shown():  # closed by another program, or a page
            return "q"
        if not key:
            return ""
        exam = self._exam()
        if key in ("c", "q"):
            return key
        if key in EYE_KEYS:
            self._eye = EYE_KEYS[key]
            self._aim(View(exam["aim"]["view"]) if exam.get("aim") else View.DISC)
        elif key in VIEW_KEYS:
            self._aim(VIEW_KEYS[key])
        elif key in (" ", "\r", "\n"):
            aim = aim_shown(exam)
            if aim is None:
                self._say(f"refused: {NOT_AIMED}")
            else:
                self._later(self._cart.capture(operator=self._operator, exam=exam["exam"], aim=aim))
        elif key == "i":
            on = not (exam.get("light") or {}).get("on", False)
            self._later(self._cart.light(on, exam=exam["exam"], eye=self._eye))
        elif key == "m":
            self._map(exam)
        else:
            self._say(HELP)
        return ""

    def _aim(self, view: View) -> None:
        if self._done(self._cart.aim(self._eye, view)):
            self._say(f"aim: {self._eye.value} {view.value}")

    def _later(self, future: Future[dict[str, Any]]) -> None:
        self._waiting.append(future)
        future.add_done_callback(lambda _: self._wake())

    def _told_of_commands(self) -> None:
        for future in [future for future in self._waiting if future.done()]:
            self._waiting.remove(future)
            self._done(future)

    def _done(self, future: Future[dict[str, Any]]) -> bool:
        """Whether it went well; why not is said."""
        try:
            future.result()
        except (ScreeningError, DeviceError) as error:
            self._say(f"refused: {error}")
            return False
        return True

    def _told(self, event: CartEvent) -> None:
        if event.kind == "captured":
            self._say(f"picture {event.content['number']} taken")
        elif event.kind == "reading":
            self._say(f"picture {event.content['number']}: {event.content['banner']}")
        elif event.kind == "refused":
            self._say(f"refused: {event.content['reason']}")
        elif event.kind == "hint" and event.content["hint"] != self._hint:
            self._hint = event.content["hint"]
            self._say(f"live picture: {self._hint}")
        elif event.kind == "health":
            self._tell_health()

    def _tell_health(self) -> bool:
        """Say what changed; whether anything is wrong."""
        now = {part["name"]: part["problem"] for part in self._cart.health()}
        for name, problem in now.items():
            if problem != self._health.get(name, ""):
                self._say(f"{name}: {problem or 'works'}")
        self._health = now
        return any(now.values())

    def _map(self, exam: dict[str, Any]) -> None:
        self._say(_whose(exam))
        for eye, content in exam["eyes"].items():
            views = ", ".join(f"{view} {state['status']}" for view, state in content["views"].items())
            self._say(f"{eye}: {views}")
        dose = (exam.get("light") or {}).get("dose", {})
        for eye, hazards in dose.items():
            for name, one in hazards.items():
                self._say(f"light, {eye}, {name}: {one['used']:.3g} of {one['limit']:.3g} {one['unit']}")
        self._say_outcome(exam)

    def _say_outcome(self, exam: dict[str, Any]) -> None:
        """What must be read beside the outcome comes with it: disagreements, and referring pictures taken out."""
        self._say(exam["banner"])
        self._say_beside(exam)

    def _say_beside(self, exam: dict[str, Any]) -> None:
        for said in (*exam.get("disagreements", ()), *exam.get("warnings", ())):
            self._say(f"! {said}")

    def _end(self, key: str) -> int:
        """The result of a closed exam; one that is left open says so, and goes on with the next call."""
        for future in self._waiting:
            self._done(future)
        exam = self._exam()
        if self._cart.lost:
            self._say("the engine is lost to this process; start it again, the exam goes on")
            return 1
        if key == "c" and exam:
            if not self._done(self._cart.close_exam(exam["exam"], operator=self._operator)):
                return 1
            self._say_outcome(self._cart.exam(exam["exam"]).result())
        else:
            self._say(f"exam {exam['exam']} stays open" if exam else "the exam was closed elsewhere")
        return 0

    def _exam(self) -> dict[str, Any]:
        found: dict[str, Any] = self._cart.state()["exam"] or {}
        return found

    def _say(self, text: str) -> None:
        self._out.write(printable(str(text)) + "\r\n")
        self._out.flush()


def _whose(exam: dict[str, Any]) -> str:
    infant = exam["infant"]
    return f"{infant['shown_name']}, {infant['infant_id']}, born {infant['born_day']}"


@contextmanager
def single_keys(descriptor: int) -> Iterator[None]:
    """Keys one by one and unseen, where it is a terminal; Ctrl-C stays what it is."""
    if not os.isatty(descriptor):
        yield
        return
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield
    finally:
        with suppress(termios.error):  # it is gone
            termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def terminal(options: Namespace) -> int:
    """The verb."""
    from runtime.exam.commands.common import read_infant

    infant = None if options.infant is None else read_infant(options.infant)
    with ExitStack() as stack:
        if options.demo:
            from runtime.cart.demo.parts import demonstration

            parts = stack.enter_context(demonstration(options.folder)).parts
            infant = infant or _demonstration_infant()
        else:
            from runtime.cart.configured import parts_of
            from runtime.config import load_config

            config = load_config(options.config)
            stack.enter_context(alone(config.journal, f"journal {config.journal}"))
            parts = parts_of(config, send=options.send)
        cart = stack.enter_context(Cart(parts))
        stack.enter_context(single_keys(sys.stdin.fileno()))
        try:
            return Terminal(cart, options.operator, sys.stdin.fileno(), sys.stdout).run(infant)
        except KeyboardInterrupt:
            return 130  # the exam stays open; what was acknowledged is in the journal


def _demonstration_infant() -> Infant:
    from runtime.exam.demonstration import demonstration_infant
    from runtime.exam.infant import now_utc

    return demonstration_infant(now_utc())
