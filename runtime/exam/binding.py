"""Which exam, eye and view a frame belongs to: those that were set when it was captured, not when its result comes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from runtime.exam.errors import ExamRefused
from runtime.views import Eye, View


@dataclass(frozen=True)
class Aim:
    """What was set from a moment on."""

    since_ns: int
    """`time.monotonic_ns()`."""
    exam_id: str | None
    """None while no exam is open."""
    eye: Eye | None = None
    view: View | None = None


@dataclass(frozen=True)
class Aims:
    """The history of what was set, oldest first. A new one is made for each change."""

    history: tuple[Aim, ...] = ()

    def opened(self, exam_id: str, now_ns: int) -> Aims:
        """An exam was opened; eye and view are not set by that."""
        return self._then(Aim(now_ns, exam_id))

    def aimed(self, eye: Eye, view: View, now_ns: int) -> Aims:
        """The operator set eye and view. Raises `ExamRefused` while no exam is open."""
        if not self.history or self.history[-1].exam_id is None:
            raise ExamRefused("no exam is open; open one before eye and view are set")
        return self._then(replace(self.history[-1], since_ns=now_ns, eye=Eye(eye), view=View(view)))

    def closed(self, now_ns: int) -> Aims:
        """The exam was closed."""
        return self._then(Aim(now_ns, None))

    def at(self, captured_ns: int) -> tuple[str, Eye, View]:
        """Exam, eye and view of a frame captured then. Raises `ExamRefused` when they were not set."""
        before = [aim for aim in self.history if aim.since_ns <= captured_ns]
        if not before or before[-1].exam_id is None:
            raise ExamRefused("the frame was captured while no exam was open; open one and take it again")
        aim = before[-1]
        if aim.exam_id is None or aim.eye is None or aim.view is None:
            raise ExamRefused(f"exam {aim.exam_id}: the frame was captured before eye and view were set; take it again")
        return aim.exam_id, aim.eye, aim.view

    def _then(self, aim: Aim) -> Aims:
        if self.history and aim.since_ns < self.history[-1].since_ns:
            raise ValueError("time went back; these are times of the monotonic clock")
        return Aims((*self.history, aim))
