"""Files that a command is told to read: a pipe, a device, a folder, a loop of links, or far too much of one is refused;
nothing is waited for."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from device.cameras.files.decode import decode_picture
from device.errors import FrameUnreadable
from runtime.bench.errors import BenchError
from runtime.bench.measure.labels import read_mask
from runtime.engines.address import ServerAddress
from runtime.engines.triton.client import read_pem
from runtime.errors import EngineError
from runtime.exam.commands.common import read_infant, read_order
from runtime.exam.errors import InfantInvalid, OrderInvalid

LARGE = 2 << 30
"""Bytes of the file that is too large; sparse, so it takes no room."""


def too_large(path: Path) -> None:
    path.touch()
    os.truncate(path, LARGE)


KINDS: dict[str, Callable[[Path], None]] = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": os.mkdir,
    "loop of links": lambda path: path.symlink_to(path.name),
    "too large": too_large,
    "missing": lambda path: None,
}
READERS: dict[str, tuple[Callable[[Path], object], type[Exception]]] = {
    "--infant": (lambda path: read_infant(str(path)), InfantInvalid),
    "--order": (lambda path: read_order(str(path)), OrderInvalid),
    "a mask of --labels": (lambda path: read_mask(path, 8), BenchError),
    "a picture": (decode_picture, FrameUnreadable),
    "certificates of --engine": (
        lambda path: read_pem(ServerAddress("triton", "h", 1, tls=True, ca=path)),
        EngineError,
    ),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_refused_at_once(reader: str, kind: str, tmp_path: Path) -> None:
    KINDS[kind](tmp_path / "bad.png")
    read, refusal = READERS[reader]
    signal.alarm(500)  # a pipe that is opened to be read ends the whole run, not the day
    try:
        with pytest.raises(refusal, match=r"bad\.png"):
            read(tmp_path / "bad.png")
    finally:
        signal.alarm(0)
