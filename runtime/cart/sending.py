"""The sender in a thread of the cart: what another program does in `rop-sender`, for a cart that runs alone."""

from __future__ import annotations

import time
from collections.abc import Callable

from runtime.dicom.commitment import CommitmentDesk
from runtime.dicom.configuration import DicomConfig
from runtime.dicom.outbox import Outbox
from runtime.exam.journal import Journal

LOOK_AGAIN_S = 1.0


Send = Callable[[Callable[[], bool], Callable[[], None]], None]
"""Sends until the first says that it is to stop; calls the second after each pass that worked."""


def sending(open_journal: Callable[[], Journal], site: DicomConfig) -> Send:
    """A function that sends until it is told to stop. Its journal is one of its own: another connection."""

    def send(stopped: Callable[[], bool], worked: Callable[[], None]) -> None:
        with open_journal() as journal, CommitmentDesk(site) as desk:
            outbox = Outbox(journal, site)
            while not stopped():
                outbox.send_due(desk, wait=False, stopped=stopped)
                worked()
                until = time.monotonic() + LOOK_AGAIN_S
                while time.monotonic() < until and not stopped():
                    time.sleep(0.05)

    return send
