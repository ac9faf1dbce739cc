"""The classifier for OpenVINO in three: its two branches, which run side by side, and the head that joins them.

A branch is a hundred layers of a few hundredths of a millisecond each. Shared out among all threads, every one of them
ends with a wait for the slowest thread; each branch on half of the threads waits less, and on one thread not at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from runtime.arrays import FloatArray
from runtime.engines.openvino.nodes import ancestors_of, closed, shape_of

IMAGE = "image"
"""The input that the raw branch lives on."""
LOGITS = "logits"
"""The output that tells what the branches add up to."""
RAW, GUIDED = "branch_raw", "branch_guided"
"""The branches' results, float32 [1, F], as the head takes them."""


@dataclass(frozen=True, eq=False)
class Branches:
    """Three `openvino.Model`s out of one."""

    raw: Any
    """From the image alone."""
    guided: Any
    """From the image and what the segmentation gave."""
    head: Any
    """From both results to the classifier's outputs."""


def branches_of(model: Any) -> Branches | None:
    """Take an `openvino.Model` apart where a result of the image alone meets one of all inputs, and only there.

    None, and the model is as it was, for a graph that has no such place.
    """
    from openvino import Model, opset13

    free = _free(model)
    meetings = [node for node in model.get_ordered_ops() if node.get_type_name() == "Concat" and _meets(node, free)]
    if len(meetings) != 1:
        return None
    (meeting,) = meetings
    if not closed(ancestors_of(meeting), meeting):
        return None
    ends = [port.get_source_output() for port in meeting.inputs()]
    starts = []
    for port, end, name in zip(meeting.inputs(), ends, (RAW, GUIDED), strict=True):
        start = opset13.parameter(shape_of(end))
        start.output(0).set_names({name})
        starts.append(start)
        port.replace_source_output(opset13.convert(start, end.get_element_type()).output(0))
    head = Model(model.get_results(), starts, "head")
    image = [parameter for parameter in model.get_parameters() if IMAGE in parameter.output(0).get_names()]
    raw = Model([_named(ends[0], RAW)], image, "raw").clone()  # both use the layers that prepare the image
    return Branches(raw, Model([_named(ends[1], GUIDED)], model.get_parameters(), "guided"), head)


def _free(model: Any) -> set[str]:
    """Nodes that depend on the image and constants alone."""
    free: set[str] = set()
    for node in model.get_ordered_ops():
        own = node.get_type_name() == "Parameter" and IMAGE not in node.output(0).get_names()
        if not own and all(port.get_source_output().get_node().get_name() in free for port in node.inputs()):
            free.add(node.get_name())
    return free


def _meets(node: Any, free: set[str]) -> bool:
    """Whether it joins two vectors, the first of the image alone, the second not."""
    vectors = [port.get_source_output() for port in node.inputs()]
    return (
        len(vectors) == 2
        and all(len(shape_of(vector)) == 2 for vector in vectors)
        and [vector.get_node().get_name() in free for vector in vectors] == [True, False]
    )


def _named(tensor: Any, name: str) -> Any:
    from openvino import opset13

    result = opset13.convert(tensor, "f32")
    result.output(0).set_names({name})
    return opset13.result(result)


class BranchesRequest:
    """Runs the three compiled parts as one, with those of an `openvino.InferRequest`'s methods that the engine uses."""

    def __init__(self, raw: Any, guided: Any, head: Any) -> None:
        """Each an `openvino.CompiledModel`."""
        self._raw, self._guided, self._head = (part.create_infer_request() for part in (raw, guided, head))
        self._raw.set_tensor(IMAGE, self._guided.get_tensor(IMAGE))
        self._head.set_tensor(RAW, self._raw.get_tensor(RAW))
        self._head.set_tensor(GUIDED, self._guided.get_tensor(GUIDED))
        self._between = [request.get_tensor(name).data for request, name in ((self._raw, RAW), (self._guided, GUIDED))]
        self._failure: RuntimeError | None = None
        self._outputs = {name for port in head.outputs for name in port.get_names()}

    def get_tensor(self, name: str) -> Any:
        """An input's or an output's tensor."""
        return (self._head if name in self._outputs else self._guided).get_tensor(name)

    def set_tensor(self, name: str, tensor: Any) -> None:
        """Let an input be read from there, or an output be written there."""
        if name == IMAGE:
            self._raw.set_tensor(name, tensor)
        (self._head if name in self._outputs else self._guided).set_tensor(name, tensor)

    def start_async(self) -> None:
        """Begin the guided branch, and do the raw one here meanwhile.

        Of two threads woken at once one may find itself behind the other on one core, for a whole branch.
        """
        for vector in self._between:  # one that is not written must not be the frame before's
            vector.fill(np.nan)
        self._failure = None
        self._guided.start_async()
        try:
            self._raw.infer()
        except RuntimeError as error:  # told when the other has ended
            self._failure = error

    def wait(self) -> None:
        """Until all is done. Raises `RuntimeError`, after both branches have ended."""
        self._guided.wait()
        self._join()

    def wait_for(self, ms: int) -> bool:
        """At most this long; whether all is done. Raises `RuntimeError` as `wait`."""
        if not self._guided.wait_for(ms):
            return False
        self._join()
        return True

    def infer(self) -> None:
        """`start_async` and `wait`."""
        self.start_async()
        self.wait()

    def cancel(self) -> None:
        """Ask the guided branch to stop; the raw one has ended."""
        self._guided.cancel()

    def without(self) -> dict[str, FloatArray]:
        """The head's logits, copied, float32 [C] each: with `both` branches, `raw` or `guided` alone, `neither`.

        An absent one gives zeros. All of the frame that ran last, whose outputs stay as they are. Raises
        `RuntimeError`.
        """
        raw, guided = self._between
        kept = raw.copy(), guided.copy()
        found: dict[str, FloatArray] = {}
        try:
            for name, parts in (("neither", (0, 0)), ("raw", (1, 0)), ("guided", (0, 1)), ("both", (1, 1))):
                np.copyto(raw, kept[0] if parts[0] else 0)
                np.copyto(guided, kept[1] if parts[1] else 0)
                self._head.infer()
                found[name] = np.array(self._head.get_tensor(LOGITS).data[0], np.float32)
        finally:
            np.copyto(raw, kept[0])
            np.copyto(guided, kept[1])
        return found

    def get_profiling_info(self) -> list[Any]:
        """Of all three, where they were compiled to count."""
        parts = (self._raw, self._guided, self._head)
        return [info for part in parts for info in part.get_profiling_info()]

    def _join(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._head.infer()
