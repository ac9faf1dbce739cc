"""The CPU backend: both graphs in OpenVINO, rewritten for what the CPU does well."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.engines.load_openvino import keep_silent

if TYPE_CHECKING:
    from runtime.engines.openvino.engine import OpenVINOEngine

__all__ = ["OpenVINOEngine"]

keep_silent()  # before any module of this package imports what it needs of OpenVINO


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from runtime.engines.openvino import engine

    return getattr(engine, name)
