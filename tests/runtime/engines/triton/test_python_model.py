"""What a Triton server's Python is given: tensors that end without a word in its log."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace
from typing import Any

import numpy as np

from runtime.engines.triton.python_model import TritonPythonModel

DESTRUCTOR = ctypes.pythonapi.PyCapsule_GetDestructor
DESTRUCTOR.argtypes, DESTRUCTOR.restype = [ctypes.py_object], ctypes.c_void_p


def test_a_capsule_that_the_server_took_has_nothing_to_say_at_its_end() -> None:
    """NumPy's destructor knows the name `used_dltensor` alone, Triton 2.51 calls a capsule that it took `used_dlpack`.

    It is not let happen here: what NumPy then does with the ending capsule (`PyErr_WriteUnraisable`) ends NumPy 1.26.
    """
    capsules: list[Any] = []

    def taken(name: str, capsule: Any) -> str:
        assert DESTRUCTOR(capsule)
        capsules.append(capsule)
        return name

    values = np.arange(6, dtype=np.float32).reshape(1, 6)
    values.flags.writeable = False  # as the engine's are
    model = TritonPythonModel()
    model._server = SimpleNamespace(Tensor=SimpleNamespace(from_dlpack=taken))  # type: ignore[assignment]
    assert model._tensor("vessels", values) == "vessels"
    assert not DESTRUCTOR(capsules[0])
