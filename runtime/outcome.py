"""The four outcomes and every text that may stand for them: the one controlled list."""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType


class Outcome(str, Enum):
    """What a reading says. Nothing else may be said."""

    REFER = "REFER"
    NO_REFERRAL_FINDINGS = "NO_REFERRAL_FINDINGS"
    RETAKE = "RETAKE"
    NO_RESULT = "NO_RESULT"


BANNERS = MappingProxyType(
    {
        Outcome.REFER: "Refer: examination by an ophthalmologist needed",
        Outcome.NO_REFERRAL_FINDINGS: "No referral findings in these images: continue the scheduled examinations",
        Outcome.RETAKE: "Retake: image not gradable",
        Outcome.NO_RESULT: "No result",
    }
)
"""Banner text of each outcome; `banner` adds what the last two need."""

ONE_PICTURE = "No referral findings in this picture; the outcome is the whole exam's"
"""Beside a picture or a view whose outcome is NO_REFERRAL_FINDINGS: the banner speaks of every view of both eyes."""
ONE_EYE = "No referral findings in this eye's pictures; the outcome is the whole exam's"
"""Beside one eye whose outcome is NO_REFERRAL_FINDINGS."""

AID_NOTICE = "Screening aid; not a medical device."
"""Stated wherever a result is shown."""

DEMONSTRATION_NOTICE = "Demonstration bundle: not for clinical use."
"""Stated wherever a result of a demonstration bundle is shown: of any that its maker does not give for clinical use."""

NOT_GRADABLE = "not gradable"
"""Why an eye is REFER when one of its views stayed ungradable after the allowed retakes."""
NOT_CAPTURED = "not captured"
READING_PENDING = "reading not finished"
OTHER_FRAME = "reading belongs to another frame"
OTHER_BUNDLE = "read with another bundle"
CONTRADICTION = "reading contradicts itself"
LIKE_ANOTHER = "shows nearly the same place as"
"""Before the place: the view does not count until it is taken anew or a person confirms it."""
EXCLUDED = "frame excluded by a person"
EXCLUDED_ALONE = "frame excluded by one person; a second one has to exclude it, too"
"""Why a view is REFER, or not done, still: no exclusion by one person alone takes that away."""
CHANGED_ALONE = "frame moved or confirmed by one person; a second one has to do the same"
"""The same, where what one person said of a frame's place would have taken it away."""
INCLUDED_ALONE = "frame counted again by one person; a second one has to include it, too"
"""The same, where a frame that had been excluded speaks for the view again."""
STOPPED = MappingProxyType(
    {
        "unstable": "exam stopped early: infant unstable",
        "refused": "exam stopped early: refused",
        "equipment": "exam stopped early: equipment",
    }
)
"""By why an exam was stopped."""
VOIDED = "exam voided"
VOIDED_ALONE = "exam voided by one person; a second one has to void it, too"
"""Why an exam is REFER still."""
EXAM_REASONS = (
    NOT_GRADABLE,
    NOT_CAPTURED,
    READING_PENDING,
    OTHER_FRAME,
    OTHER_BUNDLE,
    CONTRADICTION,
    LIKE_ANOTHER,
    EXCLUDED,
    EXCLUDED_ALONE,
    CHANGED_ALONE,
    INCLUDED_ALONE,
    *STOPPED.values(),
    VOIDED,
    VOIDED_ALONE,
)
"""What an exam adds to the reasons of its readings."""
NO_MODEL_NOTICE = "No model is open: not for clinical use."
"""Stated for as long as nobody knows what reads."""
NOTICES = (AID_NOTICE, DEMONSTRATION_NOTICE, NO_MODEL_NOTICE)
"""What must be said wherever a result is shown."""


def banner(outcome: Outcome, reason: str = "", view: str = "") -> str:
    """The banner for a result: `Retake: image not gradable - VIEW, REASON`, `No result - REASON`."""
    text = BANNERS[outcome]
    if outcome in (Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS):
        return text
    details = ", ".join(part for part in (view, reason) if part)
    return f"{text} - {details}" if details else text


def picture_banner(outcome: Outcome, reason: str = "") -> str:
    """As `banner`, beside a single picture: one without findings says nothing of the visit it belongs to."""
    return ONE_PICTURE if outcome is Outcome.NO_REFERRAL_FINDINGS else banner(outcome, reason)
