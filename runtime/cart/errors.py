"""What can go wrong at the cart, beside what the parts themselves say.

ScreeningError
  CartError           the configuration, a file of the cart's own, or a command that cannot be
    CartBusy          the desk did not take the command in time
    DeskGone          the desk has ended; the program must be started again
    NotNow            the command fits another moment (no exam is open, the flash recharges)
    NotYours          the command is another role's
    SignInRefused     wrong name or PIN, or too many of them
"""

from __future__ import annotations

import re

from device.errors import (
    CalibrationInvalid,
    CameraError,
    DoseExceeded,
    DoseUnrecorded,
    FlashNotCaught,
    FrameTimeout,
    FrameUnreadable,
    LightError,
    PressTooSoon,
    SettingRefused,
    StaleFrame,
)
from runtime.errors import ScreeningError
from runtime.exam.errors import ExamRefused, ExamUnknown, InfantInvalid, JournalFull, OrderInvalid

FIELD_WORDS = {
    "infant_id": "identifier",
    "patient_id": "identifier",
    "patient_name": "name",
    "born_at": "date of birth",
    "birth_date": "date of birth",
    "gestational_age": "gestational age",
    "birth_weight_g": "birth weight",
    "accession": "accession number",
    "study_uid": "study",
    "requested_procedure_id": "requested procedure",
    "step_id": "scheduled step",
    "referring_physician": "referring physician",
    "station_ae_title": "station",
    "wrist_band_checked": "wrist band",
    "a_rop": "A-ROP",
}
"""What a person calls a field of an infant, an order, or a request."""
_FIELD = re.compile(rf"\b({'|'.join(FIELD_WORDS)})\b")
_EXAM = re.compile(r"\bexam '?\d{8}-[A-Z0-9]{4,}'?(: )?")
_CAPTURE = re.compile(r"\bcapture (?=\d)")
_TECHNICAL = (
    (re.compile(r"^(journal) [^:;]*/[^:;]*(?=: )"), r"\1"),
    (re.compile(r"^(\w+) /[^:;]*(?=: )"), r"\1"),
    (re.compile(r"\S+: the board refused \w+\([^()]*\): "), "the light board refused: "),
)
"""Where a file lies and what a program asked of a part, with what stands for it on a screen."""
_FOR_A_TERMINAL = re.compile(r"python -m |\brun verify\b|(?:^|[\s(])--[a-z]")
CALL = "call the technician"
_DO = (
    "activate|add|allow|ask|bring|build|call|change|check|choose|close|compare|correct|end|enter|expected|find|free|get|"
    "give|go|have|install|keep|leave|let|look|make|name|open|order|plug|press|put|read|record|remove|repeat|report|say|"
    "see|send|set|shorten|sign|switch|take|try|type|update|use|wait"
)
_STEP = re.compile(rf"(?:^|[;,:(] |\b(?:and|or|then|to) )(?:{_DO})\b")


def shown(error: BaseException) -> str:
    """An error's text for whoever stands at the screen: fields by their words, commands of a terminal and where a file
    lies left out (`technical` has them), and the number of the exam, which stands on no screen. It always says what to
    do; where the text does not, `step` does.
    """
    said = str(error)
    for pattern, words in _TECHNICAL:
        said = pattern.sub(words, said)
    said = _EXAM.sub(lambda found: "" if found[1] else "an exam", in_words(said))
    said = _CAPTURE.sub("picture ", said) or type(error).__name__
    clauses = said.split("; ")
    kept = [clause for clause in clauses if not _FOR_A_TERMINAL.search(clause)]
    if len(kept) != len(clauses):
        return "; ".join((*kept, CALL))
    return said if says_a_step(said) else f"{said}; {step(error)}"


def says_a_step(said: str) -> bool:
    """Whether a text says what to do."""
    return _STEP.search(said) is not None


def technical(error: BaseException) -> str:
    """The error's own text where `shown` leaves out what a technician needs of it: a file's place, a command; else
    empty. Shown where somebody asks for it."""
    said = str(error)
    left_out = any(pattern.search(said) for pattern, _ in _TECHNICAL) or _FOR_A_TERMINAL.search(said)
    return said if left_out else ""


def step(error: BaseException) -> str:
    """What to do about an error of that kind, where its own text does not say it."""
    return next((do for kind, do in STEPS.items() if isinstance(error, kind)), CALL)


def in_words(text: str) -> str:
    """A text with the fields that it names by what a person calls them."""
    return _FIELD.sub(lambda found: FIELD_WORDS[found[0]], text)


class CartError(ScreeningError):
    """The cart cannot do this; the message says what to do."""


class CartBusy(CartError):
    """The desk did not take the command in time."""


class DeskGone(CartError):
    """The desk's thread has ended, as it does where an engine is lost: only a new start of the program helps."""


class NotYours(CartError):
    """The command is another role's."""


class NotNow(CartError):
    """The command fits another moment. `retry_s`: seconds after which it will fit, None when that is not known."""

    def __init__(self, message: str, *, retry_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_s = retry_s


class SignInRefused(CartError):
    """Wrong name or PIN, or too many of them. `wait_s`: seconds that the user has to wait, 0 for none."""

    def __init__(self, message: str, *, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


STEPS: dict[type[BaseException], str] = {
    SignInRefused: "sign in again",
    NotYours: "have somebody else sign in",
    CartBusy: "try again in a moment",
    DeskGone: "wait for it",
    NotNow: "look again, then try it once more",
    InfantInvalid: "correct it, then try again",
    OrderInvalid: "correct it, then try again",
    ExamUnknown: "choose the exam under Today",
    ExamRefused: "nothing was changed; look at the exam again",
    JournalFull: "free some space, or call the technician",
    PressTooSoon: "wait, then press again",
    FrameUnreadable: "press again",
    FrameTimeout: "press again",
    StaleFrame: "press again",
    SettingRefused: "choose another value",
    CameraError: "look at the camera's cable and power",
    DoseExceeded: "wait, or use less light",
    CalibrationInvalid: CALL,
    DoseUnrecorded: CALL,
    FlashNotCaught: "press again",
    LightError: "look at the light board's cable and power",
}
"""By kind of error, those of a kind before the kind; of every other one the technician is to be called."""
