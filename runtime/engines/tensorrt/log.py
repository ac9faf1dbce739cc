"""TensorRT's logger, remembered: its reasons go nowhere else, and they belong into the exception."""

from __future__ import annotations

from collections import deque
from typing import Any

KEPT_LINES = 100
LONGEST_REASON = 300
"""Characters."""


class Remembered:
    """The errors and warnings that TensorRT logged last; `logger` is what its objects take."""

    def __init__(self, trt: Any) -> None:
        """trt: the module `tensorrt` or `tensorrt_rtx`."""
        self.errors: deque[str] = deque(maxlen=KEPT_LINES)
        self.warnings: deque[str] = deque(maxlen=KEPT_LINES)
        kept = {
            trt.ILogger.Severity.INTERNAL_ERROR: self.errors,
            trt.ILogger.Severity.ERROR: self.errors,
            trt.ILogger.Severity.WARNING: self.warnings,
        }

        class Logger(trt.ILogger):  # type: ignore[misc]
            """Nothing but a child of its own class will do."""

            def __init__(self) -> None:
                trt.ILogger.__init__(self)  # not super(): the bindings ask for it in these words

            def log(self, severity: Any, message: str) -> None:
                """Called from whatever thread TensorRT works in."""
                if severity in kept:
                    kept[severity].append(" ".join(message.split()))

        self.logger = Logger()

    def reason(self) -> str:
        """The first error since `clear`: the later ones are mostly its echo."""
        return self.errors[0][:LONGEST_REASON] if self.errors else "its logger gave no reason"

    def clear(self) -> None:
        """Forget everything."""
        self.errors.clear()
        self.warnings.clear()
