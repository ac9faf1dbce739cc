"""`open_source`: what `open_camera` opens, with a `LiveReader` around every camera that keeps its own time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from device.cameras.base import Camera
from device.cameras.open import open_camera
from device.live.config import LiveConfig
from device.live.keeper import StateChange
from device.live.reader import LiveReader
from device.schemes import scheme_of
from device.schemes import shown_source as shown_source


def keeps_its_own_time(spec: str) -> bool:
    """Whether frames of this source come whether or not anyone asks: hardware, a stream, a simulation with `fps`.

    Raises `SourceNotFound` for a scheme that nobody knows, `SettingRefused` for settings of a simulation that are none.
    """
    scheme = scheme_of(spec)
    if scheme is None or scheme.live is not None:
        return scheme is not None and scheme.live is True
    from device.cameras.simulated import SimulatedConfig

    return SimulatedConfig.parse(scheme.name + spec[len(scheme.name) :]).fps > 0


def open_source(
    spec: str,
    *,
    watch: bool = False,
    state: Path | None = None,
    below: bool = False,
    config: LiveConfig = LiveConfig(),  # noqa: B008 (frozen)
    on_change: Callable[[StateChange], None] | None = None,
) -> Camera:
    """Open the source that `spec` names: stored pictures as they are, a live camera behind a `LiveReader`.

    `watch`, `state` and `below` are as for `open_camera`; `config` and `on_change` are for live cameras. Raises as
    `open_camera` does, and `FrameTimeout` when a live camera does not open in time.
    """
    if watch or below or not keeps_its_own_time(spec):
        return open_camera(spec, watch=watch, state=state, below=below)
    return LiveReader(lambda: open_camera(spec), shown_source(spec), config, on_change)
