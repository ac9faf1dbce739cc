"""The daemon's log: fields in the journal where there is one, else a line on standard error."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import sys
from pathlib import Path

from runtime.commands.text import printable

JOURNAL = Path("/run/systemd/journal/socket")
NOTICE, WARNING, ERROR = 5, 4, 3


class Log:
    """Never raises, and is never given a frame's source: no name that a client chose gets here."""

    def __init__(self, journal: Path = JOURNAL) -> None:
        """journal: used when systemd connected standard error to the journal, which `JOURNAL_STREAM` tells."""
        self._journal = str(journal) if os.environ.get("JOURNAL_STREAM") and journal.exists() else ""

    def write(self, priority: int, message: str, **fields: str) -> None:
        """One entry. fields: names as the journal has them, `ROP_STATE` and the like."""
        if self._journal:
            entry = {"MESSAGE": message, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": "ropscreend"} | fields
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.setblocking(False)
                out.sendto(b"".join(_field(name, value) for name, value in entry.items()), self._journal)
                return
        with contextlib.suppress(OSError, ValueError):
            more = "".join(f" {name}={value}" for name, value in fields.items())
            sys.stderr.write(f"ropscreend: {printable(message + more)}\n")
            sys.stderr.flush()


def _field(name: str, value: str) -> bytes:
    """A field of the journal's own protocol: with its length where the value has more than one line."""
    data = value.encode("utf-8", "replace")
    if b"\n" in data:
        return name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
    return name.encode() + b"=" + data + b"\n"
