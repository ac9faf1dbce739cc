"""What saved graphs are worth at the start: `python tests/bench/saved_start.py BUNDLE` (with saved graphs).

Loads the engine from saved graphs and from ONNX in turns; processor time, since a shared machine's clock tells nothing.
"""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from unittest.mock import patch

from runtime import open_bundle
from runtime.engines.openvino.engine import OpenVINOEngine

TURNS = 3


def main() -> None:
    bundle = open_bundle(sys.argv[1])
    precision = bundle.resolve_precision("openvino", "auto")
    took: dict[str, list[float]] = {"saved": [], "ONNX": []}
    for _ in range(TURNS):
        for form in took:
            nothing = patch("runtime.engines.openvino.graph.saved_for", return_value=None)
            with contextlib.nullcontext() if form == "saved" else nothing:
                start = time.process_time()
                OpenVINOEngine(bundle, precision).close()
                took[form].append(time.process_time() - start)
    for form, seconds in took.items():
        print(f"{form}: {', '.join(f'{each:.2f}' for each in seconds)} s of processor time")
    print(f"ratio of medians {statistics.median(took['saved']) / statistics.median(took['ONNX']):.2f}")


if __name__ == "__main__":
    main()
