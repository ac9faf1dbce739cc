"""The sink contract: what takes readings and makes something of them that stays."""

from __future__ import annotations

from typing import Protocol

from device.frame import Frame
from runtime.reading import Reading


class Sink(Protocol):
    """Takes every reading of a run in the order of reading, from one thread."""

    def write(self, frame: Frame | None, reading: Reading) -> None:
        """Take one reading, and its frame where there was one.

        Raises `OutputError` when this or an earlier reading could not be written.
        """
        ...

    def close(self) -> None:
        """Finish what is under way and give everything back. Closing twice is fine.

        Raises `OutputError` when something could not be written and `write` has not said so yet.
        """
        ...
