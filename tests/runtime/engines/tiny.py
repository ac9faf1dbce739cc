"""Networks small enough for a test: the contract's tensors, a handful of nodes, whole and with the classifier split.

`tests/build_engines/tiny_graphs.py` made their files.
"""

from __future__ import annotations

import json
from pathlib import Path

from runtime.bundle import Bundle, open_bundle
from tests.runtime.conftest import manifest_content

GRAPHS = Path(__file__).parent / "graphs"


def tiny_graph(name: str, *, free_batch: bool = False) -> bytes:
    """`segmentation`, `classifier`, or its parts `raw` and `guided`."""
    return (GRAPHS / f"{name}{'.free' if free_batch else ''}.onnx").read_bytes()


def tiny_bundle(folder: Path, *, free_batch: bool = False) -> Bundle:
    """A bundle of the tiny networks; `raw.onnx` and `guided.onnx` lie beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    graphs = {f"{name}.fp32.onnx": tiny_graph(name, free_batch=free_batch) for name in ("segmentation", "classifier")}
    for name, content in graphs.items():
        (folder / name).write_bytes(content)
    for name in ("raw", "guided"):
        (folder / f"{name}.onnx").write_bytes(tiny_graph(name))
    (folder / "manifest.json").write_text(json.dumps(manifest_content(graphs)))
    return open_bundle(folder)
