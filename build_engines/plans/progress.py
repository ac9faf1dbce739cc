"""How far a build is: TensorRT's own phases as bars, on a terminal, where the library tells them."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any


class BuildProgress:
    """Bars of the phases of a build. `monitor` is what a builder's configuration takes, None where it takes none.

    Ctrl-C while TensorRT works is taken note of in `cancelled` and makes it stop at its next step; a second one ends
    the process at once. It must not become an exception: Python would raise it in whatever TensorRT calls next, mostly
    the logger, and the bindings swallow it there, or (8.6) end the process by it.
    """

    def __init__(self, trt: Any, title: str) -> None:
        """trt: the module; title: what is built."""
        self.cancelled = False
        self.phases = 0
        self.monitor = _monitor(trt, self)
        self._title = title
        self._tasks: dict[str, Any] = {}
        self._bars: Any = None
        self._handler: Any = None

    def __enter__(self) -> BuildProgress:
        if threading.current_thread() is threading.main_thread():  # no other thread gets signals, or may ask for them
            self._handler = signal.signal(signal.SIGINT, self._interrupted)
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
            self._bars = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bars.start()
            if self.monitor is None:
                self._bars.add_task(self._title, total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        if self._bars is not None:
            self._bars.stop()

    def _interrupted(self, *_: object) -> None:
        self.cancelled = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    def start(self, phase: str, parent: str | None, steps: int) -> None:
        """A phase begins, inside `parent`."""
        self.phases += 1
        if self._bars is not None:
            name = f"  {phase}" if parent else f"{self._title}: {phase}"
            self._tasks[phase] = self._bars.add_task(name, total=steps)

    def step(self, phase: str, number: int) -> bool:
        """A step of a phase is done. False asks TensorRT to stop."""
        if phase in self._tasks:
            self._bars.update(self._tasks[phase], completed=number + 1)
        return not self.cancelled

    def finish(self, phase: str) -> None:
        """A phase ends."""
        if phase in self._tasks:
            self._bars.remove_task(self._tasks.pop(phase))


def _monitor(trt: Any, progress: BuildProgress) -> Any:
    if not hasattr(trt, "IProgressMonitor"):  # TensorRT 8.6
        return None

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        """TensorRT takes nothing but its own class."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            progress.start(phase_name, parent_phase, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

    return Monitor()
