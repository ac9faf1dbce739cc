"""What the cart adds to a reading: the button, the live picture, an idle day.

    python tests/bench/cart_figures.py [--size 2040x2040] [--captures 30] [--browser 20] [--day 1000] [--idle-s 10]

Everything over HTTP against the cart's own server, with the shipped engine and a camera whose pictures are drawn before
the clock runs. In turns, so that another program's load meets both sides alike: captures with and without a viewer that
asks for live pictures as fast as they come (`preview`); each with its time from the press to the answer, against the
reading's own (`button`), and from the key in Chromium until the page shows the outcome (`screen`, with playwright).
Then `runtime.screen` reads the same pictures from files (`same`). Then a day's captures with
an engine without networks, and the memory before and after it (`day`); and the processor's time of a cart that nobody
uses (`idle`). Prints one JSON object; 1 when a figure does not hold.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from device.frame import Frame
from device.live import LiveReader
from runtime.bundle import open_bundle
from runtime.cart.cart import Cart
from runtime.cart.demo.parts import PIN, USER, demonstration_users
from runtime.cart.parts import Parts
from runtime.cart.server import Address, Server
from runtime.cart.users import SignIn
from runtime.engines.fake import FakeEngine
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.site_rules import site_rules
from runtime.screener import Screener
from runtime.trust.site import Site

KEY = JournalKey(bytes(range(32)))
FPS, PICTURES = 15.0, 6
ADDED_MS, PREVIEW_SHARE, CORE_SHARE, GROWTH_MIB = 150.0, 1.05, 0.15, 20.0
PLACES = [(eye, view) for eye in ("OD", "OS") for view in ("disc-centred", "temporal", "nasal", "superior", "inferior")]
INFANT = {"infant_id": "F-1", "name": "Figure^Ida", "sex": "F", "born_at": "2026-10-18T00:00"}


class Drawn:
    """Gives pictures that were drawn before, at a steady rate, none like another."""

    live, name = True, "drawn camera"
    frame_count: int | None = None

    def __init__(self, pictures: list[np.ndarray[Any, Any]], fps: float) -> None:
        self._pictures, self._period_s = pictures, 1 / fps
        self._closed, self._number = threading.Event(), 0

    def read(self) -> Frame | None:
        """The next one."""
        if self._closed.wait(self._period_s):
            return None
        self._number += 1
        pixels = self._pictures[self._number % len(self._pictures)].copy()
        pixels[0, 0] = tuple(self._number.to_bytes(3, "little"))
        return Frame(pixels, sequence=self._number, source=f"drawn:{self._number}")

    def close(self) -> None:
        """End it."""
        self._closed.set()

    def __enter__(self) -> Drawn:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def cart_at(folder: Path, pictures: list[np.ndarray[Any, Any]], *, networks: bool, fps: float = FPS) -> Iterator[Any]:
    """A cart with its server, and a nurse's client with an open exam."""
    bundle = open_bundle()

    def open_screener(threshold: float | None) -> Screener:
        engine: Any = "auto" if networks else FakeEngine()
        return Screener(bundle, engine=engine, threshold=threshold, trust="off", reject_repeats=False)

    parts = Parts(
        station="FIGURES",
        open_journal=lambda: Journal.open(folder / "journal", KEY, create=True),
        open_screener=open_screener,
        rules=lambda: replace(site_rules(Site(), bundle)),
        open_camera=lambda: LiveReader(lambda: Drawn(pictures, fps), "drawn camera"),
        archive=False,
    )
    with (
        Cart(parts) as cart,
        Server(cart, SignIn(demonstration_users()), Address(port=0), idle_s=36000) as server,
        httpx.Client(base_url=f"{server.url}api/1/", timeout=600) as client,
    ):
        while any(part["problem"] for part in cart.health()):
            time.sleep(0.1)
        answer = client.post("sign-in", json={"name": USER, "pin": PIN})
        client.headers["X-CSRF-Token"] = answer.json()["csrf"]
        yield cart, client


def open_exam(client: httpx.Client) -> str:
    """By hand."""
    infant = {**INFANT, "gestational_age": "27w3d", "birth_weight_g": 980}
    answer = client.post("exams", json={"infant": infant, "wrist_band_checked": True})
    answer.raise_for_status()
    return str(answer.json()["exam"])


def next_exam(client: httpx.Client, before: str) -> str:
    """Close that one and open another."""
    client.post(f"exams/{before}/close", json={}).raise_for_status()
    return open_exam(client)


def capture(client: httpx.Client, number: int) -> float:
    """Press, and the milliseconds until the answer is there."""
    eye, view = PLACES[number % len(PLACES)]
    exam = client.get("state").raise_for_status().json()["exam"]["exam"]
    shown = {"exam": exam, "eye": eye, "view": view}
    client.post("aim", json=shown).raise_for_status()
    pressed = time.perf_counter()
    client.post("capture", json=shown).raise_for_status()
    return (time.perf_counter() - pressed) * 1e3


