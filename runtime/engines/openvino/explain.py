"""What the CPU engine tells of a frame: gates that are at hand anyway, and the head asked again without a branch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.arrays import FloatArray
from runtime.engines.base import Account
from runtime.engines.openvino.branches import BranchesRequest
from runtime.engines.openvino.gates import GATES
from runtime.engines.openvino.graph import compile_branches, compile_gates, last_line
from runtime.errors import EngineError

if TYPE_CHECKING:
    from runtime.bundle import Bundle

UNKNOWN = "openvino: this bundle's classifier has no gates or branches in a form that is known; nothing can be told"


class Explainer:
    """Looks at the tensors between two networks that have read a frame. Where the segmentation's graph calculates the
    gates and the classifier runs in its branches, nothing is calculated anew but the head."""

    def __init__(
        self, core: Any, bundle: Bundle, precision: Mapping[str, str], segmentation: Any, classifier: Any
    ) -> None:
        """segmentation, classifier: the engine's requests. Raises `EngineError` for graphs of another form."""
        self._segmentation = segmentation
        self._gates: Any = None
        """A request that makes gates of the maps, where the classifier does it within itself."""
        if not _gives(segmentation, GATES[0]):
            graph = compile_gates(core, bundle, precision, 1)
            if graph is None:
                raise EngineError(UNKNOWN)
            self._gates = graph.request()
            _share(segmentation, self._gates, graph.inputs)
        self._branches, self._again = classifier, False
        if not isinstance(classifier, BranchesRequest):
            parts = compile_branches(core, bundle, precision)
            if parts is None:
                raise EngineError(UNKNOWN)
            self._branches, self._again = parts.request(), True
            self._branches.set_tensor("image", segmentation.get_tensor("image"))
            _share(segmentation, self._branches, [name for name in parts.inputs if name != "image"])

    def account(self) -> Account:
        """Of the frame whose tensors they are. Raises `EngineError`."""
        try:
            if self._gates is not None:
                self._gates.infer()
            if self._again:
                self._branches.infer()
            logits = self._branches.without()
            source = self._segmentation if self._gates is None else self._gates
            maps = tuple(_mean(source.get_tensor(name), last=self._gates is None) for name in GATES)
        except RuntimeError as error:
            raise EngineError(f"openvino: the gates cannot be had: {last_line(error)}") from error
        if not all(np.isfinite(values).all() for values in (*logits.values(), *maps)):
            raise EngineError("openvino: the gates or the branches' logits are not finite; nothing can be told")
        return Account(maps, **logits)


def _gives(request: Any, name: str) -> bool:
    return any(name in port.get_names() for port in request.model_outputs)


def _share(giver: Any, taker: Any, names: Any) -> None:
    for name in names:
        taker.set_tensor(name, giver.get_tensor(name))


def _mean(tensor: Any, *, last: bool) -> FloatArray:
    """Mean over the channels, float32 [h, w], of a tensor [1, h, w, C] or, not `last`, [1, C, h, w]."""
    data = tensor.data
    if str(tensor.element_type.to_string()) == "bf16":  # NumPy knows no such numbers: they are the upper half of f32
        data = (data.view(np.uint16).astype(np.uint32) << 16).view(np.float32)
    mean: FloatArray = data[0].mean(axis=2 if last else 0, dtype=np.float32)
    return mean
