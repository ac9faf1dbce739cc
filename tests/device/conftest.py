"""What tests of the cameras and the light share."""

from __future__ import annotations

import pytest


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that waits longer for the board's replies, for tests of something else than that time.

    Host and board are threads of one process in them, and a busy machine may keep both waiting for 150 ms.
    """
    monkeypatch.setattr("device.light.link.REPLY_MS", 300)
