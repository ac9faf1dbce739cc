from __future__ import annotations

import signal

import pytest

from runtime.commands.stop import Interrupted, Stop


def test_a_signal_breaks_out_of_a_wait_that_is_marked() -> None:
    with Stop() as stop:
        with pytest.raises(Interrupted), stop.interruptible:
            signal.raise_signal(signal.SIGINT)
        assert stop.requested
        assert stop.exit_code == 130


def test_a_signal_elsewhere_is_noted_and_breaks_nothing() -> None:
    with Stop() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested
        assert stop.exit_code == 143


def test_a_signal_just_before_a_wait_does_not_let_it_begin() -> None:
    with Stop() as stop:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted), stop.interruptible:
            pytest.fail("waits for a frame although Ctrl-C was pressed")
        assert not stop.interruptible.entered


def test_afterwards_signals_do_what_they_did_before() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with Stop():
        assert signal.getsignal(signal.SIGINT) != before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
