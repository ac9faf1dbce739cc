"""The options by which every command names an engine and how it runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from runtime.commands.numbers import whole
from runtime.engines import BACKENDS, PRECISIONS, backend_names
from runtime.engines.address import is_address, parse_address
from runtime.errors import EngineError


def add_engine_options(parser: argparse.ArgumentParser, *, threads: bool = True) -> argparse._ArgumentGroup:
    """`--bundle`, `--engine`, `--precision` and, where it is wanted, `--threads`; gives their group."""
    group = parser.add_argument_group("model and engine")
    group.add_argument(
        "--bundle",
        type=Path,
        metavar="DIR",
        help="the model, or a folder of slots (default: the active bundle, else the demonstration)",
    )
    group.add_argument(
        "--engine",
        type=engine_name,
        default="auto",
        metavar="NAME",
        help=f"what runs it: auto, {', '.join(BACKENDS)}, or one that another package brings; triton with its server's "
        "address, triton://HOST:PORT (default: auto)",
    )
    group.add_argument(
        "--precision", choices=PRECISIONS, default="auto", help="of the networks (default: auto, the bundle's choice)"
    )
    if threads:
        group.add_argument(
            "--threads", type=whole(1, 4096), metavar="N", help="CPU threads (default: the engine's choice)"
        )
    return group


def engine_name(text: str) -> str:
    """`auto`, the name of a backend that is known here, or a server's address."""
    if is_address(text):
        try:
            text_of = parse_address(text).backend
        except EngineError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        if text_of in backend_names():
            return text
    if text not in ("auto", *BACKENDS) and text not in backend_names():
        raise argparse.ArgumentTypeError(f"got {text!r}, expected auto or one of {', '.join(backend_names())}")
    return text
