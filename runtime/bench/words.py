"""The words of a benchmark that its command line knows before anything is imported: loads, stages, rows."""

from __future__ import annotations

from typing import Literal, get_args

LoadKind = Literal["back-to-back", "camera", "burst", "idle", "poisson"]
LOADS: tuple[LoadKind, ...] = tuple(kind for kind in get_args(LoadKind) if kind != "poisson")
"""Those of `--load`; `poisson` is asked for by `--arrivals`."""
OPEN_LOADS = ("camera", "burst", "poisson")
"""Those that have a rate."""
STAGES = ("capture", "quality", "preprocess", "segment", "classify", "decide")
"""The Screener's stages, in the order in which a reading names them; a test holds them to `reading.Timings`."""
GPU_STAGES = {"upload": "upload", "gpu_compute": "compute", "download": "download"}
"""By the GPU's own clock, within `segment` and `classify`; and their names in `GpuTimings`."""
ROWS = ("wait", *STAGES, *GPU_STAGES, "total", "age", "camera_to_result")
"""Everything that has a latency. `total` is the Screener's own; `age` runs from capture to result; `camera_to_result`
is `age` with the dropped frames counted in, see `Samples.camera_to_result_ms`."""
