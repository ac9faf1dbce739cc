from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.exam.errors import ExamRefused
from runtime.exam.machine import (
    MOST_CAPTURES,
    Capture,
    Captured,
    Closed,
    Event,
    Exam,
    Excluded,
    Included,
    Phase,
    ReadingFacts,
    ReadingMade,
    Relabelled,
    Stopped,
    StopReason,
    ViewConfirmed,
    Voided,
    apply,
)
from runtime.exam.result import exam_result
from runtime.views import Eye, View
from tests.runtime.exam.making import NRF, PLACES, REFER, RULES, exam_of, facts, reading
from tests.runtime.exam.making import frame as make_frame

DISC = (Eye.OD, View.DISC)
PHASES = [Phase.OPEN, Phase.CLOSED, Phase.VOIDED, Phase.RETIRED]


def read(before: Exam, after: Exam) -> bool:
    """Whether nothing but readings came."""
    bare = [[dataclasses.replace(one, reading=None, like=()) for one in exam.captures] for exam in (before, after)]
    return bare[0] == bare[1]


def in_phase(phase: Phase) -> Exam:
    """An exam with a frame that counts, one that is excluded, one like the first, and one not yet read."""
    exam = exam_of([(*DISC, NRF), (*DISC, NRF)], close=False)
    exam = apply(exam, Excluded(2, "artefact"))
    exam = apply(exam, Captured(Eye.OD, View.NASAL, "c"))
    exam = apply(exam, ReadingMade(3, facts(NRF, "c"), like=(1, 3, 0, 77)))
    exam = apply(exam, Captured(Eye.OS, View.NASAL, "d"))
    return dataclasses.replace(exam, phase=phase)


def test_likeness_is_to_other_frames_of_the_exam() -> None:
    exam = in_phase(Phase.OPEN)
    assert [one.like for one in exam.captures] == [(), (), (1,), ()]
    assert [one.number for one in exam.pending] == [4]
    assert exam.like(exam.captures[2]) == exam.captures[0]
    assert exam.like(exam.captures[3]) is None
    excluded = apply(exam, Excluded(1, "artefact"))
    assert excluded.like(excluded.captures[2]) is None
    same = apply(exam, Relabelled(3, *DISC, "slip"))
    assert same.like(same.captures[2]) is None
    dark = dataclasses.replace(exam.captures[0], reading=dataclasses.replace(facts(NRF, "x"), gradable=False))
    unseen = dataclasses.replace(exam, captures=(dark, *exam.captures[1:]))
    assert unseen.like(unseen.captures[2]) is None
    pending = dataclasses.replace(exam.captures[0], reading=None)
    unread = dataclasses.replace(exam, captures=(pending, *exam.captures[1:]))
    assert unread.like(unread.captures[2]) is None
    late = dataclasses.replace(exam.captures[0], like=(3,))  # whichever of both was read last measured it
    other = dataclasses.replace(exam.captures[2], like=())
    turned = dataclasses.replace(exam, captures=(late, exam.captures[1], other, exam.captures[3]))
    assert turned.like(other) == late


EVENTS: dict[str, Event] = {
    "capture": Captured(*DISC, "e"),
    "reading": ReadingMade(4, facts(NRF, "d")),
    "a second reading": ReadingMade(1, facts(NRF, "d")),
    "relabel": Relabelled(1, Eye.OS, View.DISC, "slip"),
    "relabel to the same": Relabelled(1, *DISC, "slip"),
    "exclude": Excluded(1, "artefact"),
    "exclude again": Excluded(2, "artefact"),
    "include": Included(2, "slip"),
    "include what counts": Included(1, "slip"),
    "confirm": ViewConfirmed(3, "seen"),
    "confirm what is like none": ViewConfirmed(1, "seen"),
    "close": Closed(),
    "stop": Stopped(StopReason.UNSTABLE),
    "void": Voided("wrong infant"),
    "no such frame": Excluded(5, "artefact"),
    "frame 0": Excluded(0, "artefact"),
}
OPEN_ONLY = {"capture", "close", "stop"}
AFTER_CLOSING = {"relabel", "exclude", "include", "confirm", "void"}
MAY = {
    Phase.OPEN: OPEN_ONLY | AFTER_CLOSING | {"reading"},
    Phase.CLOSED: AFTER_CLOSING | {"reading"},
    Phase.VOIDED: {"reading"},
    Phase.RETIRED: set(),
}


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("name", EVENTS)
def test_what_may_come_when(phase: Phase, name: str) -> None:
    exam = in_phase(phase)
    if name not in MAY[phase]:
        with pytest.raises(ExamRefused, match=r"^exam X: "):
            apply(exam, EVENTS[name])
        return
    after = apply(exam, EVENTS[name])
    assert after != exam
    event = EVENTS[name]
    if isinstance(event, (Relabelled, Excluded, Included, ViewConfirmed, Voided)):
        with pytest.raises(ExamRefused, match=r"needs a reason$"):
            apply(exam, dataclasses.replace(event, reason=" \n"))


