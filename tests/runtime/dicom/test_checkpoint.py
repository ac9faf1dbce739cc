"""Whoever waits for a peer's answer gets it: the association's own thread takes nothing meanwhile."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("pynetdicom", reason="pydicom, pynetdicom and highdicom are not installed (extra `dicom`)")

from pynetdicom import AE

import runtime.dicom.connection  # noqa: F401  # mends the class of every association
from runtime.dicom.checkpoint import Checkpoint

ROUNDS = 300


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads change places as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_its_thread_takes_no_turn_while_somebody_asks_however_soon_he_asks_again(restless: None) -> None:
    association: Any = SimpleNamespace(_is_paused=False)
    checkpoint = Checkpoint(association)
    turns, ended = 0, False

    def reactor() -> None:
        nonlocal turns
        while not ended:
            time.sleep(1e-6)
            association._is_paused = True
            checkpoint.wait()
            association._is_paused = False  # as pynetdicom does it
            turns += 1

    thread = threading.Thread(target=reactor)
    thread.start()
    stolen = 0
    try:
        for _ in range(ROUNDS):
            checkpoint.clear()
            while not association._is_paused:
                time.sleep(0)
            before = turns
            time.sleep(1e-6)
            stolen += turns != before
            checkpoint.set()
    finally:
        ended = True
        checkpoint.set()
        thread.join()
    assert stolen == 0
    assert turns > 0


def test_a_thread_that_was_woken_and_finds_it_shut_again_rests_on() -> None:
    association: Any = SimpleNamespace(_is_paused=True)
    checkpoint = Checkpoint(association)
    checkpoint.clear()
    passed = threading.Event()

    def reactor() -> None:
        checkpoint.wait()
        passed.set()

    thread = threading.Thread(target=reactor)
    thread.start()
    with checkpoint._changed:  # it is woken, and cannot look before we let go
        checkpoint._open = True
        checkpoint._changed.notify_all()
        checkpoint._open = False
    assert not passed.wait(0.2)
    assert association._is_paused
    checkpoint.set()
    thread.join()
    assert not association._is_paused
    assert checkpoint.is_set()


def test_every_association_has_one() -> None:
    from pynetdicom.association import Association

    entity = AE()
    entity.add_requested_context("1.2.840.10008.1.1")
    association = Association(entity, "requestor")
    assert isinstance(association._reactor_checkpoint, Checkpoint)
    assert association._reactor_checkpoint.is_set()
