"""What an exam amounts to: the outcome of each view, each eye and the infant, by the rules of CLINICAL.md.

Worst first: REFER, RETAKE, NO_RESULT, NO_REFERRAL_FINDINGS. The last is reached only when nothing else is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from runtime.decide import MOST_PROBABILITY, against
from runtime.exam.machine import Capture, Exam, Phase
from runtime.outcome import (
    BANNERS,
    CHANGED_ALONE,
    CONTRADICTION,
    EXCLUDED,
    EXCLUDED_ALONE,
    INCLUDED_ALONE,
    LIKE_ANOTHER,
    NOT_CAPTURED,
    NOT_GRADABLE,
    ONE_EYE,
    ONE_PICTURE,
    OTHER_BUNDLE,
    OTHER_FRAME,
    READING_PENDING,
    STOPPED,
    VOIDED,
    VOIDED_ALONE,
    Outcome,
    banner,
)
from runtime.quality import REPEATED
from runtime.views import Eye, View, place

TAKEN_OUT, IN_VOIDED = "excluded by a person", "in an exam that was voided"
"""Why a frame that was read as REFER does not count."""
BY_WORD = "nearly the same place as another view; counted, as a person confirmed it"
"""Of a frame that stands for its view by what a person said of it."""
WORST_FIRST = (Outcome.REFER, Outcome.RETAKE, Outcome.NO_RESULT, Outcome.NO_REFERRAL_FINDINGS)


@dataclass(frozen=True)
class Conclusion:
    """An outcome with its reason and the place that gave it."""

    outcome: Outcome
    reason: str
    where: str = ""
    """`OD nasal`; empty when the outcome rests on every view."""
    alone: str = field(default="", compare=False)
    """What is said instead of the banner of a whole exam without findings, where this is of a part of one."""

    @property
    def base(self) -> str:
        """The text that is shown, without place and reason."""
        return self.alone if self.alone and self.outcome is Outcome.NO_REFERRAL_FINDINGS else BANNERS[self.outcome]

    @property
    def banner(self) -> str:
        """The text that is shown."""
        return self.base if self.base == self.alone else banner(self.outcome, self.reason, self.where)


@dataclass(frozen=True)
class ExamResult:
    """The outcomes of one exam as it stands."""

    infant: Conclusion
    eyes: Mapping[Eye, Conclusion]
    views: Mapping[tuple[Eye, View], Conclusion]
    """Of every view that is required or was begun."""

    warnings: tuple[str, ...] = ()
    """What must be said beside the outcome: referring frames that a person took out of it, and frames that stand for
    their view only by a person's word."""

    @property
    def referring(self) -> tuple[Conclusion, ...]:
        """Every view that refers the infant, in the order of eyes and views."""
        return tuple(v for v in self.views.values() if v.outcome is Outcome.REFER)


def exam_result(exam: Exam) -> ExamResult:
    """The outcomes of the exam: an eye is its worst view, the infant the worst eye (both eyes always count).

    An exam that was voided has no result. One that was stopped early, or that one person alone voided (`settled`),
    refers where a view does, and else has none.
    """
    views = {(eye, view): _view(exam, eye, view) for eye in Eye for view in _views_of(exam, eye)}
    views = dict(_as_before_one(exam, views))
    eyes = {eye: _worst((verdict for (of, _), verdict in views.items() if of is eye), ONE_EYE) for eye in Eye}
    infant = _worst(eyes.values())
    if exam.phase is Phase.VOIDED:
        void = Conclusion(Outcome.NO_RESULT, VOIDED)
        views, eyes, infant = dict.fromkeys(views, void), dict.fromkeys(eyes, void), void
    elif exam.voided or exam.stopped is not None:
        # Nothing of it may read as if the exam had been whole; what is missing in a view is told by that view.
        stop = Conclusion(Outcome.NO_RESULT, VOIDED if exam.stopped is None else STOPPED[exam.stopped.value])
        views = {at: stop if v.outcome is Outcome.NO_REFERRAL_FINDINGS else v for at, v in views.items()}
        eyes = {eye: _referral(exam, v) if v.outcome is Outcome.REFER else stop for eye, v in eyes.items()}
        infant = _referral(exam, infant) if infant.outcome is Outcome.REFER else stop
    return ExamResult(infant, MappingProxyType(eyes), MappingProxyType(views), tuple(_warnings(exam)))


