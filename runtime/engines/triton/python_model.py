"""`TritonPythonModel`: the bundle beside it, read by this software inside of a Triton server (its Python backend).

Written into a repository by `build_engines triton --backend python`. The server's Python needs this package.
"""

from __future__ import annotations

import ctypes
import importlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import open_bundle
from runtime.engines import load_engine
from runtime.engines.triton.contract import ENCODED, MARK, mark_of


class TritonPythonModel:
    """What the server makes, asks and ends; one engine for each instance. Errors go to the asking cart in words."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """args: the server's; `model_config` names threads and precision of the engine, `auto` where it does not."""
        self._server = importlib.import_module("triton_python_backend_utils")  # is there inside of a server only
        said = json.loads(args["model_config"])["parameters"]
        stated = {key: value["string_value"] for key, value in said.items()}
        bundle = open_bundle(Path(args["model_repository"]) / args["model_version"] / "bundle")
        if bundle.sha256 != stated["bundle_sha256"]:
            raise ValueError(f"{bundle.path}: is not the bundle of this model; make its repository again")
        threads = int(stated["threads"])
        self._engine = load_engine(bundle, "auto", stated.get("precision", "auto"), threads)
        self._mark = mark_of(bundle.sha256, self._engine.facts.precision)
        self._classes = len(bundle.class_names)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """An answer for each request: uint8 [1, 256, 256, 3]."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        make = self._server
        try:
            # By DLPack: the server's own way from and to NumPy fits only the release of NumPy that it was built with,
            # and gives empty tensors with another.
            image = np.from_dlpack(make.get_input_tensor_by_name(request, "image"))
            found = self._engine.infer(np.ascontiguousarray(image))
            values: dict[str, NDArray[Any]] = {
                "vessels": found.vessels[np.newaxis, np.newaxis],
                "probabilities": found.probabilities[np.newaxis],
                "logits": found.logits[np.newaxis],
                MARK: self._mark,
            }
            if found.encoded is not None:
                values[ENCODED] = found.encoded[np.newaxis]
            wanted = set(request.requested_output_names())
            tensors = [self._tensor(name, values[name]) for name in values if name in wanted]
            return make.InferenceResponse(output_tensors=tensors)
        except Exception as error:  # whatever it is, this frame has no result, and the cart says why
            return make.InferenceResponse(error=make.TritonError(f"{type(error).__name__}: {error}"))

    def _tensor(self, name: str, values: NDArray[Any]) -> Any:
        """A tensor of the server's with a copy of the values, which it gives back by itself.

        The server renames the capsule that it takes to a name that NumPy does not know: NumPy then printed a traceback
        into the server's log at the end of each, five a frame, about 2 ms of processor time.
        """
        capsule = np.array(values).__dlpack__()
        tensor = self._server.Tensor.from_dlpack(name, capsule)
        ctypes.pythonapi.PyCapsule_SetDestructor(ctypes.py_object(capsule), None)  # its content is the tensor's now
        return tensor

    def finalize(self) -> None:
        """Give the engine back."""
        self._engine.close()
