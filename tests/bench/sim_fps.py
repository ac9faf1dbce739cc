"""Print how many frames a second the simulated camera gives, truth included: `python tests/bench/sim_fps.py [SPEC]`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from device import SimulatedCamera, SimulatedConfig


def main() -> None:
    """Read 600 frames (four eyes) and print rate and the slowest frame."""
    config = SimulatedConfig.parse(sys.argv[1] if len(sys.argv) > 1 else "sim:")
    began = time.perf_counter()
    with SimulatedCamera(config) as camera:
        camera.read()
        opened = time.perf_counter()
        costs = []
        for _ in range(600):
            frame = camera.read()
            if frame is None:
                break
            costs.append(frame.capture_ms)
        seconds = time.perf_counter() - opened
    width, height = config.frame_size
    print(
        f"{config} {width}x{height}: {len(costs) / seconds:.0f} frames/s over {len(costs)} frames, "
        f"median {sorted(costs)[len(costs) // 2]:.1f} ms, slowest {max(costs):.0f} ms, "
        f"opened with its first frame in {1000 * (opened - began):.0f} ms"
    )


if __name__ == "__main__":
    main()
