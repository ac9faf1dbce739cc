"""Kill -9 and a lost engine at any moment: what was answered is kept, nothing else is said, the exam goes on."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart.demo.parts import PIN, USER
from runtime.exam.journal import Journal
from runtime.exam.journal.verify import verify
from tests.ports import free_port
from tests.runtime.cart.driving import PATIENCE_S, VIEWS, on_screen, until
from tests.runtime.cart.quick import INFANT_FIELDS, KEY

ROOT = Path(__file__).parents[3]
PLACES = [(eye, view) for eye in ("OD", "OS") for view in VIEWS]


class Served:
    """A cart in a process of its own, and a nurse's client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}/api/1/", timeout=PATIENCE_S)
        self.process: subprocess.Popen[str] | None = None

    def start(self, *more: str) -> None:
        """Start it, and sign in as one does after a start."""
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()
        words = [sys.executable, "-m", "tests.runtime.cart.served", str(self.folder), str(self.port), *more]
        self.process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "serving\n"
        answer = self.client.post("sign-in", json={"name": USER, "pin": PIN})
        assert answer.is_success, answer.text
        self.client.headers["X-CSRF-Token"] = answer.json()["csrf"]

    def kill(self) -> int:
        """End it without a word, or see that it has ended; its exit code."""
        assert self.process is not None
        self.process.kill()
        code = self.process.wait(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def exam(self) -> dict[str, Any]:
        """The open exam."""
        found: dict[str, Any] = self.client.get("state").json()["exam"]
        return found

    def press(self) -> httpx.Response:
        """The button, as the page has it that shows the state of now."""
        return self.client.post("capture", json=on_screen(self.exam()))

    def aim(self, eye: str, view: str) -> None:
        """Set eye and view, as the page has it that shows the state of now."""
        self.client.post("aim", json={"exam": self.exam()["exam"], "eye": eye, "view": view})

    def open_exam(self) -> None:
        """By hand."""
        body = {"infant": INFANT_FIELDS, "wrist_band_checked": True}
        assert self.client.post("exams", json=body).is_success


@pytest.fixture
def served(tmp_path: Path) -> Any:
    made = Served(tmp_path)
    yield made
    with suppress(Exception):
        made.kill()
    made.client.close()


def facts(captures: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What must not change of a picture that was answered for."""
    return [
        tuple(one[key] for key in ("number", "eye", "view", "captured_at", "outcome", "reason")) for one in captures
    ]


def killed_at_random(served: Served, times: int, seed: int) -> None:
    chance = random.Random(seed)
    served.start()
    served.open_exam()
    exam, answered = served.exam()["exam"], dict[int, tuple[Any, ...]]()

    def press() -> None:
        with suppress(httpx.HTTPError, KeyError):
            while True:
                eye, view = chance.choice(PLACES)
                shown = {"exam": exam, "eye": eye, "view": view}
                served.client.post("aim", json=shown)
                taken = served.client.post("capture", json=shown).json()["capture"]
                answered[taken["number"]] = facts([taken])[0]

    for _ in range(times):
        nurse = threading.Thread(target=press)
        nurse.start()
        time.sleep(chance.uniform(0.05, 0.8))
        served.kill()
        nurse.join(PATIENCE_S)
        assert not nurse.is_alive()
        served.start()
        shown = served.exam()["captures"]
        until(lambda: not any(one["pending"] for one in served.exam()["captures"]), "what was left is read")
        kept = {one["number"]: facts([one])[0] for one in shown}
        assert [number for number in answered if kept.get(number) != answered[number]] == []
    served.kill()
    with Journal.open(served.folder / "journal", KEY, check=False) as journal:
        assert verify(journal).findings == ()
        summary = journal.open_exam()
        assert summary is not None
        record = journal.exam(summary.exam_id)
        assert set(answered) <= {capture.number for capture in record.captures}


@pytest.mark.slow
def test_killed_twice(served: Served) -> None:
    killed_at_random(served, 2, seed=5)


@pytest.mark.soak
def test_killed_forty_times(served: Served) -> None:
    killed_at_random(served, 40, seed=6)


@pytest.mark.slow
def test_a_lost_engine_ends_the_program_with_its_code_and_says_nothing_that_the_journal_does_not_hold(
    served: Served,
) -> None:
    served.start("2")
    served.open_exam()
    served.aim("OD", "disc-centred")
    first = served.press().json()["capture"]
    assert first["outcome"] == "NO_REFERRAL_FINDINGS"
    served.aim("OD", "nasal")
    with suppress(httpx.HTTPError):  # it may be gone before it has answered
        answer = served.press()
        said = answer.json().get("capture")
        assert said is None or (said["outcome"], "GPU lost" in said["reason"]) == ("NO_RESULT", True)
    assert served.process is not None
    assert served.process.wait(PATIENCE_S) == 75
    served.start()
    until(lambda: not any(one["pending"] for one in served.exam()["captures"]), "what was left is read")
    shown = served.exam()["captures"]
    assert facts(shown[:1]) == facts([first])
    assert [one["outcome"] for one in shown[1:]] in (["NO_RESULT"], ["NO_REFERRAL_FINDINGS"])  # or read afterwards
    old = {"exam": served.exam()["exam"], "eye": "OD", "view": "nasal"}
    assert served.client.post("capture", json=old).status_code == 409  # the aim is set anew after a start
    served.aim("OD", "nasal")
    last = served.press().json()["capture"]
    # Or the camera, which began anew, too, happened to show the very picture that was left and read.
    assert last["outcome"] == "NO_REFERRAL_FINDINGS" or "repeated frame" in last["reason"], last


@pytest.mark.slow
def test_a_browser_that_ends_in_the_middle_of_a_capture_loses_nothing(served: Served) -> None:
    served.start()
    served.open_exam()
    served.aim("OD", "disc-centred")
    headers = {**served.client.headers, "Cookie": "; ".join(f"{k}={v}" for k, v in served.client.cookies.items())}
    body = json.dumps(on_screen(served.exam()))
    words = "".join(
        f"{name}: {value}\r\n" for name, value in headers.items() if name.lower() in ("cookie", "x-csrf-token")
    )
    with socket.create_connection(("127.0.0.1", served.port)) as browser:
        browser.sendall(
            f"POST /api/1/capture HTTP/1.1\r\nHost: 127.0.0.1:{served.port}\r\n{words}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
        )
    until(lambda: served.exam()["captures"] and not served.exam()["captures"][-1]["pending"], "taken, read and shown")
    assert served.exam()["captures"][-1]["outcome"] == "NO_REFERRAL_FINDINGS"
