"""A logger that remembers: TensorRT tells its reasons only there, and they belong into the exception."""

from __future__ import annotations

from collections import deque
from typing import Any

KEPT_LINES = 200
SHOWN_CHARACTERS = 300


class Remembered:
    """The lines that TensorRT logged, errors and warnings. `logger` is what its calls take."""

    def __init__(self, trt: Any) -> None:
        """trt: the module `tensorrt` or `tensorrt_rtx`."""
        self.errors: deque[str] = deque(maxlen=KEPT_LINES)
        self.warnings: deque[str] = deque(maxlen=KEPT_LINES)
        severity = trt.ILogger.Severity
        memory = self

        class Logger(trt.ILogger):  # type: ignore[misc]
            """TensorRT takes nothing but its own class."""

            def __init__(self) -> None:
                trt.ILogger.__init__(self)

            def log(self, level: Any, message: str) -> None:
                if level in (severity.ERROR, severity.INTERNAL_ERROR):
                    memory.errors.append(_one_line(message))
                elif level == severity.WARNING:
                    memory.warnings.append(_one_line(message))

        self.logger = Logger()

    def reason(self) -> str:
        """The first error since `clear`, where the cause stands, shortened; later ones are mostly its echo."""
        if not self.errors:
            return "its logger gave no reason"
        first = self.errors[0]
        return first if len(first) <= SHOWN_CHARACTERS else first[:SHOWN_CHARACTERS] + " ..."

    def clear(self) -> None:
        """Forget everything."""
        self.errors.clear()
        self.warnings.clear()


def _one_line(message: str) -> str:
    return " ".join(message.split())