def test_what_each_event_changes() -> None:
    exam = in_phase(Phase.OPEN)
    first, second, third, _ = exam.captures

    def changed(name: str) -> Exam:
        return apply(exam, EVENTS[name])

    assert changed("capture").captures == (*exam.captures, Capture(5, *DISC, "e"))
    assert changed("reading").captures[3].reading == facts(NRF, "d")
    assert changed("relabel").captures[0] == dataclasses.replace(first, eye=Eye.OS, moved_from=DISC)
    assert changed("exclude").captures[0] == dataclasses.replace(first, excluded="artefact")
    assert changed("include").captures[1] == dataclasses.replace(second, excluded="", included="slip")
    confirmed = changed("confirm")
    assert confirmed.captures[2] == dataclasses.replace(third, confirmed="seen")
    with pytest.raises(ExamRefused, match="is confirmed as OD nasal already"):
        apply(confirmed, EVENTS["confirm"])
    assert apply(confirmed, Relabelled(3, Eye.OD, View.TEMPORAL, "slip")).captures[2].confirmed == ""
    assert (changed("close").phase, changed("close").stopped) == (Phase.CLOSED, None)
    assert (changed("stop").phase, changed("stop").stopped) == (Phase.CLOSED, StopReason.UNSTABLE)
    assert changed("void").phase is Phase.VOIDED


def test_no_frame_is_added_after_closing() -> None:
    exam = exam_of([(*DISC, NRF)])
    with pytest.raises(ExamRefused, match="it is closed, no frame can be added"):
        apply(exam, Captured(*DISC, "a"))
    with pytest.raises(ExamRefused, match="closed already"):
        apply(exam, Closed())


def test_a_reading_that_comes_after_closing_counts() -> None:
    exam = apply(Exam("X", RULES), Captured(*DISC, "a"))
    exam = apply(exam, Closed())
    assert exam_result(exam).eyes[Eye.OD].outcome.value == "NO_RESULT"
    exam = apply(exam, ReadingMade(1, facts(REFER, "a")))
    assert exam_result(exam).infant.outcome is REFER


def test_a_capture_has_one_reading() -> None:
    exam = exam_of([(*DISC, REFER)], close=False)
    with pytest.raises(ExamRefused, match="has its reading already"):
        apply(exam, ReadingMade(1, facts(NRF, "0" * 64)))
    with pytest.raises(ExamRefused, match="there is no capture 2"):
        apply(exam, ReadingMade(2, facts(NRF, "0" * 64)))


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_a_change_of_laterality_needs_a_reason(reason: str) -> None:
    exam = exam_of([(*DISC, REFER)])
    with pytest.raises(ExamRefused, match="needs a reason"):
        apply(exam, Relabelled(1, Eye.OS, View.DISC, reason))
    with pytest.raises(ExamRefused, match="already"):
        apply(exam, Relabelled(1, Eye.OD, View.DISC, "no change"))
    moved = apply(exam, Relabelled(1, Eye.OS, View.DISC, "the operator stood on the other side"))
    assert exam_result(moved).eyes[Eye.OS].outcome is REFER
    assert exam_result(moved).infant.outcome is REFER


