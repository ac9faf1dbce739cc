"""What systemd is told: that the daemon is ready, how it is, and that it is alive."""

from __future__ import annotations

import contextlib
import os
import socket
import time


class Notifier:
    """Tells the service manager in `NOTIFY_SOCKET`; does nothing where there is none. Never raises. Any thread."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        for_us = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = os.environ.get("WATCHDOG_USEC", "")
        self.watchdog_s: float | None = int(usec) / 1e6 if for_us and usec.isdigit() and int(usec) else None
        """How often the manager must hear that the daemon is alive; None: it does not ask."""
        self._kicked = 0.0
        self._ready = False

    def ready(self, status: str) -> None:
        """`READY=1`, the first time; the status line every time."""
        self._tell(("" if self._ready else "READY=1\n") + f"STATUS={_line(status)}")
        self._ready = True

    def status(self, status: str) -> None:
        """The status line alone."""
        self._tell(f"STATUS={_line(status)}")

    def alive(self) -> None:
        """`WATCHDOG=1`; to be called after a completed inference or self-test and never else. Told now and then."""
        if self.watchdog_s is None or time.monotonic() - self._kicked < self.watchdog_s / 10:
            return
        self._kicked = time.monotonic()
        self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """`STOPPING=1`."""
        self._tell("STOPPING=1")

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto(text.encode(), address)


def _line(text: str) -> str:
    return text.replace("\n", " ")
