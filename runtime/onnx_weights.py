"""Whether an ONNX graph holds all of its weights itself: those in other files no hash and no signature would cover.

Reads the protobuf by its field numbers (onnx.proto, IR version 13), as far as a tensor can lie in it; no ONNX library
is needed on a cart. Fields that are not known are passed over.
"""

from __future__ import annotations

from collections.abc import Container, Iterator

MODEL = {7: "graph", 20: "training", 25: "function"}
GRAPH = {1: "node", 5: "tensor", 15: "sparse"}
PARTS: dict[str, dict[int, str]] = {
    "model": MODEL,
    "graph": GRAPH,
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
"""Of each kind of message, the fields that may hold a tensor, and as what."""
EXTERNAL_DATA, DATA_LOCATION = TENSOR = (13, 14)
"""Of a tensor: where its data lie outside; and whether they do, 0 being inside."""
DEEPEST = 64
"""Graphs within graphs, as of loops and conditions."""


class NotAGraph(ValueError):
    """The bytes are not protobuf, or are nested beyond reason."""


def weights_outside(graph: bytes) -> bool:
    """Whether any tensor of the graph has its data in another file. Raises `NotAGraph`."""
    return _outside(memoryview(graph), "model", 0)


def _outside(message: memoryview, kind: str, depth: int) -> bool:
    if depth > DEEPEST:
        raise NotAGraph("nested too deeply")
    parts = PARTS[kind]
    for field, value in _fields(message, parts or TENSOR):
        if not parts:
            if field == EXTERNAL_DATA or value != 0:
                return True
        elif isinstance(value, memoryview) and _outside(value, parts[field], depth + 1):
            return True
    return False


def _fields(message: memoryview, wanted: Container[int]) -> Iterator[tuple[int, int | memoryview]]:
    """Number and content of each field that is wanted; what has a fixed length is passed over.

    Nearly all numbers take one byte, and a bundle's graphs have tens of thousands: those are read in place.
    """
    at, end = 0, len(message)
    while at < end:
        tag, at = (message[at], at + 1) if message[at] < 0x80 else _varint(message, at)
        field, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = _varint(message, at)
            if field in wanted:
                yield field, value
            continue
        if wire == 2:
            size, start = (message[at], at + 1) if at < end and message[at] < 0x80 else _varint(message, at)
        else:
            size, start = {1: 8, 5: 4}.get(wire, end + 1), at
        if size > end - start or field == 0:
            raise NotAGraph("not protobuf, or cut short")
        at = start + size
        if wire == 2 and field in wanted:
            yield field, message[start:at]


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            raise NotAGraph("not protobuf, or cut short")
        byte = message[at]
        value, at = value | (byte & 0x7F) << shift, at + 1
        if byte < 0x80:
            return value, at
    raise NotAGraph("not protobuf")
