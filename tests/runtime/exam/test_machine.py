from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.exam.errors import ExamRefused
from runtime.exam.machine import (
    MOST_CAPTURES,
    Captured,
    Closed,
    Exam,
    Phase,
    ReadingFacts,
    ReadingMade,
    Relabelled,
    apply,
)
from runtime.exam.result import exam_result
from runtime.exam.rules import ExamRules
from runtime.views import Eye, View
from tests.runtime.exam.making import BUNDLE, NRF, PLACES, REFER, RULES, exam_of, facts, reading
from tests.runtime.exam.making import frame as make_frame

DISC = (Eye.OD, View.DISC)


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


def test_an_exam_does_not_grow_without_end() -> None:
    exam = exam_of([(*DISC, NRF)] * MOST_CAPTURES, close=False)
    with pytest.raises(ExamRefused, match=f"{MOST_CAPTURES} frames"):
        apply(exam, Captured(*DISC, "a"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": 0.0}, "threshold"),
        ({"threshold": float("nan")}, "threshold"),
        ({"required_views": ()}, "required views"),
        ({"required_views": (View.NASAL, View.NASAL)}, "required views"),
        ({"retakes": -1}, "retakes"),
        ({"refer_classes": ()}, "refer classes"),
    ],
)
def test_rules_that_cannot_be(changes: dict[str, object], message: str) -> None:
    content: dict[str, object] = {"threshold": 0.5, "refer_classes": ("ridge",), "bundle": BUNDLE, "software": "0"}
    with pytest.raises(ExamRefused, match=message):
        ExamRules(**(content | changes))  # type: ignore[arg-type]


def test_rules_survive_json() -> None:
    assert ExamRules.from_dict(RULES.to_dict()) == RULES


@given(
    st.lists(
        st.one_of(
            st.builds(Captured, st.sampled_from(Eye), st.sampled_from(View), st.sampled_from(["a", "b", None])),
            st.builds(ReadingMade, st.integers(0, 6), st.sampled_from([facts(o, "a") for o in type(NRF)])),
            st.builds(
                Relabelled, st.integers(0, 6), st.sampled_from(Eye), st.sampled_from(View), st.sampled_from(["", "r"])
            ),
            st.builds(Closed),
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
        assert not (before.phase is Phase.CLOSED and exam.phase is Phase.OPEN)
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
