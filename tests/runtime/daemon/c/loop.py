"""ropscreen_loop.c in Python, by the loop of runtime/daemon/README.md: SOCKET RAW WIDTH HEIGHT PERIOD_MS MAX_AGE_MS."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import runtime.daemon
from runtime.daemon.client import Client
from runtime.daemon.clock import now_ns
from runtime.daemon.errors import DaemonError

README = Path(runtime.daemon.__file__).with_name("README.md")
told = ""


def show(words: str, until_ns: int) -> None:
    global told
    line = f"{until_ns} {words}"
    if line != told:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        told = line


def camera(path: str, width: int, height: int, period_ms: int) -> Iterator[tuple[Any, int] | None]:
    pixels, next_ns = np.frombuffer(Path(path).read_bytes(), np.uint8).reshape(height, width, 3).copy(), 0
    while True:
        now = now_ns()
        if now >= next_ns:
            pixels[0, 0, 0] += 1  # no two pictures of a camera are the same
            next_ns = now + period_ms * 1_000_000
            yield pixels, now
        else:
            yield None


def main() -> None:
    path, raw, width, height, period, age = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    loop: dict[str, Any] = {"show": show}
    exec(README.read_text(encoding="utf-8").split("```python\n")[2].split("```")[0], loop)
    frames = camera(raw, int(width), int(height), int(period))
    show("No result - no picture yet", 0)
    while True:
        try:
            with Client(
                path, "camera-1", slots=3, slot_bytes=int(width) * int(height) * 3, max_age_ms=int(age)
            ) as client:
                loop["read_frames"](client, frames)
        except DaemonError:
            show("No result - the reading program does not run", 0)
            time.sleep(0.1)


if __name__ == "__main__":
    main()
