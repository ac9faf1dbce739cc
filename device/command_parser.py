"""`CommandParser`: argparse's, whose complaints show no password and act on no terminal, whatever they repeat.

Its `type=int` and `type=float` are `device.numbers`': Python's own take `1_000`, `nan` and digits of every script.
Its `type=Path` is `device.paths`': Python's own takes nothing for the folder one stands in.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from device.numbers import strict_float, strict_int
from device.paths import named_path
from device.secrets import hide_secrets
from device.shown import printable_lines
from device.streams import tell

Read = TypeVar("Read")


class CommandParser(argparse.ArgumentParser):
    """What every command of ours parses its line with; verbs of it are parsed alike."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register("type", int, _told(strict_int))
        self.register("type", float, _told(strict_float))
        self.register("type", Path, _told(named_path))

    def print_help(self, file: Any = None) -> None:
        """Print it, to standard output unless told otherwise; what cannot be printed ends the program in a line."""
        if file is None:
            tell(self.format_help())
        else:
            super().print_help(file)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End the program, as argparse does for what it cannot take: `unrecognized arguments: ...` and the like."""
        super().exit(status, message and printable_lines(hide_secrets(message)))


def _told(read: Callable[[str], Read]) -> Callable[[str], Read]:
    def told(text: str) -> Read:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return told