def _referral(exam: Exam, verdict: Conclusion) -> Conclusion:
    return replace(verdict, reason=VOIDED_ALONE) if exam.voided else verdict


def settled(exam: Exam) -> Exam:
    """The exam in the phase that voiding it gives: one that refers is voided once a second person says so, too.

    A reading that comes late may make it refer, and a frame that goes may end that, so it is asked after every event.
    """
    if not exam.voided or exam.voided_too or exam.rules.refer_changers == 1:
        return exam
    closed = replace(exam, phase=Phase.CLOSED)
    return closed if exam_result(closed).infant.outcome is Outcome.REFER else replace(exam, phase=Phase.VOIDED)


def still_to_take(result: ExamResult) -> Iterator[tuple[Eye, View]]:
    """Views that are missing or to be taken anew; one that was fine when its exam was stopped or voided is not."""
    for at, view in result.views.items():
        if view.outcome in (Outcome.RETAKE, Outcome.NO_RESULT) and view.reason not in (*STOPPED.values(), VOIDED):
            yield at


def awaits_second(exam: Exam, capture: Capture) -> bool:
    """Whether one person took this frame out, and a second one has to before its view says better."""
    alone = exam.rules.refer_excluders > 1 and capture.excluded and not capture.excluded_too
    if not alone:
        return False
    return _with_those_of_one(exam, capture.eye, capture.view).outcome is Outcome.REFER or _holds(exam, capture)


def place_awaits_second(exam: Exam, capture: Capture) -> bool:
    """Whether one person moved this frame to where it is, and a second one has to before a view says better for it."""
    return exam.rules.refer_changers > 1 and capture.moved_from is not None and _holds(exam, capture)


def view_awaits_second(exam: Exam, capture: Capture) -> bool:
    """Whether one person confirmed this frame, and a second one has to before a referral goes with it."""
    alone = exam.rules.refer_changers > 1 and capture.confirmed and not capture.confirmed_too
    return bool(alone) and _holds(exam, capture)


def count_awaits_second(exam: Exam, capture: Capture) -> bool:
    """Whether one person counts this frame again, and a second one has to before its view says better."""
    return exam.rules.refer_includers > 1 and bool(capture.included) and _holds(exam, capture)


def _holds(exam: Exam, capture: Capture) -> bool:
    """Whether what was said of this frame can be why a view stands as it was before one person alone changed it.

    It is, or was, where that view is, or a frame that counts there is like it.
    """
    views = exam_result(exam).views
    held = {at for at, view in views.items() if view.reason in (EXCLUDED_ALONE, CHANGED_ALONE, INCLUDED_ALONE)}
    there = (one for one in exam.captures if not one.excluded and (one.eye, one.view) in held)
    alike = any(capture.number in one.like or one.number in capture.like for one in there)
    return alike or bool(held & {(capture.eye, capture.view), capture.moved_from})


def _as_before_one(
    exam: Exam, views: Mapping[tuple[Eye, View], Conclusion]
) -> Iterator[tuple[tuple[Eye, View], Conclusion]]:
    """The views, in their order, with what one person alone took away: it stands until a second one did.

    That is each referral, and that a view is not done: a frame that was not read may show anything.
    """
    out = {(c.eye, c.view) for c in exam.captures if c.excluded and not c.excluded_too}
    before = tuple(_before_one_person(exam)) if exam.rules.refer_changers > 1 else ()
    for at in ((eye, view) for eye in Eye for view in View):
        now = views.get(at)
        if now is None or now.outcome is not Outcome.REFER:
            if at in out and exam.rules.refer_excluders > 1 and _with_those_of_one(exam, *at).outcome is Outcome.REFER:
                yield at, Conclusion(Outcome.REFER, EXCLUDED_ALONE, place(*at))
                continue
            why = next((why for why, then in before if _view(then, *at).outcome is Outcome.REFER), None)
            if why is not None:
                yield at, Conclusion(Outcome.REFER, why, place(*at))
                continue
        if now is None or now.outcome is Outcome.NO_REFERRAL_FINDINGS:
            was = ((why, _view(then, *at).outcome) for why, then in _before_one_person(exam, at))
            undone = next((one for one in was if one[1] is not Outcome.NO_REFERRAL_FINDINGS), None)
            if undone is not None and exam.rules.refer_changers > 1:
                yield at, Conclusion(undone[1], undone[0], place(*at))
                continue
        if now is not None:
            yield at, now


