"""A network of the tests' own, and the archives in it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pynetdicom", reason="pydicom, pynetdicom and highdicom are not installed (extra `dicom`)")

from tests.runtime.dicom.archives import Orthanc, installed

CLONE_NEWNET = 0x40000000
SIOCSIFFLAGS, IFF_UP = 0x8914, 0x1


@pytest.fixture(scope="session")
def dicom_tools() -> None:
    """The programs that judge objects."""
    if said := installed("dciodvfy", "dcmdump", "dsrdump", "dsr2html"):
        pytest.skip(said)


@pytest.fixture(scope="module")
def private_network() -> Iterator[None]:
    """Loopback and nothing else, for this process, its threads and what it starts.

    Orthanc listens on every address whatever it is told, and ports may be taken outside.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    outside = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(CLONE_NEWNET) != 0:
            pytest.skip(f"no network namespace ({os.strerror(ctypes.get_errno())}); run as root or in `unshare -rn`")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            fcntl.ioctl(probe, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))
        yield
        assert libc.setns(outside, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
    finally:
        os.close(outside)


@pytest.fixture(scope="module")
def running_orthanc(private_network: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    if said := installed("Orthanc"):
        pytest.skip(said)
    server = Orthanc(tmp_path_factory.mktemp("orthanc"))
    with server:
        yield server


@pytest.fixture
def orthanc(running_orthanc: Orthanc) -> Iterator[Orthanc]:
    """An archive with nothing in it."""
    running_orthanc.empty()
    yield running_orthanc
    if running_orthanc.process is None:
        running_orthanc.start()


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """The folder that holds them, see `tests.runtime.dicom.certificates`."""
    pytest.importorskip("cryptography")
    from tests.runtime.dicom.certificates import certificates_in

    return certificates_in(tmp_path)
