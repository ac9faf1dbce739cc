"""What a Triton server's Python is given: tensors that end without a word in its log."""

from __future__ import annotations

import ctypes
import gc
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runtime.engines.triton.python_model import TritonPythonModel

RENAME = ctypes.pythonapi.PyCapsule_SetName
RENAME.argtypes = [ctypes.py_object, ctypes.c_char_p]
USED = b"used_dlpack"
"""What Triton 2.51 calls a capsule that it took; NumPy knows `used_dltensor` alone."""


def taken(name: str, capsule: Any) -> str:
    """As `PbTensor::FromDLPack` takes one."""
    assert "dltensor" in repr(capsule)
    RENAME(capsule, USED)
    return name


def test_a_capsule_that_the_server_took_ends_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    values = np.arange(6, dtype=np.float32).reshape(1, 6)
    values.flags.writeable = False  # as the engine's are
    taken("as it was before", np.array(values).__dlpack__())
    gc.collect()
    if not said:
        pytest.skip("this NumPy says nothing of such a capsule by itself")
    said.clear()
    model = TritonPythonModel()
    model._server = SimpleNamespace(Tensor=SimpleNamespace(from_dlpack=taken))  # type: ignore[assignment]
    assert model._tensor("vessels", values) == "vessels"
    gc.collect()
    assert not said