def _with_those_of_one(exam: Exam, eye: Eye, view: View) -> Conclusion:
    """The view as it was before one person alone took frames out of it; all that two took out stays out."""
    captures = tuple(_not_excluded(exam, c) if (c.eye, c.view) == (eye, view) else c for c in exam.captures)
    return _view(replace(exam, captures=captures), eye, view)


def _before_one_person(exam: Exam, at: tuple[Eye, View] | None = None) -> Iterator[tuple[str, Exam]]:
    """The exam without what one person alone said of its frames: each kind of it, then all; with why that counts.

    Each by itself, as one may hide what another one did: a frame that is not where it was is like other ones.
    at: only what took frames out of that view, excluded or moved away. (Confirming one takes none out.)
    """
    excluded = (_not_excluded,) if exam.rules.refer_excluders > 1 else ()
    confirmed = () if at else (_not_confirmed,)
    included = (_not_included,) if exam.rules.refer_includers > 1 else ()
    kinds = (EXCLUDED_ALONE, excluded), (CHANGED_ALONE, (_not_moved,)), (CHANGED_ALONE, confirmed)
    every = (*excluded, _not_moved, *confirmed)
    for why, undo in (
        *kinds,
        (CHANGED_ALONE, every),
        (INCLUDED_ALONE, included),
        (INCLUDED_ALONE, (*every, *included)),
    ):
        captures = exam.captures
        for one in undo:
            captures = tuple(one(exam, c) if at is None or _left(at, c, one) else c for c in captures)
        if captures != exam.captures:
            yield why, replace(exam, captures=captures)


def _left(at: tuple[Eye, View], capture: Capture, undo: Callable[[Exam, Capture], Capture]) -> bool:
    """Whether what that takes back may be why the frame is not in the view any more; or is there again, which is asked
    of those only that two persons had excluded."""
    if undo is _not_included:
        return capture.out_by_two and (capture.eye, capture.view) == at
    return capture.moved_from == at or (undo is _not_excluded and (capture.eye, capture.view) == at)


def _not_excluded(_: Exam, capture: Capture) -> Capture:
    return replace(capture, excluded="") if capture.excluded and not capture.excluded_too else capture


def _not_included(_: Exam, capture: Capture) -> Capture:
    return replace(capture, excluded=capture.included) if capture.included else capture


def _not_moved(exam: Exam, capture: Capture) -> Capture:
    """Where it was; a frame that refers by itself took its referral along and stays."""
    refers = capture_outcome(exam, replace(capture, excluded=""))[0] is Outcome.REFER
    if capture.moved_from is None or refers:
        return capture
    eye, view = capture.moved_from
    return replace(capture, eye=eye, view=view)


def _not_confirmed(_: Exam, capture: Capture) -> Capture:
    return replace(capture, confirmed="") if capture.confirmed and not capture.confirmed_too else capture


def _warnings(exam: Exam) -> Iterator[str]:
    counts = replace(exam, phase=Phase.CLOSED)
    for capture in exam.captures:
        where = f"frame {capture.number}, {place(capture.eye, capture.view)}"
        if not capture.excluded and exam.phase is not Phase.VOIDED:
            if _counts_by_word(exam, capture):
                yield f"{where}: {BY_WORD}"
            continue
        if capture_outcome(counts, replace(capture, excluded=""))[0] is Outcome.REFER:
            was = TAKEN_OUT if capture.excluded else IN_VOIDED
            yield f"{where}: read as REFER, {was}"


def _counts_by_word(exam: Exam, capture: Capture) -> bool:
    """Whether the frame stands for its view only because a person said so. (Exams of before that was told keep what
    they said.)"""
    if exam.rules.refer_changers == 1 or not capture.confirmed or exam.like(capture) is None:
        return False
    return capture_outcome(exam, capture)[0] is Outcome.NO_REFERRAL_FINDINGS


def warnings_counted(warnings: Iterable[str]) -> Iterator[str]:
    """What `ExamResult.warnings` say, by count instead of by frame: nothing in it leads to a frame of the journal."""
    told = list(warnings)
    for was in (TAKEN_OUT, IN_VOIDED):
        if count := sum(line.endswith(f": read as REFER, {was}") for line in told):
            yield f"{count} frame{'s' * (count > 1)} {was} {'were' if count > 1 else 'was'} read as REFER"
    if count := sum(line.endswith(f": {BY_WORD}") for line in told):
        yield f"{count} frame{'s' * (count > 1)}: {BY_WORD}"


