"""Of weights with one flipped bit in a loaded engine, how many the self-test catches, by the bit.

    python -m tests.bench.selftest_sensitivity [BUNDLE] [--trials 200]

A weight is chosen by chance among all of both networks' (layers by their size), in a graph that no hash checks: as a
memory fault would leave it. `at start` holds the answers against the bundle's, `later` against those of an unaltered
engine, to the bit (a second unaltered one gives the same, which is checked first).
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from build_engines.trust.selftest import write_self_test
from runtime.bundle import Bundle, open_bundle
from runtime.engines.openvino.engine import OpenVINOEngine
from runtime.manifest import graph_name
from runtime.trust.selftest import SELF_TEST, EngineAnswer, SelfTest, ask, identical, open_self_test

FP32 = {"segmentation": "fp32", "classifier": "fp32"}
BITS = {31: "sign", 30: "exponent", 28: "exponent", 25: "exponent", 23: "exponent", 20: "mantissa", 10: "mantissa"}


class Altered(Bundle):
    """A bundle whose graphs are what they are told to be."""

    def read(self, path: str) -> bytes:
        return GRAPHS.get(path) or super().read(path)


GRAPHS: dict[str, bytes] = {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path)
    parser.add_argument("--trials", type=int, default=200)
    arguments = parser.parse_args()
    bundle = open_bundle(arguments.bundle)
    with tempfile.TemporaryDirectory() as folder:
        test = _self_test(bundle, Path(folder))
        with OpenVINOEngine(bundle, FP32) as engine:
            assert test.run(engine) == ""
        with OpenVINOEngine(bundle, FP32) as engine:
            assert identical(_answers(test, engine)[0], test._first or [])
        _measure(bundle, test, arguments.trials)


def _self_test(bundle: Bundle, folder: Path) -> SelfTest:
    if SELF_TEST not in {entry.path for entry in bundle.manifest.files}:
        for entry in bundle.manifest.files:
            (folder / entry.path).write_bytes(bundle.read(entry.path))
        from build_engines.bundle import written

        write_self_test(written(folder, bundle.manifest))
        bundle = written(folder, bundle.manifest)
    test = open_self_test(bundle, "fp32")
    assert test is not None
    return test


def _measure(bundle: Bundle, test: SelfTest, trials: int) -> None:
    rng = np.random.default_rng(1)
    models = {name: onnx.load_from_string(bundle.read(graph_name(name, "fp32"))) for name in FP32}
    weights = [
        (name, tensor)
        for name, model in models.items()
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 1
    ]
    sizes = np.array([float(np.prod(tensor.dims)) for _, tensor in weights])
    tried, at_start, later = Counter[int](), Counter[int](), Counter[int]()
    for trial in range(trials):
        bit = list(BITS)[trial % len(BITS)]
        name, tensor = weights[int(rng.choice(len(weights), p=sizes / sizes.sum()))]
        kept, values = tensor.SerializeToString(), numpy_helper.to_array(tensor).copy()
        values.reshape(-1).view(np.uint32)[rng.integers(values.size)] ^= np.uint32(1 << bit)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        GRAPHS[graph_name(name, "fp32")] = models[name].SerializeToString()
        tensor.ParseFromString(kept)
        with OpenVINOEngine(Altered(bundle.path, bundle.manifest, bundle.sha256), FP32) as engine:
            answers, wrong = _answers(test, engine)
        GRAPHS.clear()
        tried[bit] += 1
        at_start[bit] += wrong or bool(test._against_known(answers))
        later[bit] += wrong or not identical(answers, test._first or [])
    for bit, kind in BITS.items():
        print(f"bit {bit:2} ({kind}): {tried[bit]} tried, caught at start {at_start[bit]}, later {later[bit]}")


def _answers(test: SelfTest, engine: OpenVINOEngine) -> tuple[list[EngineAnswer], bool]:
    try:
        return [ask(engine, known.image) for known in test._known], False
    except Exception:  # an answer that cannot be one is caught by the engine itself
        return [], True


if __name__ == "__main__":
    main()
