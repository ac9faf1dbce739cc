"""The light that a simulated board gives, as a simulated camera of this or another process sees it: one small file.

It stands for the air between the two. Times are of the clock that all processes of a machine share.
"""

from __future__ import annotations

import json
import os
import tempfile
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from device.checked_file import read_at_most

KEPT_FLASHES = 4
_BYTES = 512
_TRIES = 5


@dataclass(frozen=True)
class FlashSeen:
    """A flash was given."""

    at_ns: int
    """`time.monotonic_ns()` at its start."""
    flash_us: int
    level: int


@dataclass(frozen=True)
class Lamp:
    """The light now, and the last flashes."""

    led_level: int = 0
    flashes: tuple[FlashSeen, ...] = ()

    def share_of_flash(self, start_ns: int, end_ns: int) -> float:
        """How much of a flash an exposure from start to end held, 1 for the whole of one."""
        total = 0.0
        for flash in self.flashes[-KEPT_FLASHES:]:
            flash_end = flash.at_ns + flash.flash_us * 1000
            both = min(flash_end, end_ns) - max(flash.at_ns, start_ns)
            total += max(0, both) / (flash_end - flash.at_ns)
        return total


def usual_lamp() -> Path:
    """Where a board writes it and a camera looks for it unless another file is named: one for each user."""
    return Path(tempfile.gettempdir()) / f"rop-lamp-{os.getuid()}"


def write_lamp(path: Path, lamp: Lamp) -> None:
    """Tell what the light is; never through a link, nor into another user's file. Raises `OSError`."""
    content = json.dumps([lamp.led_level, [asdict(flash) for flash in lamp.flashes[-KEPT_FLASHES:]]])
    line = f"{zlib.crc32(content.encode()):08x} {content}".ljust(_BYTES).encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    try:
        if os.fstat(descriptor).st_uid != os.getuid():
            raise PermissionError(1, "another user's file", os.fspath(path))
        os.pwrite(descriptor, line, 0)
    finally:
        os.close(descriptor)


def read_lamp(path: Path) -> Lamp:
    """What the light is; dark where no board tells anything."""
    for _ in range(_TRIES):  # one that is being written
        with suppress(OSError, ValueError, TypeError):
            total, _, content = read_at_most(path, _BYTES).decode("ascii").rstrip().partition(" ")
            if total == f"{zlib.crc32(content.encode()):08x}":
                led, flashes = json.loads(content)
                return Lamp(int(led), tuple(FlashSeen(**flash) for flash in flashes))
    return Lamp()
