"""A daemon that says what cannot be: Python's client believes no more of it than the one in C."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from runtime.daemon.client import Client
from runtime.daemon.errors import DaemonError
from runtime.daemon.messages import FrameOrder, ResultFlag, Submit, WireOutcome
from tests.runtime.daemon.c.test_hostile_daemon import LIES, SLOT_BYTES, SLOTS, Peer, on_submit, peer_at, result

PICTURE = np.zeros((8, 8, 3), np.uint8)
TOLD = sorted(set(LIES) - {"slot_in_use"})
"""That one is true of a caller who hands the same slot over twice, which this client leaves to the daemon."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "h"


def handed_over(path: Path) -> Client:
    client = Client(path, slots=SLOTS, slot_bytes=SLOT_BYTES, order=FrameOrder.EVERY, max_age_ms=60_000, answer_s=60)
    client.fill(0, PICTURE)
    client.submit(0, 8, 8, sequence=5)
    return client


@pytest.mark.parametrize("lie", TOLD)
def test_results_that_cannot_be_end_the_connection(path: Path, lie: str) -> None:
    def lies_and_goes_on(peer: Peer, frame: Submit, tag: int) -> None:
        peer.say(LIES[lie](frame), tag)
        peer.say(result(frame), tag)  # believed, if anything were now

    with peer_at(path, on_submit(lies_and_goes_on)), handed_over(path) as client:
        for _ in range(3):
            with pytest.raises(DaemonError, match="the daemon sent"):
                client.result()
        with pytest.raises(DaemonError, match="the daemon sent"):
            client.health()
        with pytest.raises(DaemonError, match="the daemon sent"):
            client.free_slot()


@pytest.mark.parametrize("flags", [0, 48, int(ResultFlag.SUPERSEDED), int(ResultFlag.LATE | ResultFlag.GRADED)])
def test_true_results_are_believed(path: Path, flags: int) -> None:
    def says(peer: Peer, frame: Submit, tag: int) -> None:
        finding = flags == 48
        outcome = WireOutcome.REFER if finding else WireOutcome.NO_RESULT
        peer.say(result(frame, flags=flags, outcome=outcome, class_count=2 if finding else 0), tag)

    with peer_at(path, on_submit(says)), handed_over(path) as client:
        assert client.result().flags == flags
