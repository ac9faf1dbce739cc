"""First to last of ten views of an exam, warm, without a person's time: what goes by beside the readings themselves.

python tests/bench/ten_views.py [--exams 3]

Drives `python -m runtime.cart terminal --demo` (lit camera at 15 frames a second, board, flash, journal, archive) by
the keys of a pseudo-terminal, each pressed as soon as the last one is answered. One picture goes before, so that all is
warm. While the flash recharges the cart says so and takes nothing: that time is the light's, and is told by itself. Of
what is left, `until_exposed_s` went by from the presses until the camera began the exposures of the pictures.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from datetime import datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import find_key

PATIENCE_S = 300.0
REFUSED = r"refused: [^\r\n]*[\r\n]"
"""The whole of it: what comes in two parts is no other reason."""
RECHARGES = re.compile(r"refused: the flash recharges, ([0-9.]+) s left")


class Keyboard:
    """Presses keys at a pseudo-terminal, and reads what is said there."""

    def __init__(self, master: int) -> None:
        self._master, self._said = master, ""
        self.pressed_at = 0.0
        """By the clock, of the last key."""

    def press(self, keys: str, answer: str) -> str:
        """Press, and wait for a text of that pattern; gives it."""
        self._said, self.pressed_at = "", time.time()
        os.write(self._master, keys.encode())
        return self.hear(answer)

    def hear(self, answer: str) -> str:
        """Wait for a text of that pattern; hints go on coming meanwhile."""
        until = time.monotonic() + PATIENCE_S
        while (found := re.search(answer, self._said)) is None:
            if not select.select([self._master], [], [], max(0.0, until - time.monotonic()))[0]:
                raise SystemExit(f"nothing like {answer!r} within {PATIENCE_S:g} s, but: {self._said[-500:]}")
            self._said += os.read(self._master, 65536).decode("utf-8", "replace")
        return found[0]

    def end(self, process: subprocess.Popen[bytes]) -> None:
        """Read what the program says until it ends, or it would wait for that."""
        with suppress(OSError):  # nobody has the other end any more
            while os.read(self._master, 65536):
                pass
        process.wait(PATIENCE_S)

    def take(self, number: int) -> float:
        """Take a picture, in seconds that the flash had to recharge before. What a busy machine has refused for another
        reason is pressed again, as a person would; that time counts."""
        waited_s, until = 0.0, time.monotonic() + PATIENCE_S
        while not (said := self.press(" ", rf"picture {number}: |{RECHARGES.pattern}|{REFUSED}")).startswith("picture"):
            if time.monotonic() > until:
                raise SystemExit(f"picture {number} was refused for {PATIENCE_S:g} s: {self._said[-500:]}")
            if (left := RECHARGES.match(said)) is not None:
                began = time.monotonic()
                time.sleep(float(left[1]) + 0.01)
                waited_s += time.monotonic() - began
        return waited_s


def one_exam(folder: Path) -> dict[str, float]:
    """Seconds of one exam of ten views, in a program of its own."""
    master, slave = os.openpty()
    call = [sys.executable, "-m", "runtime.cart", "terminal", "--demo", "--folder", str(folder), "--operator", "bench"]
    with subprocess.Popen(call, stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        at = Keyboard(master)
        at.hear("aim: OD disc-centred")
        at.take(1)
        began, recharging, number, presses = time.monotonic(), 0.0, 1, list[float]()
        for eye in "rl":
            at.press(eye, "aim: ")
            for view in "12345":
                at.press(view, "aim: ")
                number += 1
                recharging += at.take(number)
                presses.append(at.pressed_at)
        whole = time.monotonic() - began
        at.press("c", "Refer|Retake|No re")
        at.end(process)
    os.close(master)
    with Journal.open(folder / "journal", find_key(folder / "journal.key"), read_only=True) as journal:
        read = [one.reading or {} for one in journal.exam(journal.exams()[0].exam_id).captures[1:]]
    readings = sum(float(one["timings_ms"]["total"] or 0) for one in read) / 1000
    exposed = [datetime.fromisoformat(one["frame"]["captured_at"]).timestamp() for one in read]
    told = {"whole_s": whole, "readings_s": readings, "recharging_s": recharging}
    told["beside_s"] = whole - readings - recharging
    told["until_exposed_s"] = sum(began - pressed for began, pressed in zip(exposed, presses, strict=True))
    return {name: round(seconds, 3) for name, seconds in told.items()}


def main() -> None:
    """Each exam in a folder of its own; one JSON object a line."""
    parser = argparse.ArgumentParser(description="Time ten views of an exam beside their readings.")
    parser.add_argument("--exams", type=int, default=3)
    for number in range(parser.parse_args().exams):
        with tempfile.TemporaryDirectory() as folder:
            found = {"exam": number + 1, **one_exam(Path(folder)), "load": round(os.getloadavg()[0], 1)}
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
