"""`Reading`: the result for one frame, and its JSON form `rop.reading/1`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, Protocol

from runtime.outcome import Outcome

if TYPE_CHECKING:
    from device.errors import DeviceError
    from device.frame import Frame
    from runtime.arrays import UInt8Array
    from runtime.explanation import Explanation

READING_SCHEMA = "rop.reading/1"


@dataclass(frozen=True)
class FrameFacts:
    """What identifies the frame; no pixel and nothing of the patient."""

    source: str
    sequence: int
    captured_at: datetime
    sha256: str | None = None
    """None when there were no pixels to hash."""
    width: int | None = None
    height: int | None = None
    changes: Sequence[str] = ()
    """What was done to the picture beyond decoding it (colours converted, turned upright); in the JSON where any."""


@dataclass(frozen=True)
class Quality:
    """What the quality gate found."""

    gradable: bool
    reasons: tuple[str, ...] = ()
    """Why not, worst first, in the words of the gate (`too dark`, `blurred`, ...)."""
    measures: Mapping[str, float] = field(default_factory=dict)
    """Each measure by name, as measured."""


@dataclass(frozen=True)
class Timings:
    """Milliseconds a stage took; None for a stage that did not run."""

    capture: float | None = None
    quality: float | None = None
    preprocess: float | None = None
    segment: float | None = None
    classify: float | None = None
    decide: float | None = None
    total: float | None = None
    """From the frame's arrival at the Screener to its reading; capture is not part of it."""


@dataclass(frozen=True)
class BundleFacts:
    """Which bundle read the frame."""

    name: str
    version: str
    sha256: str
    """SHA-256 of the manifest, which in turn names every file's."""
    notice: str
    """What must be said wherever the result is shown (screening aid, not for clinical use, ...)."""


@dataclass(frozen=True)
class EngineFacts:
    """What ran the networks."""

    backend: str
    precision: str
    device: str
    why: str = ""
    """Why this backend and not another, and how it runs, in a few words for the person who looks into it."""
    plan_sha256: str | None = None
    """SHA-256 of the plan's `plan.json`, which names every engine's; None where no plan runs."""


@dataclass(frozen=True)
class Signature:
    """Who stands for a bundle or a plan."""

    state: Literal["signed", "unsigned", "unchecked", "off"]
    """`unsigned`: there is no signature, and the site's profile allows that. `unchecked`: no site is configured.
    `off`: the program that reads has switched the guard off, and nothing was looked at."""
    by: str | None = None
    """Name of the trusted key, its file's."""
    key: str | None = None
    """The public key, hex."""


@dataclass(frozen=True)
class SiteFacts:
    """The signed site profile that was in force."""

    name: str
    profile_sha256: str
    by: str
    """Name of the key that signed it."""


@dataclass(frozen=True)
class SelfTestFacts:
    """What the last known-answer self-test found."""

    state: Literal["passed", "failed", "none"]
    """`none`: the bundle holds no self-test."""
    at: str | None = None
    """Wall-clock time of the last test, ISO 8601, UTC."""
    reason: str = ""
    """Why it failed."""


@dataclass(frozen=True)
class DriftFacts:
    """What the watch over the frames and scores of late says."""

    state: Literal["off", "gathering", "steady", "alarm"]
    """`off`: the bundle holds no reference. `gathering`: the first window is not full."""
    frames: int = 0
    """In the window that is being filled."""
    reasons: tuple[str, ...] = ()
    """What drifted, for an alarm."""


@dataclass(frozen=True)
class TrustFacts:
    """The field `trust` of a reading."""

    bundle: Signature
    plan: Signature | None
    """None where no plan runs."""
    site: SiteFacts | None
    """None where no site is configured."""
    self_test: SelfTestFacts
    drift: DriftFacts


UNGUARDED = TrustFacts(Signature("off"), None, None, SelfTestFacts("none"), DriftFacts("off"))
"""Of a reading that nothing stands behind."""


@dataclass(frozen=True)
class ViewLike:
    """An earlier frame of the exam that shows nearly the same place under another view."""

    capture: int
    """Its number in the exam."""
    eye: str
    view: str
    likeness: float | None
    """0 to 1 (runtime/exam/likeness.py); None when the earlier picture cannot be read any more."""


@dataclass(frozen=True, eq=False)
class Reading:
    """The result for one frame."""

    frame: FrameFacts
    outcome: Outcome
    reason: str
    """Why this outcome, in a few words for the person at the cart."""
    bundle: BundleFacts
    engine: EngineFacts
    probabilities: Mapping[str, float] | None = None
    """Class name to probability; None when the classifier gave no result that counts."""
    quality: Quality | None = None
    vessel_fraction: float | None = None
    """Share of the field of view that is vessel (probability at least 0.5)."""
    timings_ms: Timings = Timings()
    budget_ms: float | None = None
    late: bool = False
    vessels: UInt8Array | None = None
    """Vessel probability x 255, uint8 [256, 256]; not part of the JSON."""
    trust: TrustFacts | None = None
    """Who stands for the model, and how its self-test and the watch for drift stand; None where nobody looked."""

    light: Mapping[str, Any] | None = None
    """The exposure of this frame (eye, kind, level, duration_s), where light was given for it."""
    view_like: ViewLike | None = None
    """Set within an exam: this view does not count until it is taken anew or a person confirms it."""

    explanation: Explanation | None = None
    """The classifier's gates and its branches' shares, where they were asked for and could be had; decides nothing."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON object, ready for `json.dumps`; `light`, `view_like` and `explanation` only where there is one."""
        quality = None
        if self.quality is not None:
            measures = {name: round(value, 5) for name, value in self.quality.measures.items()}
            quality = {"gradable": self.quality.gradable, "reasons": list(self.quality.reasons), **measures}
        frame = asdict(self.frame)
        frame["captured_at"] = self.frame.captured_at.isoformat()
        if not self.frame.changes:
            del frame["changes"]
        timings = {name: None if v is None else round(v, 3) for name, v in asdict(self.timings_ms).items()}
        further: dict[str, Any] = {
            "light": self.light and dict(self.light),
            "view_like": self.view_like and asdict(self.view_like),
        }
        further["explanation"] = self.explanation and self.explanation.to_dict()
        return {
            "schema": READING_SCHEMA,
            "frame": frame,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "probabilities": None if self.probabilities is None else dict(self.probabilities),
            "quality": quality,
            "vessel_fraction": self.vessel_fraction,
            "timings_ms": timings,
            "budget_ms": self.budget_ms,
            "late": self.late,
            "bundle": asdict(self.bundle),
            "engine": asdict(self.engine),
            "trust": None if self.trust is None else asdict(self.trust),
            **{name: value for name, value in further.items() if value is not None},
        }

    def to_json(self) -> str:
        """One line of JSON; a number that is not finite is refused, not written as NaN."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)


class Reader(Protocol):
    """What gives a reading for a frame, as `runtime.Screener` does; exam, screen, bench and cart take any."""

    def screen(self, frame: Frame) -> Reading:
        """The reading for a frame; never raises."""
        ...

    def unreadable(self, error: DeviceError) -> Reading:
        """The reading for a frame that could not be had: no result, with the reason."""
        ...
