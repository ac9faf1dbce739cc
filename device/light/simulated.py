"""A simulated light and trigger board on a pseudo-terminal, with faults of the line that can be switched on.

It keeps the whole protocol, for demonstrations, tests and for work without hardware.
"""

from __future__ import annotations

import os
import random
import secrets
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from device.errors import PortUnusable
from device.lamp import KEPT_FLASHES, FlashSeen, Lamp, write_lamp
from device.light.board import TICK_MS, Action, Board, Ceilings, Flash, Light, Send

SIMULATED_CEILINGS = Ceilings(max_led_level=4095, max_flash_us=20_000, max_flash_level=4095, recharge_ms=250)
"""Round numbers for a light that does not exist; they follow from no standard and are for no real board."""


@dataclass(frozen=True)
class LineFaults:
    """What is wrong with the line. Shares are per byte, in both directions."""

    lost: float = 0.0
    """Share of bytes that vanish, 0 to 1."""
    duplicated: float = 0.0
    """Share of bytes that come twice, 0 to 1."""
    corrupted: float = 0.0
    """Share of bytes that come changed, 0 to 1."""
    delay_ms: float = 0.0
    """Every byte from the board comes this much later, in milliseconds."""
    silent: bool = False
    """The board hears and says nothing (its light obeys the watchdog all the same)."""


@dataclass(frozen=True)
class LightChange:
    """The continuous light changed."""

    at_ns: int
    """`time.monotonic_ns()`."""
    level: int


def draw_number() -> int:
    """A connection's number: 32 bits that nobody can foretell."""
    return secrets.randbits(32)


