"""`ExamRules`: what was agreed before the first frame of an exam; part of its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from device.version import software_version
from runtime.exam.errors import ExamRefused
from runtime.reading import BundleFacts
from runtime.views import DEFAULT_RETAKES, MOST_RETAKES, View

if TYPE_CHECKING:
    from runtime.bundle import Bundle


@dataclass(frozen=True)
class ExamRules:
    """What decides the outcome of an exam, beside its readings."""

    threshold: float
    """A gradable view whose refer probability is at or over this is REFER: the bundle's, or a signed site profile's."""
    refer_classes: tuple[str, ...]
    """Classes of the bundle that count towards referral."""
    bundle: BundleFacts
    """The bundle that reads the frames of this exam; a reading by another is no result."""
    software: str
    """Version of this software."""
    required_views: tuple[View, ...] = tuple(View)
    """Of each eye."""
    retakes: int = DEFAULT_RETAKES
    """How often an ungradable view may be taken again before it counts as "not gradable"."""
    site_profile_sha256: str | None = None
    """Of the signed site profile that set threshold, views or retakes; None when the defaults are in force."""
    refer_excluders: int = 2
    """How many persons have to exclude a frame before a referral goes with it: 1 in exams of before this was a rule."""
    refer_changers: int = 2
    """How many persons have to move a frame to another place, to confirm one that is like another view's, or to void
    the exam, before a referral goes with that, and to take a frame that tells nothing out of a view before an earlier
    one speaks for it: 1 in exams of before this was a rule."""
    refer_includers: int = 2
    """How many persons have to count an excluded frame again before a referral goes with that, or before one that two
    had excluded speaks for its view: 1 in exams of before this was a rule."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise ExamRefused(f"threshold: got {self.threshold}, expected a number between 0 and 1")
        if not self.refer_classes:
            raise ExamRefused("refer classes: got none, expected the bundle's")
        if not self.required_views or len(set(self.required_views)) != len(self.required_views):
            got = ", ".join(view.value for view in self.required_views) or "none"
            raise ExamRefused(f"required views: got {got}; expected at least one, each once")
        if isinstance(self.retakes, bool) or not 0 <= self.retakes <= MOST_RETAKES:
            raise ExamRefused(f"retakes: got {self.retakes}, expected 0 to {MOST_RETAKES}")
        if self.refer_excluders not in (1, 2):
            raise ExamRefused(f"persons who exclude a referral: got {self.refer_excluders}, expected 1 or 2")
        if self.refer_changers not in (1, 2):
            raise ExamRefused(f"persons who change a referral: got {self.refer_changers}, expected 1 or 2")
        if self.refer_includers not in (1, 2):
            raise ExamRefused(f"persons who include a frame: got {self.refer_includers}, expected 1 or 2")

    def to_dict(self) -> dict[str, Any]:
        """The JSON object that the journal keeps."""
        views = [view.value for view in self.required_views]
        return asdict(self) | {"refer_classes": list(self.refer_classes), "required_views": views}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> ExamRules:
        """From what `to_dict` gave."""
        return cls(
            threshold=content["threshold"],
            refer_classes=tuple(content["refer_classes"]),
            bundle=BundleFacts(**content["bundle"]),
            software=content["software"],
            required_views=tuple(View(view) for view in content["required_views"]),
            retakes=content["retakes"],
            site_profile_sha256=content["site_profile_sha256"],
            refer_excluders=content.get("refer_excluders", 1),
            refer_changers=content.get("refer_changers", 1),
            refer_includers=content.get("refer_includers", 1),
        )


def rules_for(
    bundle: Bundle,
    *,
    required_views: Sequence[View] = tuple(View),
    retakes: int = DEFAULT_RETAKES,
    threshold: float | None = None,
    site_profile_sha256: str | None = None,
) -> ExamRules:
    """The rules of an exam that this bundle reads; `threshold` None is the bundle's own."""
    return ExamRules(
        threshold=bundle.manifest.refer_threshold if threshold is None else threshold,
        refer_classes=tuple(label.name for label in bundle.manifest.classes if label.refer),
        bundle=bundle.facts,
        software=software_version(),
        required_views=tuple(required_views),
        retakes=retakes,
        site_profile_sha256=site_profile_sha256,
    )
