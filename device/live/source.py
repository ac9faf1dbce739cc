"""`open_source`: what `open_camera` opens, with a `LiveReader` around every camera that keeps its own time."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from device.cameras.base import Camera
from device.cameras.open import open_camera
from device.live.config import LiveConfig
from device.live.keeper import StateChange
from device.live.reader import LiveReader


def keeps_its_own_time(spec: str) -> bool:
    """Whether frames of this source come whether or not anyone asks: hardware, a stream, a simulation with `fps`."""
    if spec.startswith("sim:"):
        from device.cameras.simulated import SimulatedConfig

        return SimulatedConfig.parse(spec).fps > 0
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", spec) is not None and not Path(spec).exists()


def shown_source(spec: str) -> str:
    """The source for messages and records: without the user's name and password that a URL may hold."""
    if "://" not in spec:
        return spec
    secret = urlsplit(spec).netloc.rpartition("@")[0]
    return spec.replace(f"{secret}@", "", 1) if secret else spec


def open_source(
    spec: str,
    *,
    watch: bool = False,
    state: Path | None = None,
    config: LiveConfig = LiveConfig(),  # noqa: B008 (frozen)
    on_change: Callable[[StateChange], None] | None = None,
) -> Camera:
    """Open the source that `spec` names: stored pictures as they are, a live camera behind a `LiveReader`.

    `watch` and `state` are as for `open_camera`; `config` and `on_change` are for live cameras. Raises as `open_camera`
    does, and `FrameTimeout` when a live camera does not open in time.
    """
    if watch or not keeps_its_own_time(spec):
        return open_camera(spec, watch=watch, state=state)
    return LiveReader(lambda: open_camera(spec), shown_source(spec), config, on_change)
