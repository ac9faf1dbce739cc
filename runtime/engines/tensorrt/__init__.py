"""The GPU backends: plans of TensorRT and TensorRT-RTX, and a stand-in that keeps TensorRT's contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.engines.tensorrt.load import load_tensorrt, missing

__all__ = ["load_tensorrt", "missing"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from runtime.engines.tensorrt import load

    return getattr(load, name)