class SimulatedBoard:
    """A board in a thread of this process. Use it as a context manager; a host opens `port`. POSIX only.

    Everything public may be called from any thread.
    """

    def __init__(
        self,
        *,
        board_id: int = 0x51D,
        ceilings: Ceilings = SIMULATED_CEILINGS,
        interlock_closed: bool = True,
        faults: LineFaults = LineFaults(),
        seed: int = 0,
        protocol: int = 2,
        lamp: Path | None = None,
    ) -> None:
        """protocol: 2 for ROPLINK/2, 1 for a board of the older kind. lamp: file by which cameras of other processes
        see its light (`sim:lit`). Raises `PortUnusable` where there are no ptys, or that file cannot be written.
        """
        if sys.platform == "win32":
            raise PortUnusable("the simulated board needs a pseudo-terminal, got Windows; use Linux or macOS")
        import tty

        self.faults = faults
        """What is wrong with the line from now on; assign another `LineFaults` at any time."""
        self._random = random.Random(seed)
        self._board = Board(
            board_id, ceilings, time.monotonic_ns() // 1_000_000, draw_number if protocol == 2 else None
        )
        self._lock = threading.Condition()
        self._lamp_file = lamp
        self._changes: list[LightChange] = []
        self._flashes: list[FlashSeen] = []
        self._heartbeat_ns: int | None = None
        self._late: deque[tuple[float, bytes]] = deque()
        self._shine()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.port = os.ttyname(self._slave)
        """Path of the pseudo-terminal to open, `/dev/pts/7` for example."""
        self._wake_out, self._wake_in = os.pipe()
        self._stopping = False
        self.set_interlock(interlock_closed)
        self._thread = threading.Thread(target=self._run, name=f"board {self.port}", daemon=True)
        self._thread.start()

    @property
    def led_level(self) -> int:
        """Level of the continuous light now."""
        with self._lock:
            return self._board.led_level

    @property
    def light_changes(self) -> tuple[LightChange, ...]:
        """Every change of the continuous light so far."""
        with self._lock:
            return tuple(self._changes)

    @property
    def flashes(self) -> tuple[FlashSeen, ...]:
        """Every flash so far."""
        with self._lock:
            return tuple(self._flashes)

    @property
    def lamp(self) -> Lamp:
        """The light as a camera sees it."""
        with self._lock:
            return Lamp(self._board.led_level, tuple(self._flashes[-KEPT_FLASHES:]))

    @property
    def last_heartbeat_ns(self) -> int | None:
        """`time.monotonic_ns()` when the last heartbeat that counted came, None before the first."""
        with self._lock:
            return self._heartbeat_ns

    def wait_for_light(self, on: bool, timeout_s: float) -> bool:
        """Wait until the continuous light is on, or off; False when it is not within `timeout_s`."""
        with self._lock:
            return self._lock.wait_for(lambda: (self._board.led_level > 0) == on, timeout_s)

    def set_interlock(self, closed: bool) -> None:
        """Close or open the interlock."""
        self._do(lambda now: self._board.set_interlock(closed, now))

    def set_overheated(self, overheated: bool) -> None:
        """Let the light be too hot, or cool again."""
        self._do(lambda now: self._board.set_overheated(overheated, now))

    def set_foot_switch(self, pressed: bool) -> None:
        """Press or release the foot switch."""
        self._do(lambda now: self._board.set_foot_switch(pressed, now))

    def close(self) -> None:
        """Unplug: end the thread and the pseudo-terminal. Closing twice is fine."""
        if self._stopping:
            return
        self._stopping = True
        os.write(self._wake_in, b"x")
        self._thread.join()
        for descriptor in (self._master, self._slave, self._wake_out, self._wake_in):
            os.close(descriptor)

    def __enter__(self) -> SimulatedBoard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _do(self, step: Callable[[int], list[Action]]) -> None:
        """Run one step of the machine and carry out what it says."""
        with self._lock:
            now_ns, heartbeats = time.monotonic_ns(), self._board.heartbeats
            actions = step(now_ns // 1_000_000)
            if self._board.heartbeats != heartbeats:
                self._heartbeat_ns = now_ns
            for action in actions:
                if isinstance(action, Send):
                    self._say(action.data)
                elif isinstance(action, Light):
                    self._changes.append(LightChange(time.monotonic_ns(), action.level))
                elif isinstance(action, Flash):
                    self._flashes.append(FlashSeen(time.monotonic_ns(), action.flash_us, action.level))
            if any(isinstance(action, (Light, Flash)) for action in actions):
                self._shine()
            self._lock.notify_all()

    def _shine(self) -> None:
        if self._lamp_file is None:
            return
        try:
            write_lamp(self._lamp_file, self.lamp)
        except OSError as error:
            raise PortUnusable(
                f"{self._lamp_file}: the light cannot be told there ({error.strerror}); name another"
            ) from None

    def _run(self) -> None:
        while not self._stopping:
            wait_s = TICK_MS / 4000
            if self._late:
                wait_s = min(wait_s, max(0.0, self._late[0][0] - time.monotonic()))
            ready, _, _ = select.select([self._master, self._wake_out], [], [], wait_s)
            data = b""
            if self._master in ready:
                try:
                    data = self._spoil(os.read(self._master, 4096))
                except BlockingIOError:  # pragma: no cover - the kernel may change its mind after select
                    data = b""
            self._do(partial(self._board.receive, data))
            self._say_late()

    def _say(self, data: bytes) -> None:
        data = self._spoil(data)
        if self.faults.delay_ms:
            self._late.append((time.monotonic() + self.faults.delay_ms / 1000, data))
        elif data:
            self._write(data)

    def _say_late(self) -> None:
        with self._lock:
            while self._late and self._late[0][0] <= time.monotonic():
                self._write(self._late.popleft()[1])

    def _write(self, data: bytes) -> None:
        # When nobody reads and the terminal's buffer is full, the bytes are lost, as on a real line.
        with suppress(BlockingIOError):
            os.write(self._master, data)

    def _spoil(self, data: bytes) -> bytes:
        """What the line makes of bytes."""
        faults = self.faults
        if faults.silent:
            return b""
        if not (faults.lost or faults.duplicated or faults.corrupted):
            return data
        out = bytearray()
        for byte in data:
            if self._random.random() < faults.lost:
                continue
            if self._random.random() < faults.corrupted:
                byte ^= self._random.randrange(1, 256)
            out += bytes((byte,)) * (2 if self._random.random() < faults.duplicated else 1)
        return bytes(out)
