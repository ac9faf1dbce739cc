"""What the commands share: their parser, their numbers, their exit codes."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable

from device.command_parser import CommandParser
from device.errors import (
    BoardSilent,
    CameraBusy,
    CameraNotPermitted,
    DeviceError,
    DriverMissing,
    NotABoard,
    PortUnusable,
    SettingRefused,
    SourceNotFound,
)
from device.numbers import strict_float

SOURCES = "camera:0, an rtsp:// or http:// stream, aravis:, gstreamer:..., sim:fps=30, a video, a picture or a folder"
_UNUSABLE = (
    SourceNotFound,
    CameraBusy,
    CameraNotPermitted,
    SettingRefused,
    DriverMissing,
    PortUnusable,
    NotABoard,
    BoardSilent,
)


class OutputUnusable(DeviceError):
    """Files cannot be written where they were asked for."""


def exit_code(error: DeviceError) -> int:
    """2 when there was nothing to work with, 1 when the work itself went wrong."""
    return 2 if isinstance(error, (*_UNUSABLE, OutputUnusable)) else 1


def parser(name: str, description: str, epilog: str = "") -> argparse.ArgumentParser:
    """The parser of one command."""
    return CommandParser(
        prog=f"python -m device {name}",
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def up_to(top: int) -> Callable[[str], int]:
    """A whole number from 1 to `top`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", text) or not 1 <= int(text) <= top:
            raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from 1 to {top}")
        return int(text)

    return read


def positive(text: str) -> float:
    """A number above zero."""
    try:
        value = strict_float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number above zero")
    return value


def share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        value = strict_float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a share from 0 to 1")
    return value
