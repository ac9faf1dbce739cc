"""Options that more than one word has, and the kinds of values that they take."""

from __future__ import annotations

import argparse
from pathlib import Path

from device.numbers import strict_float, strict_int


def add_source_options(parser: argparse.ArgumentParser) -> None:
    """Options on how to look at sources of frames."""
    group = parser.add_argument_group("frames")
    group.add_argument("--frames", type=count, metavar="N", help="at most N frames of each source; needed for sim:")
    group.add_argument(
        "--pictures",
        action="append",
        default=[],
        metavar="SOURCE",
        help="where the pictures behind readings are: the source that runtime.screen was given; may be repeated",
    )
    group.add_argument(
        "--device", metavar="NAME", help="camera of the frames that no labels.csv beside them tells it of"
    )
    group.add_argument(
        "--bundle", type=Path, metavar="DIR", help="whose segmentation tells vessels (default: the demonstration)"
    )


def count(text: str) -> int:
    """A whole number from 1 up."""
    return _whole(text, 1)


def seed(text: str) -> int:
    """A whole number from 0 up."""
    return _whole(text, 0)


def share(text: str) -> float:
    """A share between 0 and 1."""
    try:
        value = strict_float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a share between 0 and 1")
    return value


def _whole(text: str, least: int) -> int:
    try:
        value = strict_int(text)
    except ValueError:
        value = -1
    if not least <= value < 2**31:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a whole number from {least} up")
    return value
