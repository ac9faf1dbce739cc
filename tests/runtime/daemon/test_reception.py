from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from runtime.daemon.reception import Reception


@pytest.fixture
def reception() -> Iterator[Reception]:
    it = Reception()
    yield it
    it.close()


@pytest.fixture
def client(reception: Reception) -> Iterator[int]:
    """An eventfd in a client's place."""
    descriptor = os.eventfd(0, os.EFD_NONBLOCK)
    reception.add(descriptor)
    yield descriptor
    os.close(descriptor)


def engine_waits(reception: Reception) -> None:
    with reception.lock:
        reception.engine_waits()


def test_an_idle_engine_hears_and_the_attendant_does_not(reception: Reception, client: int) -> None:
    engine_waits(reception)
    os.eventfd_write(client, 1)
    assert reception.waits(20) == [client]
    reception.call_attendant()
    assert reception.attends() == (True, [])


def test_while_it_is_busy_the_attendant_hears(reception: Reception, client: int) -> None:
    os.eventfd_write(client, 1)
    assert reception.attends() == (False, [client])  # busy from the start: it loads
    engine_waits(reception)
    with reception.lock:
        reception.engine_is_busy()
        reception.engine_is_busy()
    assert reception.attends() == (False, [client])
    reception.call_attendant()
    assert reception.attends() == (True, [client])


def test_the_attendant_that_waits_already_hears_what_comes_once_the_engine_is_busy(
    reception: Reception, client: int
) -> None:
    engine_waits(reception)
    heard: list[tuple[bool, list[int]]] = []
    attendant = threading.Thread(target=lambda: heard.append(reception.attends()))
    attendant.start()
    os.eventfd_write(client, 1)
    assert reception.waits(20) == [client]
    assert heard == []
    with reception.lock:
        reception.engine_is_busy()
    attendant.join(20)
    assert heard == [(False, [client])]


def test_a_waiting_engine_is_called_and_one_that_looks_anyway_is_not(reception: Reception, client: int) -> None:
    engine_waits(reception)
    with reception.lock:
        reception.call_engine()
    assert reception.waits(20) == []
    with reception.lock:
        reception.call_engine()  # it does not wait, it will look
    engine_waits(reception)
    assert reception.waits(0) == []
    os.eventfd_write(client, 1)
    assert reception.waits(20) == [client]


def test_a_call_that_came_too_late_does_not_keep_the_attendant_awake(reception: Reception, client: int) -> None:
    os.eventfd_write(client, 1)
    engine_waits(reception)
    assert reception.waits(20) == [client]
    engine_waits(reception)
    with reception.lock:
        reception.call_engine()
        reception._waiting = False  # as when its wait ended for another reason just then
        reception.engine_is_busy()
    os.eventfd_read(client)
    assert reception.attends() == (False, [])
    reception.call_attendant()
    assert reception.attends() == (True, [])  # nothing stands any more: without the call it would have waited


def test_calls_after_the_end_reach_nothing() -> None:
    it = Reception()
    it.close()
    it.call_attendant()
