"""What makes a benchmark unusable: a wrong call, a report that cannot be read or written, a peer that does not run."""

from __future__ import annotations

from runtime.errors import ScreeningError


class BenchError(ScreeningError):
    """The benchmark cannot be made or its reports cannot be used; its text says what, got, expected, do this."""