@contextmanager
def looking(client: httpx.Client, wanted: bool) -> Iterator[None]:
    """Somebody asks for one live picture after the other, as the page does."""
    done = threading.Event()

    def ask() -> None:
        number = 0
        while not done.is_set():
            answer = client.get(f"preview?after={number}")
            number = int(answer.headers.get("x-number", number))

    thread = threading.Thread(target=ask, daemon=True)
    if wanted:
        thread.start()
    yield
    done.set()
    if wanted:
        thread.join()


KEYS = [(eye, str(number)) for eye in "rl" for number in (1, 2, 3, 4, 5)]
WATCH = """place => {
  window.shown = new Promise(done => {
    setTimeout(() => done(null), 60000);
    const refused = new MutationObserver(() => {
      if (document.querySelector(".wait").textContent.includes("nothing was taken")) done(null);
    });
    const anything = { childList: true, subtree: true, characterData: true };
    refused.observe(document.querySelector(".wait"), anything);
    let pressed = 0;
    addEventListener("keydown", event => { if (event.code === "Space") pressed = performance.now(); }, true);
    const banner = document.querySelector(".banner");
    const seen = new MutationObserver(() => {
      if (!pressed || !banner.textContent.startsWith(place)) return;
      seen.disconnect();
      requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - pressed)));
    });
    seen.observe(banner, anything);
  });
}"""


def until_page(page: Any, expression: str) -> None:
    """Until it is true in the page, whose own policy forbids that Playwright asks it in there."""
    while not page.evaluate(expression):
        page.wait_for_timeout(20)


def on_screen(client: httpx.Client, presses: int, exams: list[str]) -> list[float]:
    """Milliseconds from the key to the outcome drawn on the page, for each press; Chromium is Debian's.

    exams: the last is open; grows by those that are opened, as an exam has ten views and not so many as are pressed.
    """
    from playwright.sync_api import sync_playwright

    url = str(client.base_url).removesuffix("api/1/")
    waits = []
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell") or shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.goto(url)
        page.select_option("#user", USER)
        page.fill("#pin", PIN)
        page.keyboard.press("Enter")
        page.wait_for_selector(".capture-screen")
        for number in range(presses):
            if number % len(PLACES) == 0:
                exams.append(next_exam(client, exams[-1]))
                until_page(page, "!document.querySelector('.shot') && !!document.querySelector('.cell')")
            eye, view = KEYS[number % len(KEYS)]
            named, place = PLACES[number % len(PLACES)]
            page.keyboard.press(view)
            page.keyboard.press(eye)
            until_page(page, f"document.querySelector('.aimed')?.textContent === '{named} {place}'")
            page.wait_for_timeout(300)  # as long as nobody presses
            page.evaluate(WATCH, f"{named} {place}: ")
            page.keyboard.press("Space")
            if (waited := page.evaluate("window.shown")) is not None:  # else refused, on a busy machine
                waits.append(float(waited))
            until_page(page, "!document.querySelector('button.capture').disabled")
        browser.close()
    return waits


