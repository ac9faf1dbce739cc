"""Prints what the daemon adds when the networks take no time: `python tests/bench/daemon.py`.

The engine is a fake one in both processes, so that nothing but the daemon differs; `python -m runtime.bench --daemon`
does the same with a real engine. `--sleep-ms` lets the fake engine take some time without using the CPU.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from runtime import Screener, open_bundle
from runtime.bench.daemon import SOURCE, connect, measure, pictures_of, report, started
from runtime.engines.fake import FakeEngine
from tests.runtime.conftest import manifest_content

DAEMON = Path(__file__).parents[1] / "runtime" / "daemon" / "fake_daemon.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--source", default=SOURCE)
    parser.add_argument("--sleep-ms", type=float, default=0.0)
    options = parser.parse_args()
    pictures = pictures_of(options.source)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = {"segmentation.fp32.onnx": b"segmentation graph", "classifier.fp32.onnx": b"classifier graph"}
        for file, content in files.items():
            (folder / file).write_bytes(content)
        (folder / "manifest.json").write_text(json.dumps(manifest_content(files)))
        engine = FakeEngine()
        engine.segment_delay_ms = options.sleep_ms
        path = folder / "s"
        with (
            started([sys.executable, str(DAEMON), str(path), str(options.sleep_ms)], path),
            Screener(open_bundle(folder), engine=engine, reject_repeats=False) as screener,
            connect(path, pictures[0]) as client,
        ):
            added = measure(client, screener, pictures, options.frames)
    print(report(added))
    return 0 if added.passed else 1


if __name__ == "__main__":
    sys.exit(main())
