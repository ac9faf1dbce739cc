"""The fixtures of a cart's slots."""

from tests.runtime.bundles.conftest import _nothing_configured, means, one, trials, two

__all__ = ["_nothing_configured", "means", "one", "trials", "two"]