def _views_of(exam: Exam, eye: Eye) -> Iterator[View]:
    """Required views and those begun, in the order of `View`. What was begun has to be finished."""
    begun = {capture.view for capture in exam.captures if capture.eye is eye and not capture.excluded}
    return (view for view in View if view in exam.rules.required_views or view in begun)


def _worst(verdicts: Iterable[Conclusion], alone: str = "") -> Conclusion:
    worst = min(verdicts, key=lambda verdict: WORST_FIRST.index(verdict.outcome))
    if worst.outcome is Outcome.NO_REFERRAL_FINDINGS:
        return Conclusion(worst.outcome, "every required view gradable and below the threshold", alone=alone)
    return worst


def _view(exam: Exam, eye: Eye, view: View) -> Conclusion:
    """Fold over the view's captures in their order.

    REFER stays whatever comes after. A fault undoes an earlier finding until the view is taken again: what the
    later frame would have shown is not known. An ungradable frame does not undo one.
    """
    where, ungradable = place(eye, view), 0
    taken = [capture for capture in exam.captures if (capture.eye, capture.view) == (eye, view)]
    verdict = Conclusion(Outcome.NO_RESULT, EXCLUDED if taken else NOT_CAPTURED, where)
    for capture in taken:
        if capture.excluded:
            continue
        outcome, reason = capture_outcome(exam, capture)
        if outcome is Outcome.REFER:
            return Conclusion(outcome, reason, where)
        if outcome is Outcome.RETAKE:
            ungradable += 1
            if verdict.outcome is Outcome.NO_REFERRAL_FINDINGS:
                continue
        verdict = Conclusion(outcome, reason, where, ONE_PICTURE)
        if outcome is Outcome.RETAKE and ungradable > exam.rules.retakes:
            return _referred_or(exam, eye, view, Conclusion(Outcome.REFER, NOT_GRADABLE, where))
    return verdict


def _referred_or(exam: Exam, eye: Eye, view: View, verdict: Conclusion) -> Conclusion:
    """A finding of a later frame, when there is one, tells more than "not gradable"."""
    for capture in exam.captures:
        if (capture.eye, capture.view) == (eye, view) and not capture.excluded:
            outcome, reason = capture_outcome(exam, capture)
            if outcome is Outcome.REFER:
                return Conclusion(outcome, reason, place(eye, view))
    return verdict


def capture_outcome(exam: Exam, capture: Capture) -> tuple[Outcome, str]:
    """Outcome and reason of one frame within its exam.

    The reading's word is taken for REFER, RETAKE and NO_RESULT. NO_REFERRAL_FINDINGS is believed only when
    everything that the reading says supports it; comparisons are written so that a NaN supports nothing.
    """
    reading = capture.reading
    if exam.phase is Phase.VOIDED:
        return Outcome.NO_RESULT, VOIDED
    if capture.excluded:
        return Outcome.NO_RESULT, EXCLUDED
    if reading is None:
        return Outcome.NO_RESULT, READING_PENDING
    if reading.outcome is Outcome.REFER:
        return reading.outcome, reading.reason
    if capture.frame_sha256 is not None and exam.first_captures.get(capture.frame_sha256) != capture.number:
        return Outcome.RETAKE, REPEATED
    if reading.outcome is not Outcome.NO_REFERRAL_FINDINGS:
        return reading.outcome, reading.reason
    if reading.frame_sha256 is None or reading.frame_sha256 != capture.frame_sha256:
        return Outcome.NO_RESULT, OTHER_FRAME
    if reading.bundle_sha256 != exam.rules.bundle.sha256:
        return Outcome.NO_RESULT, OTHER_BUNDLE
    probability = reading.refer_probability
    if probability is None or reading.late or not reading.gradable or not 0 <= probability <= MOST_PROBABILITY:
        return Outcome.NO_RESULT, CONTRADICTION
    if probability >= exam.rules.threshold:
        names = " + ".join(exam.rules.refer_classes)
        return Outcome.REFER, f"{names} {against(probability, exam.rules.threshold)}"
    like = None if capture.confirmed else exam.like(capture)
    if like is not None:
        return Outcome.RETAKE, f"{LIKE_ANOTHER} {place(like.eye, like.view)} (frame {like.number})"
    return reading.outcome, reading.reason
