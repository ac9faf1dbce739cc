"""The C library built once, and daemons as programs of their own."""

from __future__ import annotations

import contextlib
import ctypes
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runtime.bundle import Bundle
from tests.runtime.conftest import manifest_content
from tests.runtime.daemon.c.building import HERE, SOURCES, build
from tests.runtime.daemon.c.clib import CClient, load
from tests.runtime.daemon.c.daemons import Daemons


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The C library with the harness, for calls from Python."""
    compiler = next((name for name in ("cc", "gcc", "clang") if shutil.which(name)), "cc")
    path = tmp_path_factory.mktemp("ropscreen") / "libropscreen.so"
    return load(build(compiler, path, "-O2", "-fPIC", "-shared", *SOURCES, HERE / "harness.c"))


@pytest.fixture
def new_client(library: ctypes.CDLL) -> Iterator[Callable[[], CClient]]:
    """Makes clients, which are closed at the end."""
    with contextlib.ExitStack() as stack:

        def make() -> CClient:
            client = CClient(library)
            stack.callback(client.free)
            return client

        yield make


@pytest.fixture
def daemons(tmp_path: Path, bundle: Bundle) -> Iterator[Daemons]:
    it = Daemons(tmp_path / "s", tmp_path / "bundle")
    try:
        yield it
    finally:
        it.stop()


@pytest.fixture(scope="session")
def lasting_daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Socket of a daemon for all tests that do it no harm."""
    folder = tmp_path_factory.mktemp("lasting")
    (folder / "manifest.json").write_text(json.dumps(manifest_content({})))
    it = Daemons(folder / "s", folder)
    try:
        it.start()
        yield it.path
    finally:
        it.stop()
