"""What saved graphs are worth at the start: `python tests/bench/saved_start.py BUNDLE` (with saved graphs).

Loads the engine from saved graphs and from ONNX in turns; processor time, since a shared machine's clock tells nothing.
"""

from __future__ import annotations

import statistics
import sys
import time

from runtime import open_bundle
from runtime.engines.openvino import graph
from runtime.engines.openvino.engine import OpenVINOEngine

TURNS = 3


def main() -> None:
    bundle = open_bundle(sys.argv[1])
    precision = bundle.resolve_precision("openvino", "auto")
    saved_for, took = graph.saved_for, {"saved": [], "ONNX": []}
    for _ in range(TURNS):
        for form in took:
            graph.saved_for = saved_for if form == "saved" else lambda *given: None
            start = time.process_time()
            OpenVINOEngine(bundle, precision).close()
            took[form].append(time.process_time() - start)
    for form, seconds in took.items():
        print(f"{form}: {', '.join(f'{each:.2f}' for each in seconds)} s of processor time")
    print(f"ratio of medians {statistics.median(took['saved']) / statistics.median(took['ONNX']):.2f}")


if __name__ == "__main__":
    main()
