"""What all tests of the cart share."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
OF_PYNETDICOM = (
    "ignore:Exception in thread .*run_reactor:pytest.PytestUnhandledThreadExceptionWarning",
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning",
)
"""pynetdicom drops, and does not close, a socket whose other side went away, and says so in its own thread."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            for one in OF_PYNETDICOM:
                item.add_marker(pytest.mark.filterwarnings(one))