def button_and_preview(
    folder: Path, pictures: list[np.ndarray[Any, Any]], captures: int, presses: int
) -> dict[str, Any]:
    """Captures in turns with and without a viewer, then in the browser."""
    waits: dict[bool, list[float]] = {True: [], False: []}
    worked: list[float] = []
    exams = []
    with cart_at(folder, pictures, networks=True) as (_, client):
        exams.append(open_exam(client))
        for number in range(4):
            capture(client, number)
        for number in range(captures):
            if number and number % len(PLACES) == 0:  # each is compared with all of its exam
                exams.append(next_exam(client, exams[-1]))
            viewer = number % 2 == 0
            with looking(client, viewer):
                if viewer:
                    time.sleep(0.3)
                before = time.process_time()
                waits[viewer].append(capture(client, number))
                if not viewer:
                    worked.append((time.process_time() - before) * 1e3)
        drawn_ms = on_screen(client, presses, exams) if presses else []
    with Journal.open(folder / "journal", KEY, read_only=True) as journal:
        records = [record for exam in exams for record in journal.exam(exam).captures][4:]
    every = [float(record.reading["timings_ms"]["total"]) for record in records if record.reading is not None]
    read, seen = every[:captures], every[captures:]
    with_viewer, without = read[::2], read[1::2]
    alone = reading_alone_ms(pictures, max(4, captures // 4))
    added = [wait - own for wait, own in zip(_turns(waits[True], waits[False]), read, strict=True)]
    screen = [wait - own for wait, own in zip(drawn_ms, seen, strict=True)]
    drawn_figures: dict[str, Any] = {"presses": len(screen)}
    if screen:
        drawn_figures |= {"screen_added_p50_ms": round(float(np.median(screen)), 1), "screen_added_p95_ms": p95(screen)}
    return {
        **drawn_figures,
        "captures": captures,
        "reading_p95_ms": p95(read),
        "button_to_answer_p95_ms": p95(waits[True] + waits[False]),
        "added_p50_ms": round(float(np.median(added)), 1),
        "added_p95_ms": p95(added),
        "processor_ms_of_a_capture_p50": round(float(np.median(worked)), 1),
        "processor_ms_of_a_reading_p50": round(alone, 1),
        "reading_p50_with_viewer": round(float(np.median(with_viewer) / np.median(without)), 3),
        "reading_p95_with_viewer": round(p95(with_viewer) / p95(without), 3),
    }


def reading_alone_ms(pictures: list[np.ndarray[Any, Any]], times: int) -> float:
    """Processor's time of a reading and nothing else, median: what another program does does not lengthen it."""
    took = []
    with Screener(open_bundle(), trust="off", reject_repeats=False) as screener:
        screener.screen(Frame(pictures[0].copy(), sequence=0, source="alone:0"))
        for number in range(times):
            frame = Frame(pictures[number % len(pictures)].copy(), sequence=number, source=f"alone:{number}")
            before = time.process_time()
            screener.screen(frame)
            took.append((time.process_time() - before) * 1e3)
    return float(np.median(took))


def _turns(first: list[float], second: list[float]) -> list[float]:
    return [value for pair in zip(first, second, strict=False) for value in pair]


def p95(values: list[float]) -> float:
    """95th percentile."""
    return round(float(np.percentile(values, 95)), 1)


def same_as_screen(folder: Path) -> dict[str, Any]:
    """`runtime.screen` over the journal's pictures: frames, and those with another outcome or probability."""
    stored, out = folder / "pictures", folder / "screen"
    stored.mkdir()
    told = {}
    with Journal.open(folder / "journal", KEY, read_only=True) as journal:
        for summary in journal.exams():
            for record in journal.exam(summary.exam_id).captures:
                if record.image_sha256 is None or record.reading is None:
                    continue
                pixels = journal.image(record.image_sha256)
                name = f"{summary.exam_id}-{record.number:04d}.png"
                cv2.imwrite(str(stored / name), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
                told[record.reading["frame"]["sha256"]] = record.reading
    words = [sys.executable, "-m", "runtime.screen", str(stored), "--out", str(out)]
    subprocess.run(words, check=True, capture_output=True)
    lines = [json.loads(line) for line in (out / "readings.jsonl").read_text().splitlines()]
    other = [
        line["frame"]["sha256"]
        for line in lines
        if (known := told.get(line["frame"]["sha256"])) is None
        or (known["outcome"], known["probabilities"]) != (line["outcome"], line["probabilities"])
    ]
    return {"frames": len(lines), "of": len(told), "different": len(other)}


def day(folder: Path, captures: int, idle_s: float) -> dict[str, Any]:
    """A day's captures, ten an exam; memory after the first tenth and at the end, then what an idle cart takes."""
    pictures = drawn((320, 240))
    with cart_at(folder, pictures, networks=False) as (_, client):
        early = 0.0
        for number in range(captures):
            if number % 10 == 0:
                exam = open_exam(client)
            capture(client, number)
            if number % 10 == 9:
                client.post(f"exams/{exam}/close", json={}).raise_for_status()
            if number == captures // 10:
                early = resident_mib()
        late = resident_mib()
        used, began = time.process_time(), time.monotonic()
        time.sleep(idle_s)
        core = (time.process_time() - used) / (time.monotonic() - began)
    return {
        "captures": captures,
        "resident_mib_early": early,
        "resident_mib_late": late,
        "growth_mib": round(late - early, 1),
        "idle_core_share": round(core, 4),
    }


def resident_mib() -> float:
    """Memory of this process in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * 4096 / 2**20, 1)


def drawn(size: tuple[int, int]) -> list[np.ndarray[Any, Any]]:
    """Pictures of the simulated camera."""
    with SimulatedCamera(SimulatedConfig(seed=2, size=size, frames_per_eye=3)) as camera:
        return [camera.render(3 * number)[0] for number in range(PICTURES)]


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", default="2040x2040")
    parser.add_argument("--captures", type=int, default=30)
    parser.add_argument("--browser", type=int, default=0, metavar="PRESSES", help="also in Chromium, so often")
    parser.add_argument("--day", type=int, default=1000)
    parser.add_argument("--idle-s", type=float, default=10.0)
    options = parser.parse_args()
    width, _, height = options.size.partition("x")
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="cart-figures-") as name:
        folder = Path(name)
        if options.captures:
            pictures = drawn((int(width), int(height)))
            found["button and preview"] = button_and_preview(
                folder / "one", pictures, options.captures, options.browser
            )
            found["same as runtime.screen"] = same_as_screen(folder / "one")
        if options.day:
            found["day"] = day(folder / "two", options.day, options.idle_s)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    return 0 if holds(found) else 1


def holds(found: dict[str, Any]) -> bool:
    """Whether every figure that was taken is as asked."""
    button, same, whole = (found.get(name) for name in ("button and preview", "same as runtime.screen", "day"))
    return (
        (
            button is None
            or (
                button.get("screen_added_p95_ms", button["added_p95_ms"]) <= ADDED_MS
                and button["reading_p95_with_viewer"] <= PREVIEW_SHARE
            )
        )
        and (same is None or (same["different"] == 0 and same["frames"] == same["of"] > 0))
        and (whole is None or (whole["growth_mib"] <= GROWTH_MIB and whole["idle_core_share"] <= CORE_SHARE))
    )


if __name__ == "__main__":
    sys.exit(main())
