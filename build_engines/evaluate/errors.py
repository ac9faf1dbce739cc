"""What can go wrong with an evaluation."""

from __future__ import annotations

from build_engines.errors import BuildError


class EvaluationError(BuildError):
    """The table, the readings or the call cannot be used; its text is for the user."""
