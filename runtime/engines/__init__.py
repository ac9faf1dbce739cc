"""Backends: one file each, chosen by name. A backend's library is imported when it is loaded, not before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from runtime.errors import BundleError, EngineError

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.engines.base import Engine

BACKENDS = ("tensorrt", "tensorrt-rtx", "openvino")
"""In the order in which `auto` prefers them; the last one runs anywhere."""
PRECISIONS = ("auto", "fp32", "fp16", "int8")


def load_engine(bundle: Bundle, engine: str = "auto", precision: str = "auto", threads: int | None = None) -> Engine:
    """Load a bundle's networks into a backend.

    engine: `auto` takes TensorRT, or TensorRT-RTX, when library, driver, GPU and a plan that fits are there, and
    OpenVINO otherwise; `facts.why` of the engine tells the reason. threads: of the CPU, for OpenVINO. Raises
    `EngineError` for an unknown or failing backend, `BundleError` when the bundle lacks the precision.
    """
    if engine not in ("auto", *BACKENDS):
        raise EngineError(f"engine {engine!r} is not known; expected auto or one of {', '.join(BACKENDS)}")
    if precision not in PRECISIONS:
        raise EngineError(f"precision {precision!r} is not known; expected one of {', '.join(PRECISIONS)}")
    if threads is not None and threads < 1:
        raise EngineError(f"threads: got {threads}, expected 1 or more")
    if engine != "auto":
        return _load(bundle, engine, precision, threads)
    against = []
    for backend in BACKENDS[:-1]:
        reason = _missing(bundle, backend)
        if not reason:
            try:
                return _load(bundle, backend, precision, threads)
            except (EngineError, BundleError) as error:
                reason = str(error)
        against.append(reason if reason.startswith(f"{backend}:") else f"{backend}: {reason}")
    loaded = _load(bundle, BACKENDS[-1], precision, threads)
    loaded.facts = replace(loaded.facts, why="; ".join(filter(None, (loaded.facts.why, *against))))
    return loaded


def _missing(bundle: Bundle, backend: str) -> str:
    from runtime.engines.tensorrt.load import LIBRARIES, missing

    return missing(bundle, LIBRARIES[backend])


def _source_of_default(bundle: Bundle, backend: str) -> str:
    key = bundle.default_key(backend)
    if key not in bundle.manifest.default_precision:
        return f"the bundle names no default for {backend}"
    return f"the bundle's default for {key}"


def _load(bundle: Bundle, backend: str, precision: str, threads: int | None) -> Engine:
    precisions = bundle.resolve_precision(backend, precision)
    if backend == "openvino":
        from runtime.engines.openvino.engine import OpenVINOEngine

        loaded = OpenVINOEngine(bundle, precisions, threads)
        if precision == "auto":
            words = ", ".join(f"{network} {word}" for network, word in precisions.items())
            loaded.facts = replace(loaded.facts, why=f"{words}: {_source_of_default(bundle, backend)}")
        return loaded
    from runtime.engines.tensorrt.load import LIBRARIES, load_tensorrt

    return load_tensorrt(bundle, LIBRARIES[backend], precisions)
