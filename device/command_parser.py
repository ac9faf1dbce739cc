"""`CommandParser`: argparse's, whose complaints show no password and act on no terminal, whatever they repeat."""

from __future__ import annotations

import argparse
from typing import NoReturn

from device.secrets import hide_secrets
from device.shown import printable_lines


class CommandParser(argparse.ArgumentParser):
    """What every command of ours parses its line with; verbs of it are parsed alike."""

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End the program, as argparse does for what it cannot take: `unrecognized arguments: ...` and the like."""
        super().exit(status, message and printable_lines(hide_secrets(message)))
