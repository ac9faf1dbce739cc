"""CUDA for the engines: one GPU, one thread, every status checked; by cuda-bindings or by PyCUDA."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from runtime.cuda.errors import CudaError

if TYPE_CHECKING:
    from runtime.cuda.base import Cuda


def open_cuda() -> Cuda:
    """The first GPU, by cuda-bindings or else by PyCUDA; it belongs to the calling thread.

    Raises `CudaError` when neither is installed, or when there is no driver or no GPU.
    """
    if _installed("cuda.bindings"):
        from runtime.cuda.bindings import BindingsCuda

        return BindingsCuda()
    if _installed("pycuda"):
        from runtime.cuda.pycuda import PyCuda

        return PyCuda()
    raise CudaError("CUDA: neither cuda-bindings nor PyCUDA is installed; install one: pip install cuda-bindings")


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a parent package
        return False
