"""How it is told: the report put together, as a table, as a page with charts, as files."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    """What `runtime.bench.schema` holds was here before 0.2.0, and is found here for one release."""
    from runtime.bench import schema

    if name.startswith("_") or not hasattr(schema, name):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(schema, name)
