"""Backends: one file each, chosen by name. A backend's library is imported when it is loaded, not before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.errors import EngineError

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.engines.base import Engine

BACKENDS = ("openvino",)
"""In the order in which `auto` prefers them."""
PRECISIONS = ("auto", "fp32", "fp16", "int8")


def load_engine(bundle: Bundle, engine: str = "auto", precision: str = "auto", threads: int | None = None) -> Engine:
    """Load a bundle's networks into a backend.

    Raises `EngineError` for an unknown or failing backend, `BundleError` when the bundle lacks the precision.
    """
    backend = BACKENDS[0] if engine == "auto" else engine
    if backend not in BACKENDS:
        raise EngineError(f"engine {engine!r} is not known; expected auto or one of {', '.join(BACKENDS)}")
    if precision not in PRECISIONS:
        raise EngineError(f"precision {precision!r} is not known; expected one of {', '.join(PRECISIONS)}")
    if threads is not None and threads < 1:
        raise EngineError(f"threads: got {threads}, expected 1 or more")
    from runtime.engines.openvino import OpenVINOEngine

    return OpenVINOEngine(bundle, bundle.resolve_precision(backend, precision), threads)
