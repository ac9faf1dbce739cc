"""Waiting for a model server that was just started."""

from __future__ import annotations

import time
from collections.abc import Callable

from runtime.engines.base import Engine
from runtime.errors import EngineError

NOT_YET = ("cannot be asked", "has no model")
"""What is said of a server that starts; any other refusal is an answer."""


def waited(load: Callable[[], Engine], patience_s: float = 180) -> Engine:
    """The engine, once the server is there. Raises what `load` raises of one that is."""
    end = time.monotonic() + patience_s
    while True:
        try:
            return load()
        except EngineError as error:
            if not any(words in str(error) for words in NOT_YET) or time.monotonic() > end:
                raise
            time.sleep(0.5)
