"""Hypothesis's examples are the same each time, whichever of our modules are loaded."""

from __future__ import annotations

import pytest
from hypothesis import settings

import runtime.reading  # noqa: F401  # of whose constants none may be drawn


def test_no_constant_of_a_loaded_module_is_drawn() -> None:
    if settings.get_current_profile_name() != "same-each-time":
        pytest.skip("the examples are free in this run")
    from hypothesis.internal.conjecture.providers import HypothesisProvider

    assert len(HypothesisProvider(None)._local_constants) == 0
