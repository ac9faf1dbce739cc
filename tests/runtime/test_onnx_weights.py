from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.bundle import DEMONSTRATION, open_bundle
from runtime.errors import BundleError
from runtime.onnx_weights import DEEPEST, NotAGraph, weights_outside
from tests.runtime.conftest import manifest_content

TINY = Path(__file__).parent / "engines" / "graphs"


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def part(field: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(field << 3) + varint(content)
    return varint(field << 3 | 2) + varint(len(content)) + content


OUTSIDE = part(8, b"w") + part(13, part(1, b"location") + part(2, b"weights.bin")) + part(14, 1)
INSIDE = part(1, 4) + part(2, 1) + part(8, b"w") + part(9, bytes(16)) + part(14, 0)
PLACES: dict[str, Callable[[bytes], bytes]] = {
    "initializer": lambda tensor: part(7, part(5, tensor)),
    "sparse initializer": lambda tensor: part(7, part(15, part(1, tensor))),
    "sparse initializer's indices": lambda tensor: part(7, part(15, part(2, tensor))),
    "constant": lambda tensor: part(7, part(1, part(5, part(5, tensor)))),
    "constants": lambda tensor: part(7, part(1, part(5, part(10, tensor)))),
    "sparse constant": lambda tensor: part(7, part(1, part(5, part(22, part(1, tensor))))),
    "body of a loop": lambda tensor: part(7, part(1, part(5, part(6, part(5, tensor))))),
    "bodies": lambda tensor: part(7, part(1, part(5, part(11, part(5, tensor))))),
    "function": lambda tensor: part(25, part(7, part(5, part(5, tensor)))),
    "function's default": lambda tensor: part(25, part(11, part(5, tensor))),
    "training": lambda tensor: part(20, part(1, part(5, tensor))),
}


@pytest.mark.parametrize("place", PLACES)
def test_weights_in_another_file_are_seen_wherever_a_tensor_can_lie(place: str) -> None:
    head = part(1, 9) + part(2, b"maker")
    assert weights_outside(head + PLACES[place](INSIDE + OUTSIDE))
    assert weights_outside(PLACES[place](part(13, b"")))
    assert weights_outside(PLACES[place](part(14, 1)))
    assert not weights_outside(head + PLACES[place](INSIDE))


@pytest.mark.parametrize("name", ["segmentation.onnx", "classifier.onnx"])
def test_graphs_with_their_weights_inside_pass(name: str) -> None:
    assert not weights_outside((TINY / name).read_bytes())


def test_the_demonstrations_graphs_pass() -> None:
    for path in DEMONSTRATION.glob("*.int8.onnx"):
        assert not weights_outside(path.read_bytes())


@pytest.mark.parametrize("raw", [b"\xff" * 11, b"\x3a\x05ab", b"\x0b", b"\x00", part(7, part(5, b"\x6a\x7f"))])
def test_what_is_no_graph_is_told(raw: bytes) -> None:
    with pytest.raises(NotAGraph):
        weights_outside(raw)


def test_graphs_in_graphs_without_end_are_refused() -> None:
    body = part(5, INSIDE)
    for _ in range(DEEPEST):
        body = part(1, part(5, part(6, body)))
    with pytest.raises(NotAGraph, match="too deeply"):
        weights_outside(part(7, body))


@given(st.binary(max_size=200))
def test_no_bytes_break_it(raw: bytes) -> None:
    with contextlib.suppress(NotAGraph):
        assert weights_outside(raw) in (True, False)


def test_such_a_bundle_is_refused_when_it_is_opened_which_signing_does_first(
    write_bundle: Callable[..., Path],
) -> None:
    folder = write_bundle()
    graph = PLACES["initializer"](OUTSIDE)
    names = ("segmentation.fp32.onnx", "classifier.fp32.onnx")
    files = dict(zip(names, (graph, PLACES["initializer"](INSIDE)), strict=True))
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with pytest.raises(BundleError, match=r"segmentation.fp32.onnx has weights in other files"):
        open_bundle(write_bundle_of(folder, files))
    (folder / names[0]).write_bytes(files[names[1]])
    bundle = open_bundle(write_bundle_of(folder, dict.fromkeys(names, files[names[1]])))
    assert bundle.graph(names[0]) == files[names[1]]


def test_an_engine_gets_no_bytes_that_are_no_graph(write_bundle: Callable[..., Path]) -> None:
    with pytest.raises(BundleError, match=r"classifier.fp32.onnx is not an ONNX graph"):
        open_bundle(write_bundle()).graph("classifier.fp32.onnx")


def write_bundle_of(folder: Path, files: dict[str, bytes]) -> Path:
    import json

    (folder / "manifest.json").write_text(json.dumps(manifest_content(files)))
    return folder