def test_laterality_must_be_set() -> None:
    with pytest.raises(ExamRefused, match="eye and view must be set"):
        apply(Exam("X", RULES), Captured(None, View.DISC, "a"))  # type: ignore[arg-type]


def test_why_an_exam_was_stopped_is_said_as_people_say_it() -> None:
    words = {StopReason.UNSTABLE: "infant unstable", StopReason.REFUSED: "refused", StopReason.EQUIPMENT: "equipment"}
    assert {why: why.words for why in StopReason} == words
    assert [StopReason.of(text) for text in (*words.values(), "unstable")] == [*words, StopReason.UNSTABLE]
    with pytest.raises(ValueError, match="expected 'infant unstable', 'refused', 'equipment'"):
        StopReason.of("tired")


def test_an_exam_does_not_grow_without_end() -> None:
    assert MOST_CAPTURES == 500
    exam = exam_of([(*DISC, NRF)] * MOST_CAPTURES, close=False)
    with pytest.raises(ExamRefused, match=f"{MOST_CAPTURES} frames"):
        apply(exam, Captured(*DISC, "a"))


@given(
    st.lists(
        st.one_of(
            st.builds(Captured, st.sampled_from(Eye), st.sampled_from(View), st.sampled_from(["a", "b", None])),
            st.builds(ReadingMade, st.integers(0, 6), st.sampled_from([facts(o, "a") for o in type(NRF)])),
            st.builds(
                Relabelled, st.integers(0, 6), st.sampled_from(Eye), st.sampled_from(View), st.sampled_from(["", "r"])
            ),
            st.builds(Excluded, st.integers(0, 6), st.sampled_from(["", " ", "r"])),
            st.builds(Included, st.integers(0, 6), st.sampled_from(["", "r"])),
            st.builds(ViewConfirmed, st.integers(0, 6), st.sampled_from(["", "r"])),
            st.builds(Closed),
            st.builds(Stopped, st.sampled_from(StopReason)),
            st.builds(Voided, st.sampled_from(["", "r"])),
        ),
        max_size=30,
    )
)
def test_whatever_comes_is_applied_whole_or_refused(events: list[object]) -> None:
    exam = Exam("X", RULES)
    for event in events:
        before = exam
        try:
            exam = apply(exam, event)  # type: ignore[arg-type]
        except ExamRefused:
            assert exam is before
        assert [capture.number for capture in exam.captures] == list(range(1, len(exam.captures) + 1))
        assert len(exam.captures) >= len(before.captures)
        assert PHASES.index(exam.phase) >= PHASES.index(before.phase)
        assert not (before.phase is Phase.VOIDED and exam.captures != before.captures and not read(before, exam))
        assert exam.pending == tuple(capture for capture in exam.captures if not capture.reading)
        exam_result(exam)


def test_facts_are_taken_from_a_readings_json() -> None:
    frame = make_frame(1)
    found = ReadingFacts.of(reading(frame, NRF).to_dict(), RULES)
    assert (found.outcome, found.gradable, found.late) == (NRF, True, False)
    assert found.refer_probability == pytest.approx(0.1)
    assert found.frame_sha256 == frame.sha256


@pytest.mark.parametrize("spoilt", ["probabilities", "quality"])
def test_what_is_missing_in_a_reading_supports_nothing(spoilt: str) -> None:
    frame = make_frame(1)
    exam = Exam("X", RULES)
    for eye, view in PLACES:
        content = reading(frame := make_frame(len(exam.captures)), NRF).to_dict()
        if (eye, view) == PLACES[7]:
            content[spoilt] = None
        exam = apply(exam, Captured(eye, view, frame.sha256))
        exam = apply(exam, ReadingMade(len(exam.captures), ReadingFacts.of(content, RULES)))
    assert exam_result(exam).infant.outcome.value == "NO_RESULT"


