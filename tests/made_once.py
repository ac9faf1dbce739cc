"""What many tests of one process would make again and again, and what none of them changes: made once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from device.cameras.simulated.camera import SimulatedCamera
from runtime.bundle import DEMONSTRATION, Bundle
from runtime.engines.openvino import graph
from runtime.engines.openvino.graph import compile_pair

MOST = 48
"""Things that are kept; eyes of a large picture take 5 MB each."""
_MADE: dict[tuple[object, ...], Any] = {}
_CHANGING = threading.Lock()


def once(key: tuple[object, ...], make: Callable[[], Any]) -> Any:
    """What was made for this key, or is now; the oldest goes where there are too many."""
    with _CHANGING:
        if key in _MADE:
            return _MADE[key]
    made = make()
    with _CHANGING:
        while len(_MADE) >= MOST:
            del _MADE[next(iter(_MADE))]
        return _MADE.setdefault(key, made)


def shipped(bundle: Bundle) -> bool:
    """Whether it is the demonstration itself, in the place that nobody writes to."""
    return type(bundle) is Bundle and bundle.path == DEMONSTRATION


@contextmanager
def made_once(compiled: Callable[[Bundle], bool] = shipped) -> Iterator[None]:
    """Simulated eyes are drawn, and graphs of the bundles that `compiled` names are compiled, once a process.

    A cart loads an engine for its pictures and one for their gates, 2 to 4 s of processor time each; an eye takes 0.2.
    """
    draw = SimulatedCamera._draw_eye

    def drawn(camera: SimulatedCamera, number: int) -> Any:
        shows = replace(camera.config, fps=0.0, frames=0, faults=0.0)  # these change no eye
        return once(("eye", shows, number), lambda: draw(camera, number))

    def compiled_pair(core: Any, bundle: Bundle, precision: Mapping[str, str], threads: int | None = None) -> Any:
        if not compiled(bundle):
            return compile_pair(core, bundle, precision, threads)
        counts = core.get_property("CPU", "PERF_COUNT")
        key = (
            "graphs",
            bundle.path,
            bundle.sha256,
            *sorted(precision.items()),
            threads,
            graph.half_precision(core),
            counts,
        )
        return once(key, lambda: compile_pair(core, bundle, precision, threads))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SimulatedCamera, "_draw_eye", drawn)
        patched.setattr("runtime.engines.openvino.engine.compile_pair", compiled_pair)
        yield
