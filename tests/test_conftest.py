"""What the tests' own ground promises."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from _pytest.logging import catching_logs


class Walked(dict[str, Any]):
    """Loggers of which a thread makes another one while they are walked, if it may."""

    def __init__(self, loggers: dict[str, Any]) -> None:
        super().__init__(loggers)
        self.maker = threading.Thread(target=logging.getLogger, args=["made while walked"])

    def values(self) -> Iterator[Any]:  # type: ignore[override]
        for number, logger in enumerate(super().values()):
            if number == 1 and self.maker.ident is None:
                self.maker.start()
                self.maker.join(0.2)
            yield logger


def test_a_thread_that_makes_a_logger_ends_no_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pytest walks them all as it begins each part of a test."""
    walked = Walked(logging.root.manager.loggerDict)
    monkeypatch.setattr(logging.root.manager, "loggerDict", walked)
    with catching_logs(logging.NullHandler()):
        walked.maker.join()
    assert "made while walked" in walked