@pytest.mark.parametrize(
    "given",
    [
        *(None, [], "0.1", 0.1, {}, {"other": 1.0}, {"none": 0.9, "ridge": 0.1}),
        *(
            {"none": 0.8, "ridge": value, "plus": 0.1}
            for value in (None, "0.1", True, False, [0.1], float("nan"), float("inf"))
        ),
        *({"none": 0.4 - value, "ridge": value, "plus": 0.6} for value in (-0.01, -0.5, -1, 1.02)),
        {"none": 0.0, "ridge": 0.0, "plus": 0.0},
        {"none": 0.5, "ridge": 0.2, "plus": 0.2},
        {"none": 0.9, "ridge": 0.1, "plus": 0.1, "stage3": 0.9},
        {"none": -5.0, "ridge": 0.1, "plus": 0.1},
        {"none": float("nan"), "ridge": 0.1, "plus": 0.1},
    ],
    ids=str,
)
def test_probabilities_that_are_none_support_nothing(given: Any) -> None:
    rules = dataclasses.replace(RULES, refer_classes=("ridge", "plus"))
    content = reading(make_frame(1), NRF).to_dict() | {"probabilities": given}
    assert ReadingFacts.of(content, rules).refer_probability is None


def test_probabilities_of_the_referring_classes_add_up() -> None:
    rules = dataclasses.replace(RULES, refer_classes=("ridge", "plus"))
    given = {"none": 0.625, "ridge": 0.25, "plus": 0.125}
    found = ReadingFacts.of(reading(make_frame(1), NRF).to_dict() | {"probabilities": given}, rules)
    assert found.refer_probability == 0.375
    for value, other in ((0, 1), (1, 0), (0.0, 1.0), (1.009, 0.0), (0.5, 0.515), (0.5, 0.485)):
        content = reading(make_frame(1), NRF).to_dict() | {"probabilities": {"none": other, "ridge": value}}
        assert ReadingFacts.of(content, RULES).refer_probability == value


@pytest.mark.parametrize(
    "quality",
    [*(None, [], {}, "gradable", {"gradable": 1}, {"gradable": "true"}), {"gradable": True, "reasons": ["blurred"]}],
    ids=str,
)
def test_only_true_is_gradable(quality: Any) -> None:
    assert not ReadingFacts.of(reading(make_frame(1), NRF).to_dict() | {"quality": quality}, RULES).gradable


@pytest.mark.parametrize("late", [None, 0, "", "false", True], ids=str)
def test_only_false_is_in_time(late: Any) -> None:
    content = reading(make_frame(1), NRF).to_dict()
    assert not ReadingFacts.of(content, RULES).late
    assert ReadingFacts.of(content | {"late": late}, RULES).late
    del content["late"]
    assert ReadingFacts.of(content, RULES).late


@pytest.mark.parametrize(
    ("budget_ms", "timings", "late"),
    [
        (None, {"total": 9999.0}, False),
        (500.0, {"total": 499.0}, False),
        (500.0, {"total": 500.0}, False),
        (500.0, {"total": 500.1}, True),
        (500.0, {"total": None}, True),
        (500.0, {"total": float("nan")}, True),
        (500.0, None, True),
        ("500", {"total": 1.0}, True),
        (float("nan"), {"total": 1.0}, True),
    ],
)
def test_what_took_longer_than_it_had_is_late_whatever_it_says(budget_ms: Any, timings: Any, late: bool) -> None:
    content = reading(make_frame(1), NRF).to_dict() | {"budget_ms": budget_ms, "timings_ms": timings, "late": False}
    assert ReadingFacts.of(content, RULES).late is late


def test_a_reading_of_an_engine_that_failed_its_self_test_supports_nothing() -> None:
    content = reading(make_frame(1), NRF).to_dict()
    for state, gradable in (("passed", True), ("none", True), ("failed", False)):
        assert ReadingFacts.of(content | {"trust": {"self_test": {"state": state}}}, RULES).gradable is gradable


@pytest.mark.parametrize("reason", ["", " ", "\u200b", "\u3164", " \uffa0\u2800", "\u115f\u1160", "\u202e"])
def test_a_reason_that_nobody_can_see_is_none(reason: str) -> None:
    with pytest.raises(ExamRefused, match=r"needs a reason$"):
        apply(in_phase(Phase.OPEN), Excluded(1, reason))
