"""What the screens say of a picture or a view is what the exam's rules made of it, in every state there is."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.cart.state import capture_dict, eye_dict
from runtime.exam.journal import CaptureRecord, ExamRecord
from runtime.exam.machine import (
    Captured,
    Exam,
    Excluded,
    Included,
    ReadingMade,
    Stopped,
    StopReason,
    ViewConfirmed,
    Voided,
    apply,
)
from runtime.exam.result import capture_outcome, exam_result
from runtime.outcome import INCLUDED_ALONE, Outcome
from runtime.views import Eye, View
from tests.runtime.exam.making import NONE, NOW, NRF, REFER, RETAKE, RULES, facts

NASAL, TEMPORAL = (Eye.OD, View.NASAL), (Eye.OD, View.TEMPORAL)


def record_of(exam: Exam) -> ExamRecord:
    """As the journal gives it, without what no word depends on."""
    captures = []
    for one in exam.captures:
        outcome, reason = capture_outcome(exam, one)
        reading: dict[str, Any] | None = None if one.reading is None else {}
        made = CaptureRecord(
            one.number, one.eye, one.view, NOW, "", 0, None, "image", 1, 1, reading, outcome, reason, one.excluded
        )
        captures.append(made)
    summary = SimpleNamespace(local=lambda moment: moment)
    record = SimpleNamespace(
        summary=summary, exam=exam, captures=tuple(captures), result=exam_result(exam), rules=exam.rules
    )
    return cast("ExamRecord", record)


def shown(record: ExamRecord) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Pictures and eyes."""
    pictures = [capture_dict(record, capture) for capture in record.captures]
    return pictures, {eye.value: eye_dict(record, eye) for eye in Eye}


def two_alike(second: Outcome) -> Exam:
    """A temporal picture without findings, and a nasal one that shows nearly the same place."""
    exam = Exam("X", RULES)
    for number, (place, outcome) in enumerate(((TEMPORAL, NRF), (NASAL, second)), 1):
        exam = apply(exam, Captured(*place, f"{number:064x}"))
        like = (1,) if number == 2 else ()
        exam = apply(exam, ReadingMade(number, facts(outcome, f"{number:064x}"), like))
    return exam


@pytest.mark.parametrize(
    ("outcome", "then", "like", "looks", "status"),
    [
        pytest.param(NRF, None, "OD temporal", None, "alike", id="it does not count"),
        pytest.param(REFER, None, None, "OD temporal", "refer", id="a REFER counts, whatever it is like, and says it"),
        pytest.param(REFER, ViewConfirmed(2, "seen"), None, None, "refer", id="a REFER that was confirmed"),
        pytest.param(RETAKE, None, None, None, "retake", id="ungradable"),
        pytest.param(NONE, None, None, None, "no result", id="no result"),
        pytest.param(NRF, ViewConfirmed(2, "seen"), None, None, "taken", id="confirmed"),
        pytest.param(NRF, Excluded(2, "artefact"), None, None, "todo", id="excluded"),
        pytest.param(REFER, Excluded(2, "artefact"), None, None, "refer", id="a REFER that was excluded"),
        pytest.param(NRF, Excluded(1, "artefact"), None, None, "taken", id="the other excluded"),
        pytest.param(NRF, Voided("training"), None, None, None, id="voided"),
        pytest.param(NRF, Stopped(StopReason.REFUSED), "OD temporal", None, "alike", id="stopped"),
    ],
)
def test_that_a_picture_does_not_count_is_said_where_it_does_not(
    outcome: Outcome, then: Any, like: str | None, looks: str | None, status: str | None
) -> None:
    exam = two_alike(outcome)
    pictures, eyes = shown(record_of(exam if then is None else apply(exam, then)))
    assert (pictures[1]["view_like"], pictures[1]["looks_like"]) == (like, looks)
    assert pictures[0]["view_like"] is pictures[0]["looks_like"] is None
    if status is not None:
        assert eyes["OD"]["views"]["nasal"]["status"] == status


def test_a_view_that_lost_its_only_picture_is_named() -> None:
    exam = two_alike(REFER)
    for number in (1, 2):
        exam = apply(exam, Excluded(number, "artefact", "anna"))
    pictures, eyes = shown(record_of(exam))
    assert [one["awaits_second"] for one in pictures] == [False, True]
    assert (eyes["OD"]["views"]["nasal"]["status"], eyes["OD"]["undone"].count("nasal")) == ("refer", 0)
    exam = apply(exam, Excluded(2, "artefact", "ben"))
    pictures, eyes = shown(record_of(exam))
    assert [one["awaits_second"] for one in pictures] == [False, False]
    assert {"temporal", "nasal"} <= set(eyes["OD"]["undone"])
    assert eyes["OD"]["views"]["nasal"]["reason"] == "frame excluded by a person"


def test_who_counts_a_picture_again_alone_is_told_to_whom_it_still_has_to_be_said() -> None:
    exam = apply(Exam("X", RULES), Captured(*TEMPORAL, "1"))
    exam = apply(exam, ReadingMade(1, facts(NRF, "1")))
    for event in (Excluded(1, "artefact", "anna"), Excluded(1, "artefact", "ben"), Included(1, "slip", "anna")):
        exam = apply(exam, event)
    (picture,), eyes = shown(record_of(exam))
    assert (picture["count_awaits_second"], eyes["OD"]["views"]["temporal"]["reason"]) == (True, INCLUDED_ALONE)
    (picture,), _ = shown(record_of(apply(exam, Included(1, "slip", "ben"))))
    assert picture["count_awaits_second"] is False


SHOTS = st.tuples(st.sampled_from(Eye), st.sampled_from(View), st.sampled_from(Outcome), st.booleans())


@settings(max_examples=200, deadline=None)
@given(st.lists(SHOTS, max_size=14), st.sets(st.integers(1, 14)), st.sampled_from(["open", "stopped", "voided"]))
def test_what_is_said_is_what_counts(
    shots: list[tuple[Eye, View, Outcome, bool]], excluded: set[int], end: str
) -> None:
    exam = Exam("X", dataclasses.replace(RULES, required_views=tuple(View)[:3]))
    for number, (eye, view, outcome, like) in enumerate(shots, 1):
        exam = apply(exam, Captured(eye, view, f"{number:064x}"))
        exam = apply(
            exam, ReadingMade(number, facts(outcome, f"{number:064x}"), tuple(range(1, number)) if like else ())
        )
    for number in excluded & set(range(1, len(shots) + 1)):
        exam = apply(exam, Excluded(number, "artefact"))
    exam = {"open": exam, "stopped": apply(exam, Stopped(StopReason.REFUSED)), "voided": apply(exam, Voided("x"))}[end]
    record = record_of(exam)
    pictures, eyes = shown(record)
    for picture in pictures:
        assert (picture["view_like"] is not None) == picture["reason"].startswith("shows nearly the same place")
        assert picture["view_like"] is None or picture["outcome"] == "RETAKE"
        assert picture["looks_like"] is None or picture["outcome"] == "REFER"
    for eye in Eye:
        content = eyes[eye.value]
        done = {name for name, view in content["views"].items() if view["outcome"] in (REFER.value, NRF.value)}
        assert set(exam.rules.required_views) <= {View(name) for name in content["views"]}
        if end == "open":
            assert set(content["undone"]) == set(content["views"]) - done
            assert not content["undone"] or content["outcome"] != NRF.value
        assert not set(content["undone"]) & done
