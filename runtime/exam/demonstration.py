"""A whole exam on the simulated camera: two eyes, five views each, retakes where a frame is not gradable."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from device.cameras.simulated import SimulatedCamera, SimulatedConfig
from runtime.exam.infant import Infant, Weeks
from runtime.exam.journal import ExamRecord
from runtime.exam.rules import ExamRules
from runtime.exam.session import ExamSession
from runtime.outcome import Outcome
from runtime.reading import Reading
from runtime.views import Eye, View

FRAMES_A_VIEW = 6
SIM_ORDER = (View.DISC, View.TEMPORAL, View.SUPERIOR, View.INFERIOR, View.NASAL)
"""In which the simulated camera shows them (device/cameras/simulated/motion.py)."""


def demonstration_camera(seed: int, faults: float) -> SimulatedCamera:
    """A camera that shows the two eyes of one infant, each for `FRAMES_A_VIEW` frames a view."""
    eye_frames = FRAMES_A_VIEW * len(SIM_ORDER)
    config = SimulatedConfig(seed=seed, faults=faults, frames_per_eye=eye_frames, frames=2 * eye_frames)
    return SimulatedCamera(config)


def demonstration_infant(now: datetime) -> Infant:
    """An infant that does not exist."""
    return Infant("DEMONSTRATION", "Demonstration^Infant", now - timedelta(days=42), Weeks.parse("27w3d"), 980)


def run_demonstration(
    session: ExamSession,
    camera: SimulatedCamera,
    rules: ExamRules,
    now: datetime,
    show: Callable[[Eye, View, Reading], None] = lambda *_: None,
) -> ExamRecord:
    """Run the exam as an operator would: the next frame of a view until one is gradable or the retakes are used up."""
    session.open(demonstration_infant(now), rules)
    for eye in Eye:
        for view in SIM_ORDER:
            session.aim(eye, view)
            taken, outcome = 0, Outcome.RETAKE
            for _ in range(FRAMES_A_VIEW):  # the camera shows a view for so long, needed or not
                frame = camera.read()
                if frame is None or taken > rules.retakes or outcome not in (Outcome.RETAKE, Outcome.NO_RESULT):
                    continue
                reading = session.take(frame)
                taken, outcome = taken + 1, reading.outcome
                show(eye, view, reading)
    return session.close()
