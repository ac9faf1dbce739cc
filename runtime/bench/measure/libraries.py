"""Libraries that only the benchmark uses, imported when they are needed and named when they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from runtime.bench.errors import BenchError


def library(name: str, package: str) -> Any:
    """The module `name`; raises `BenchError` naming the package to install."""
    try:
        return import_module(name)
    except ImportError as error:
        raise BenchError(f"{name}: cannot be imported ({error}); install it: pip install {package}") from None
