"""Prints what the daemon adds when the networks take no time: `python tests/bench/daemon.py`.

The engine is a fake one in both processes, so that nothing but the daemon differs; `python -m runtime.daemon measure`
does the same with a real engine. `--sleep-ms` lets the fake engine take some time without using the CPU. `--c` has a
client in C submit instead (`daemon_client.c`), at once after each result and after 20 ms.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from runtime import Screener, open_bundle
from runtime.arrays import UInt8Array
from runtime.daemon.arguments import MEASURED
from runtime.daemon.measure import measure_by, pictures_of, report, started
from runtime.engines.fake import FakeEngine
from tests.runtime.conftest import manifest_content

DAEMON = Path(__file__).parents[1] / "runtime" / "daemon" / "fake_daemon.py"
LIBRARY = Path(__file__).parents[2] / "runtime" / "daemon" / "c"


def in_c(folder: Path, path: Path, pictures: Sequence[UInt8Array], frames: int) -> int:
    """Print what a client in C measures."""
    raw, program = folder / "raw", folder / "daemon_client"
    raw.write_bytes(b"".join(picture.tobytes() for picture in pictures))
    sources = [Path(__file__).parent / "daemon_client.c", LIBRARY / "ropscreen.c", LIBRARY / "ropscreen_wire.c"]
    subprocess.run(["cc", "-std=c11", "-O2", f"-I{LIBRARY}", *map(str, sources), "-o", str(program)], check=True)
    height, width = pictures[0].shape[:2]
    for pause_us in (0, 20_000):
        print(f"pause {pause_us} us: ", end="", flush=True)
        call = program, path, raw, width, height, frames, pause_us
        subprocess.run([*map(str, call)], check=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=1000)
    parser.add_argument("--source", default=MEASURED)
    parser.add_argument("--sleep-ms", type=float, default=0.0)
    parser.add_argument("--huge-pages", action="store_true", help="as the daemon's: the ring in 2 MiB pages")
    parser.add_argument("--c", action="store_true", help="a client in C")
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
        numbers = [str(float(n)) for n in (options.sleep_ms, options.huge_pages)]
        with (
            started([sys.executable, str(DAEMON), str(path), *numbers], path),
            Screener(open_bundle(folder), engine=engine, reject_repeats=False) as screener,
        ):
            if options.c:
                return in_c(folder, path, pictures, options.frames)
            added = measure_by(path, screener, pictures, options.frames)
    print(report(added))
    return 0 if added.passed else 1


if __name__ == "__main__":
    sys.exit(main())
