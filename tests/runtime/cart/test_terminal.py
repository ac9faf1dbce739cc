"""An exam from a terminal: keys in, states in plain words out, the same journal as the pages write."""

from __future__ import annotations

import io
import os
import re
import select
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the quick cart needs the extra `cart`")

from runtime.cart.__main__ import main
from runtime.cart.cart import Cart
from runtime.cart.demo.parts import demonstration
from runtime.cart.terminal import Terminal, single_keys
from runtime.exam.__main__ import main as exam_main
from runtime.exam.infant import Infant
from runtime.exam.journal import Journal
from tests.runtime.cart.driving import PATIENCE_S, until
from tests.runtime.cart.quick import INFANT_FIELDS, KEY, Quick, quick

INFANT = Infant.from_dict(INFANT_FIELDS)


class Typed:
    """Somebody at a pseudo-terminal: presses keys, and reads until a text comes."""

    def __init__(self, cart: Cart, infant: Infant | None = INFANT) -> None:
        self.master, self.slave = os.openpty()
        self.out = io.StringIO()
        self.code: list[int] = []
        terminal = Terminal(cart, "anna", self.slave, self.out)

        def run() -> None:
            with single_keys(self.slave):
                self.code.append(terminal.run(infant))

        self.thread = threading.Thread(target=run, daemon=True)
        self.thread.start()

    def press(self, keys: str, said: str) -> str:
        """Press, and wait until a line of this pattern is said; gives what was said since."""
        before = len(self.out.getvalue())
        os.write(self.master, keys.encode())
        return self.hears(said, before)

    def hears(self, said: str, before: int = 0) -> str:
        until(lambda: re.search(said, self.out.getvalue()[before:]) or self.code, f"{said!r} is said")
        found = self.out.getvalue()[before:]
        assert re.search(said, found), found
        return found

    def ends(self) -> int:
        self.thread.join(PATIENCE_S)
        os.close(self.master)
        os.close(self.slave)
        return self.code[0]


@pytest.fixture
def cart(tmp_path: Path) -> Iterator[Quick]:
    with quick(tmp_path) as made:
        yield made


def test_an_exam_by_keys(cart: Quick) -> None:
    at = Typed(cart.cart)
    assert "Quick, Ada, Q-1" in at.hears("space or foot switch")
    for eye, name in (("r", "OD"), ("l", "OS")):
        at.press(eye, f"aim: {name} ")
        for key, view in zip("12345", ("disc-centred", "temporal", "nasal", "superior", "inferior"), strict=True):
            at.press(key, f"aim: {name} {view}")
            time.sleep(0.05)  # the camera turns
            assert "taken" in at.press(" ", r"picture \d+: ")
    said = at.press("m", "continue the scheduled|Refer|Retake|No result")
    assert "OS: disc-centred" in said
    assert "OD: disc-centred" in said
    at.press("i", "refused: this cart has no light board")
    at.press("?", "foot switch takes the picture")
    at.press("c", "Refer|No referral findings in these images|Retake|No result")
    assert at.ends() == 0
    with Journal.open(cart.folder / "journal", KEY, read_only=True) as journal:
        record = journal.exam(journal.exams()[0].exam_id)
    assert [(c.eye.value, c.view.value) for c in record.captures] == [
        (eye, view) for eye in ("OD", "OS") for view in ("disc-centred", "temporal", "nasal", "superior", "inferior")
    ]
    assert record.summary.phase.value == "closed"
    assert record.summary.operator == "anna"


def test_what_goes_wrong_is_said_and_an_exam_that_is_left_goes_on(cart: Quick) -> None:
    at = Typed(cart.cart)
    at.hears("aim: OD disc-centred")
    cart.unplug()
    at.hears("camera: the camera")
    at.press(" ", r"picture 1: No result")
    cart.plug()
    at.hears("camera: works")
    at.press("q", "stays open")
    assert at.ends() == 0
    other = Typed(cart.cart)  # another infant while an exam is open: nothing may be taken for either
    other.hears("refused: exam .* is still open")
    assert other.ends() == 2
    again = Typed(cart.cart, None)
    again.hears("Quick, Ada, Q-1")
    os.close(again.master)  # the terminal is gone: as if left
    again.thread.join(PATIENCE_S)
    assert again.code == [0]


def test_without_an_open_exam_nothing_is_taken(cart: Quick) -> None:
    exam_id = cart.open_exam()
    at = Typed(cart.cart, None)
    at.hears("aim: OD disc-centred")
    cart.done(f"exams/{exam_id}/close")  # a page of the same cart
    at.hears("the exam was closed elsewhere")
    assert at.ends() == 0
    at = Typed(cart.cart, None)
    at.hears("no exam is open; name the infant with --infant FILE")
    assert at.ends() == 2


def test_the_outcome_comes_with_a_refer_that_a_person_took_out(cart: Quick) -> None:
    cart.engine.probabilities = (0.1, 0.9)
    at = Typed(cart.cart)
    at.hears("aim: OD disc-centred")
    at.press(" ", r"picture 1: Refer")
    cart.cart.exclude(cart.exam()["exam"], 1, reason="of the twin", operator="anna").result()
    warning = "\r\n! frame 1, OD disc-centred: read as REFER, excluded by a person\r\n"
    at.press("m", f"Refer.*{warning}")
    at.press("c", f"Refer.*{warning}")
    assert at.ends() == 0


def test_exam_run_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert exam_main(["run"]) == 2
    assert "python -m runtime.cart terminal" in capsys.readouterr().err


def test_a_wrong_call_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["terminal", "--operator", "anna", "--config", str(tmp_path / "none.toml")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.soak
def test_ten_views_on_simulated_parts_take_little_more_than_their_readings(tmp_path: Path) -> None:
    """Light, flash, foot switch, archive, journal: of the time from the first to the last press what is no reading."""
    with demonstration(tmp_path / "cart") as simulated, Cart(simulated.parts) as cart:
        at = Typed(cart)
        at.hears("aim: OD disc-centred", 0)
        at.press(" ", r"picture 1: ")  # warm
        began, readings = time.monotonic(), 0.0
        number = 1
        for eye in "rl":
            at.press(eye, "aim: ")
            for key in "12345":
                at.press(key, "aim: ")
                number += 1
                while not re.search(rf"picture {number}: ", at.out.getvalue()):  # refused while the flash recharges
                    before = len(at.out.getvalue())
                    simulated.board.set_foot_switch(True)
                    at.hears(rf"picture {number}: |refused: ", before)
                    simulated.board.set_foot_switch(False)
                    time.sleep(0.05)
        took = time.monotonic() - began
        at.press("c", "Refer|Retake|No re")
        assert at.ends() == 0
        exam = cart.state()["last_exam"]
        record = cart._desk.do(lambda room: room.journal.exam(exam)).result(PATIENCE_S)
        readings = sum((c.reading or {})["timings_ms"]["total"] or 0 for c in record.captures[1:]) / 1000
    sys.stderr.write(f"ten views: {took:.2f} s, of it readings {readings:.2f} s, beside {took - readings:.2f} s\n")
    assert number == 11


class Person:
    """Reads a pseudo-terminal and presses its keys."""

    def __init__(self, master: int) -> None:
        self.master, self.said = master, ""

    def hears(self, what: str) -> None:
        while not re.search(what, self.said):
            assert select.select([self.master], [], [], PATIENCE_S)[0], self.said
            self.said += os.read(self.master, 4096).decode()

    def an_exam(self) -> None:
        self.hears("aim: OD disc-centred")
        while "picture 1: " not in self.said:  # on a busy machine a press is refused that waited for too long
            self.said = ""
            os.write(self.master, b" ")
            self.hears("picture 1: |refused: ")
        self.said = ""
        os.write(self.master, b"c")
        self.hears("No result|Refer|Retake|No referral")


def test_the_verb_on_a_pseudo_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`terminal --demo` as it is typed, simulated camera, light, archive and all, in this process."""
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as out, open(os.dup(slave)) as keys:
        monkeypatch.setattr("sys.stdin", keys)
        monkeypatch.setattr("sys.stdout", out)
        person = Person(master)
        thread = threading.Thread(target=person.an_exam, daemon=True)
        thread.start()
        assert main(["terminal", "--demo", "--folder", str(tmp_path), "--operator", "anna"]) == 0
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        assert termios.tcgetattr(slave)[3] & termios.ECHO  # given back as it was
    os.close(master)


@pytest.mark.soak
def test_the_command_on_a_pseudo_terminal(tmp_path: Path) -> None:
    master, slave = os.openpty()
    call = [sys.executable, "-m", "runtime.cart", "terminal", "--demo", "--folder", str(tmp_path), "--operator", "anna"]
    with subprocess.Popen(call, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        Person(master).an_exam()
        assert process.wait(60) == 0
    os.close(master)
