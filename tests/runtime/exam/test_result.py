from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime.exam.errors import ExamRefused
from runtime.exam.machine import (
    Captured,
    Closed,
    Event,
    Exam,
    Excluded,
    Included,
    Phase,
    ReadingMade,
    Relabelled,
    Stopped,
    StopReason,
    ViewConfirmed,
    Voided,
    apply,
)
from runtime.exam.result import (
    WORST_FIRST,
    Conclusion,
    ExamResult,
    awaits_second,
    capture_outcome,
    count_awaits_second,
    exam_result,
    place_awaits_second,
    settled,
    view_awaits_second,
    warnings_counted,
)
from runtime.outcome import (
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
    READING_PENDING,
    STOPPED,
    VOIDED,
    VOIDED_ALONE,
    Outcome,
)
from runtime.views import Eye, View
from tests.runtime.exam.making import NONE, NRF, PLACES, REFER, RETAKE, RULES, exam_of, facts

SHOTS = st.tuples(st.sampled_from(Eye), st.sampled_from(View), st.sampled_from(Outcome))
COMPLETE = [(eye, view, NRF) for eye, view in PLACES]


def outcomes(result: ExamResult) -> tuple[object, ...]:
    """What an exam amounts to, without its words."""
    eyes = [(eye, one.outcome) for eye, one in result.eyes.items()]
    return result.infant.outcome, eyes, {at: one.outcome for at, one in result.views.items()}


def test_every_view_gradable_and_below_threshold() -> None:
    result = exam_result(exam_of(COMPLETE))
    assert result.infant.outcome is NRF
    assert result.infant.banner == "No referral findings in these images: continue the scheduled examinations"


def test_rule_2_over_every_subset_of_the_ten_views() -> None:
    """1024 subsets: only the whole one gives no referral findings."""
    for taken in product((True, False), repeat=len(PLACES)):
        shots = [(*place, NRF) for place, there in zip(PLACES, taken, strict=True) if there]
        infant = exam_result(exam_of(shots)).infant
        assert (infant.outcome is NRF) == all(taken)
        assert all(taken) or (infant.outcome is NONE and infant.reason == NOT_CAPTURED)


@pytest.mark.parametrize("worse", [REFER, RETAKE, NONE])
def test_rule_2_one_worse_view_anywhere(worse: Outcome) -> None:
    for at in range(len(PLACES)):
        shots = [(*place, worse if i == at else NRF) for i, place in enumerate(PLACES)]
        assert exam_result(exam_of(shots)).infant.outcome is worse


@settings(max_examples=300)
@given(st.lists(SHOTS, max_size=30), st.sets(st.sampled_from(View), min_size=1), st.integers(0, 4))
def test_the_rules_hold_for_any_shots_in_any_order(
    shots: list[tuple[Eye, View, Outcome]], required: set[View], retakes: int
) -> None:
    rules = dataclasses.replace(RULES, required_views=tuple(required), retakes=retakes)
    result = exam_result(exam_of(shots, rules))
    for eye in Eye:
        mine = [(view, outcome) for of, view, outcome in shots if of is eye]
        referred = any(outcome is REFER for _, outcome in mine)
        hopeless = any(
            sum(1 for v, o in mine if v is view and o is RETAKE) > retakes
            and not any(v is view and o is NRF for v, o in mine)
            for view in View
        )
        if referred or hopeless:  # rules 1 and 3
            assert result.eyes[eye].outcome is REFER
        gradable = {view for view, outcome in mine if outcome is NRF}
        if result.eyes[eye].outcome is NRF:  # rule 2
            assert required <= gradable
            assert not referred
        assert result.eyes[eye].outcome in {v.outcome for (of, _), v in result.views.items() if of is eye}
    worst = min((v.outcome for v in result.eyes.values()), key=WORST_FIRST.index)
    assert result.infant.outcome is worst


@given(st.lists(SHOTS, max_size=20), st.randoms(use_true_random=False))
def test_a_referral_does_not_depend_on_the_order(shots: list[tuple[Eye, View, Outcome]], random: object) -> None:
    shuffled = list(shots)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    if any(outcome is REFER for *_, outcome in shots):
        assert exam_result(exam_of(shots)).infant.outcome is REFER
        assert exam_result(exam_of(shuffled)).infant.outcome is REFER


def test_rule_3_ungradable_after_the_allowed_retakes_is_refer() -> None:
    place = (Eye.OS, View.NASAL)
    shots = [shot for shot in COMPLETE if shot[:2] != place]
    for taken in range(1, 5):
        infant = exam_result(exam_of([*shots, *[(*place, RETAKE)] * taken])).infant
        assert infant.outcome is (REFER if taken == 4 else RETAKE)
    assert (infant.reason, infant.where) == (NOT_GRADABLE, "OS nasal")
    after = exam_result(exam_of([*shots, *[(*place, RETAKE)] * 4, (*place, NRF)])).infant
    assert after.outcome is REFER  # the allowed retakes were used up


def test_a_retake_that_succeeds() -> None:
    shots = [(Eye.OD, View.DISC, RETAKE), (Eye.OD, View.DISC, RETAKE), *COMPLETE]
    assert exam_result(exam_of(shots)).infant.outcome is NRF


def test_an_ungradable_frame_does_not_undo_a_gradable_one() -> None:
    assert exam_result(exam_of([*COMPLETE, (Eye.OD, View.DISC, RETAKE)])).infant.outcome is NRF


def test_a_fault_undoes_a_finding_until_the_view_is_taken_again() -> None:
    spoilt = [*COMPLETE, (Eye.OD, View.DISC, NONE)]
    assert exam_result(exam_of(spoilt)).infant.outcome is NONE
    assert exam_result(exam_of([*spoilt, (Eye.OD, View.DISC, NRF)])).infant.outcome is NRF


def test_a_view_that_is_not_required_counts_once_begun() -> None:
    rules = dataclasses.replace(RULES, required_views=(View.DISC,))
    enough = [(Eye.OD, View.DISC, NRF), (Eye.OS, View.DISC, NRF)]
    assert exam_result(exam_of(enough, rules)).infant.outcome is NRF
    for worse in (REFER, RETAKE, NONE):
        assert exam_result(exam_of([*enough, (Eye.OD, View.NASAL, worse)], rules)).infant.outcome is worse


def test_one_eye_alone_gives_no_all_clear() -> None:
    assert exam_result(exam_of([shot for shot in COMPLETE if shot[0] is Eye.OD])).infant.outcome is NONE


def test_a_reading_that_is_not_finished_holds_the_result_back() -> None:
    exam = exam_of(COMPLETE, close=False)
    exam = apply(exam, Captured(Eye.OD, View.DISC, "late"))
    infant = exam_result(exam).infant
    assert (infant.outcome, infant.reason) == (NONE, READING_PENDING)


def test_one_picture_for_several_views_is_a_frozen_camera() -> None:
    exam = Exam("X", RULES)
    for eye, view in PLACES:
        exam = apply(exam, Captured(eye, view, "same"))
        exam = apply(exam, ReadingMade(len(exam.captures), facts(NRF, "same")))
    result = exam_result(exam)
    assert result.views[Eye.OD, View.DISC].outcome is NRF
    assert result.infant.outcome is RETAKE
    assert "repeated frame" in result.infant.banner


@pytest.mark.parametrize(
    "spoilt",
    [
        {"refer_probability": None},
        {"refer_probability": float("nan")},
        {"refer_probability": float("inf")},
        {"refer_probability": -0.2},
        {"refer_probability": 1.5},
        {"late": True},
        {"gradable": False},
        {"frame_sha256": None},
        {"frame_sha256": "of another frame"},
        {"bundle_sha256": "another bundle"},
    ],
)
def test_no_referral_findings_is_believed_only_with_its_support(spoilt: dict[str, object]) -> None:
    exam = exam_of(COMPLETE[:-1], close=False)
    exam = apply(exam, Captured(*PLACES[-1], "z"))
    exam = apply(exam, ReadingMade(len(exam.captures), facts(NRF, "z", **spoilt)))
    assert exam_result(exam).infant.outcome is NONE


def test_a_stricter_threshold_than_the_readings_refers() -> None:
    rules = dataclasses.replace(RULES, threshold=0.05)
    assert exam_result(exam_of(COMPLETE, rules)).infant.outcome is REFER


def test_moving_a_referred_frame_keeps_the_infant_referred() -> None:
    exam = exam_of([(Eye.OD, View.DISC, REFER), *COMPLETE])
    moved = apply(exam, Relabelled(1, Eye.OS, View.NASAL, "wrong side"))
    assert exam_result(moved).eyes[Eye.OD].outcome is NRF
    assert exam_result(moved).eyes[Eye.OS].outcome is REFER
    assert exam_result(moved).infant.outcome is REFER


@pytest.mark.parametrize("left", [None, REFER, RETAKE, NONE, NRF], ids=lambda one: one.value if one else "not taken")
def test_the_sentence_of_a_whole_exam_stands_for_no_part_of_it(left: Outcome | None) -> None:
    shots = [(eye, view, left if eye is Eye.OS else NRF) for eye, view in PLACES]
    result = exam_result(exam_of([(eye, view, said) for eye, view, said in shots if said is not None]))
    assert (result.eyes[Eye.OD].banner, result.eyes[Eye.OD].base) == (ONE_EYE, ONE_EYE)
    assert {result.views[Eye.OD, view].banner for view in View} == {ONE_PICTURE}
    assert ("continue" in result.infant.banner) == (left is NRF)
    assert not [part for part in (*result.eyes.values(), *result.views.values()) if "continue" in part.banner]


def test_banners_name_the_view() -> None:
    shots = [shot for shot in COMPLETE if shot[:2] != (Eye.OS, View.NASAL)]
    assert exam_result(exam_of(shots)).infant.banner == "No result - OS nasal, not captured"
    shots.append((Eye.OS, View.NASAL, RETAKE))
    assert exam_result(exam_of(shots)).infant.banner == "Retake: image not gradable - OS nasal, as told"


@given(
    st.lists(st.tuples(SHOTS, st.booleans()), max_size=24), st.sets(st.sampled_from(View), min_size=1), st.booleans()
)
def test_a_frame_that_was_taken_out_as_the_rules_ask_counts_as_never_taken(
    shots: list[tuple[tuple[Eye, View, Outcome], bool]], required: set[View], older: bool
) -> None:
    """One person takes no referral away, whatever gave it; two do, or one where the exam is older than this rule."""
    persons = 1 if older else 2
    counts_by = dict.fromkeys(("refer_excluders", "refer_changers", "refer_includers"), persons)
    rules = dataclasses.replace(RULES, required_views=tuple(required), **counts_by)  # type: ignore[arg-type]
    whole = exam_of([shot for shot, _ in shots], rules)
    exam, before = whole, exam_result(whole)
    taken_out = [number for number, (_, out) in enumerate(shots, 1) if out]
    for number in taken_out:
        exam = apply(exam, Excluded(number, "wrong infant", "anna"))
    gone = {shots[number - 1][0][:2] for number in taken_out}
    if not older:
        alone = exam_result(exam)
        for at, one in before.views.items():
            assert (one.outcome is REFER) == (at in alone.views and alone.views[at].outcome is REFER)
            if one.outcome is REFER and alone.views[at] != one:
                assert (at in gone, alone.views[at].reason) == (True, EXCLUDED_ALONE)
        for number in taken_out:
            exam = apply(exam, Excluded(number, "wrong infant", "ben"))
    left = [shot for shot, out in shots if not out]
    result = exam_result(exam)
    assert outcomes(result) == outcomes(exam_result(exam_of(left, rules)))
    for (eye, view), one in result.views.items():
        if not any(shot[:2] == (eye, view) for shot in left):
            there = any(shot[:2] == (eye, view) for shot, _ in shots)
            assert one.reason == (EXCLUDED if there else NOT_CAPTURED)
    said = [f"frame {n}, {shots[n - 1][0][0].value} {shots[n - 1][0][1].value}" for n in taken_out]
    referring = [words for words, n in zip(said, taken_out, strict=True) if shots[n - 1][0][2] is REFER]
    assert list(result.warnings) == [f"{words}: read as REFER, excluded by a person" for words in referring]
    counts = [int(line.split()[0]) for line in warnings_counted(result.warnings)]
    assert counts == ([len(referring)] if referring else [])
    for number in taken_out:
        for who in ("anna", "ben")[:persons]:
            exam = apply(exam, Included(number, "by mistake", who))
    assert exam_result(exam) == exam_result(whole)


@given(st.lists(SHOTS, max_size=24), st.sampled_from(StopReason))
def test_a_stopped_exam_refers_or_has_no_result(shots: list[tuple[Eye, View, Outcome]], why: StopReason) -> None:
    open_ = exam_of(shots, close=False)
    whole, result = exam_result(open_), exam_result(apply(open_, Stopped(why)))
    stop = Conclusion(NONE, STOPPED[why.value])
    assert result.infant == (whole.infant if whole.infant.outcome is REFER else stop)
    assert result.eyes == {eye: one if one.outcome is REFER else stop for eye, one in whole.eyes.items()}
    assert result.views == {at: stop if one.outcome is NRF else one for at, one in whole.views.items()}
    assert result.warnings == ()


@given(st.lists(SHOTS, max_size=24), st.booleans())
def test_a_voided_exam_has_no_result_and_says_what_it_would_have_referred(
    shots: list[tuple[Eye, View, Outcome]], stopped: bool
) -> None:
    exam = exam_of(shots, close=False)
    exam = apply(apply(exam, Stopped(StopReason.UNSTABLE) if stopped else Closed()), Voided("wrong infant"))
    result = exam_result(exam)
    void = Conclusion(NONE, VOIDED)
    assert {result.infant, *result.eyes.values(), *result.views.values()} == {void}
    assert set(result.eyes) == set(Eye)
    assert list(result.warnings) == [
        f"frame {number}, {eye.value} {view.value}: read as REFER, in an exam that was voided"
        for number, (eye, view, outcome) in enumerate(shots, 1)
        if outcome is REFER
    ]
    counts = [int(line.split()[0]) for line in warnings_counted(result.warnings)]
    assert sum(counts) == len(result.warnings)
    assert result.referring == ()


@given(st.lists(SHOTS, max_size=24), st.sets(st.integers(1, 24)), st.booleans(), st.booleans())
def test_an_exam_that_refers_is_voided_by_two_persons_and_any_other_one_by_one(
    shots: list[tuple[Eye, View, Outcome]], taken_out: set[int], stopped: bool, older: bool
) -> None:
    whole = exam_of(shots, dataclasses.replace(RULES, refer_changers=1 if older else 2), close=False)
    for number in (number for number in taken_out if number <= len(shots)):
        whole = apply(whole, Excluded(number, "wrong eye", "anna"))
    whole = apply(whole, Stopped(StopReason.UNSTABLE)) if stopped else whole
    before, alone = exam_result(whole), settled(apply(whole, Voided("wrong infant", "anna")))
    result = exam_result(alone)
    if before.infant.outcome is not REFER or older:
        assert (alone.phase, result.infant) == (Phase.VOIDED, Conclusion(NONE, VOIDED))
        return
    assert alone.phase is Phase.CLOSED
    assert result.infant == Conclusion(REFER, VOIDED_ALONE, before.infant.where)
    assert {eye: one.outcome is REFER for eye, one in result.eyes.items()} == {
        eye: one.outcome is REFER for eye, one in before.eyes.items()
    }
    assert result.referring == before.referring
    assert NRF not in {one.outcome for one in (*result.eyes.values(), *result.views.values())}
    with pytest.raises(ExamRefused, match="a second one has to look"):
        apply(alone, Voided("again", "Anna "))
    both = settled(apply(alone, Voided("wrong infant", "ben")))
    assert (both.phase, exam_result(both).infant) == (Phase.VOIDED, Conclusion(NONE, VOIDED))


@given(st.lists(SHOTS, max_size=24))
def test_every_view_that_refers_is_named(shots: list[tuple[Eye, View, Outcome]]) -> None:
    result = exam_result(exam_of(shots))
    assert list(result.referring) == [result.views[at] for at in PLACES if result.views[at].outcome is REFER]
    assert {one.where for one in result.referring} >= {
        f"{eye.value} {view.value}" for eye, view, outcome in shots if outcome is REFER
    }


def test_a_finding_tells_more_than_not_gradable() -> None:
    place, other = (Eye.OS, View.NASAL), (Eye.OS, View.DISC)
    hopeless = [(*place, RETAKE)] * 4
    assert exam_result(exam_of([*hopeless, (*place, REFER)])).views[place].reason == "as told"
    elsewhere = exam_of([*hopeless, (*place, NRF), (*other, REFER)])
    assert exam_result(elsewhere).views[place].reason == NOT_GRADABLE
    taken_out = apply(exam_of([*hopeless, (*place, REFER)]), Excluded(5, "wrong eye"))
    assert exam_result(taken_out).views[place].reason == NOT_GRADABLE


def test_a_fault_after_many_ungradable_frames_is_a_fault() -> None:
    place = (Eye.OS, View.NASAL)
    shots = [(*place, NRF), *[(*place, RETAKE)] * 5, (*place, NONE)]
    assert exam_result(exam_of(shots)).views[place].outcome is NONE


def test_two_views_alike_are_one_until_a_person_says_otherwise() -> None:
    exam = exam_of(COMPLETE[:-1], close=False)
    exam = apply(exam, Captured(*PLACES[-1], "z"))
    exam = apply(exam, ReadingMade(len(exam.captures), facts(NRF, "z"), like=(len(exam.captures) - 1,)))
    like = exam_result(exam).infant
    last = f"{PLACES[-2][0].value} {PLACES[-2][1].value}"
    assert (like.outcome, like.reason) == (RETAKE, f"{LIKE_ANOTHER} {last} (frame {len(PLACES) - 1})")
    assert exam_result(apply(exam, ViewConfirmed(len(PLACES), "seen"))).infant.outcome is NRF
    assert exam_result(apply(exam, Excluded(len(PLACES) - 1, "artefact"))).views[PLACES[-1]].outcome is NRF


WHY = "seen"
HOPELESS = [(*PLACES[0], RETAKE)] * (RULES.retakes + 1)


def with_alikes(count: int) -> Exam:
    """The whole of an exam but for its last view, of which there are so many frames that are like the one before."""
    exam = exam_of(COMPLETE[:-1], close=False)
    for number in range(len(COMPLETE), len(COMPLETE) + count):
        exam = apply(exam, Captured(*PLACES[-1], f"z{number}"))
        exam = apply(exam, ReadingMade(number, facts(NRF, f"z{number}"), like=(len(COMPLETE) - 1,)))
    return exam


@pytest.mark.parametrize(
    ("exam", "act", "after"),
    [
        pytest.param(
            exam_of([*COMPLETE[1:], *HOPELESS, COMPLETE[0]]),
            lambda who: Relabelled(len(COMPLETE), *PLACES[1], WHY, who),
            NRF,
            id="an ungradable frame moved away",
        ),
        pytest.param(
            exam_of([*COMPLETE[1:], COMPLETE[1], *HOPELESS]),
            lambda who: Relabelled(1, *PLACES[0], WHY, who),
            NRF,
            id="an earlier frame moved to where the ungradable ones are",
        ),
        pytest.param(
            with_alikes(RULES.retakes + 1), lambda who: ViewConfirmed(len(COMPLETE), WHY, who), NRF, id="confirmed"
        ),
        pytest.param(
            with_alikes(RULES.retakes + 1),
            lambda who: Excluded(len(COMPLETE) - 1, WHY, who),
            NONE,
            id="what they are like excluded",
        ),
        pytest.param(
            with_alikes(RULES.retakes + 1),
            lambda who: Relabelled(len(COMPLETE) - 1, *PLACES[-1], WHY, who),
            NONE,
            id="what they are like moved",
        ),
    ],
)
def test_no_word_of_one_person_about_a_frames_place_takes_a_referral_away(
    exam: Exam, act: Callable[[str], Excluded | Relabelled | ViewConfirmed], after: Outcome
) -> None:
    before = exam_result(exam)
    assert (before.infant.outcome, before.infant.reason) == (REFER, NOT_GRADABLE)
    alone = apply(exam, act("Anna"))
    held = exam_result(alone)
    assert held.infant.outcome is REFER
    assert held.infant.reason in (CHANGED_ALONE, EXCLUDED_ALONE)
    assert held.infant.where == before.infant.where
    waits = (awaits_second, place_awaits_second, view_awaits_second)
    assert [one.number for one in alone.captures for waiting in waits if waiting(alone, one)] == [act("").capture]
    with pytest.raises(ExamRefused, match="by the same person; a second one has to look at it"):
        apply(alone, act("anna"))
    both = apply(alone, act("ben"))
    assert exam_result(both).infant.outcome is after
    assert not [one for one in both.captures for waiting in waits if waiting(both, one)]
    with pytest.raises(ExamRefused, match=r"already$"):
        apply(both, act("carl"))
    older = dataclasses.replace(exam, rules=dataclasses.replace(exam.rules, refer_excluders=1, refer_changers=1))
    assert exam_result(apply(older, act("anna"))).infant.outcome is after
    with pytest.raises(ExamRefused, match=r"already$"):
        apply(apply(older, act("anna")), act("ben"))


def test_a_frame_that_is_back_where_it_was_holds_nothing() -> None:
    exam = exam_of([*COMPLETE[1:], *HOPELESS, COMPLETE[0]])
    number = len(COMPLETE)
    there = apply(exam, Relabelled(number, *PLACES[1], WHY, "anna"))
    back = apply(apply(there, Relabelled(number, *PLACES[2], WHY, "ben")), Relabelled(number, *PLACES[0], WHY, "anna"))
    assert exam_result(back) == exam_result(exam)
    other = apply(there, Relabelled(number, *PLACES[2], WHY, "ben"))  # it is nobody's second: both said another place
    assert exam_result(other).infant.reason == CHANGED_ALONE


def test_what_counts_by_a_persons_word_is_said_beside_the_outcome() -> None:
    exam, number = with_alikes(1), len(COMPLETE)
    assert exam_result(exam).warnings == ()
    confirmed = apply(exam, ViewConfirmed(number, WHY, "anna"))
    where = f"{PLACES[-1][0].value} {PLACES[-1][1].value}"
    said = f"frame {number}, {where}: nearly the same place as another view; counted, as a person confirmed it"
    for one in (confirmed, apply(confirmed, ViewConfirmed(number, WHY, "ben"))):
        result = exam_result(one)
        assert (result.infant.outcome, result.warnings) == (NRF, (said,))
        assert list(warnings_counted(result.warnings)) == [f"1 frame: {said.partition(': ')[2]}"]
    assert exam_result(apply(confirmed, Excluded(number, "artefact"))).warnings == ()
    assert exam_result(apply(confirmed, Excluded(number - 1, "artefact"))).warnings == ()  # it is like none now
    older = dataclasses.replace(confirmed, rules=dataclasses.replace(exam.rules, refer_changers=1))
    assert exam_result(older).warnings == ()


@pytest.mark.parametrize(
    ("retakes", "before", "why"),
    [
        pytest.param(RULES.retakes + 1, REFER, NOT_GRADABLE, id="a referral"),
        pytest.param(1, RETAKE, "as told", id="a view that is not done"),
        pytest.param(0, NONE, EXCLUDED, id="a view without a frame"),
    ],
)
def test_no_frame_that_two_persons_had_excluded_speaks_again_by_the_word_of_one(
    retakes: int, before: Outcome, why: str
) -> None:
    """The good picture was another infant's, as two had agreed; then the view could not be graded."""
    exam = exam_of([*COMPLETE, *[(*PLACES[0], RETAKE)] * retakes])
    for who in ("anna", "ben"):
        exam = apply(exam, Excluded(1, WHY, who))
    assert (exam_result(exam).infant.outcome, exam_result(exam).infant.reason) == (before, why)
    alone = apply(exam, Included(1, WHY, "anna"))
    assert (exam_result(alone).infant.outcome, exam_result(alone).infant.reason) == (before, INCLUDED_ALONE)
    assert [one.number for one in alone.captures if count_awaits_second(alone, one)] == [1]
    turned = apply(alone, Excluded(1, WHY, "anna"))  # and back: nothing is forgotten by that
    assert exam_result(apply(turned, Included(1, WHY, "anna"))).infant == exam_result(alone).infant
    with pytest.raises(ExamRefused, match="by the same person; a second one has to look at it"):
        apply(alone, Included(1, WHY, "ANNA"))
    both = apply(alone, Included(1, WHY, "ben"))
    assert exam_result(both).infant.outcome is NRF
    assert not any(count_awaits_second(both, one) for one in both.captures)
    with pytest.raises(ExamRefused, match=r"already$"):
        apply(both, Included(1, WHY, "carl"))
    older = dataclasses.replace(exam, rules=dataclasses.replace(exam.rules, refer_includers=1))
    assert exam_result(apply(older, Included(1, WHY, "anna"))).infant.outcome is NRF
    with pytest.raises(ExamRefused, match=r"already$"):
        apply(apply(older, Included(1, WHY, "anna")), Included(1, WHY, "ben"))


def test_who_takes_back_an_exclusion_of_his_own_needs_nobody_where_nothing_referred() -> None:
    exam = apply(exam_of(COMPLETE), Excluded(1, WHY, "anna"))
    assert exam_result(apply(exam, Included(1, WHY, "anna"))).infant.outcome is NRF
    hopeless = exam_of([*COMPLETE, *[(*PLACES[0], RETAKE)] * (RULES.retakes + 1)])
    exam = apply(hopeless, Excluded(1, WHY, "anna"))
    back = exam_result(apply(exam, Included(1, WHY, "anna"))).infant
    assert (back.outcome, back.reason) == (REFER, INCLUDED_ALONE)


@settings(max_examples=300)
@given(
    st.lists(SHOTS, min_size=1, max_size=12),
    st.lists(
        st.tuples(
            st.sampled_from(["move", "exclude", "include", "confirm"]),
            st.integers(0, 11),
            st.sampled_from(PLACES),
            st.sampled_from(["anna", "ben"]),
        ),
        max_size=10,
    ),
    st.integers(0, 11),
    st.sets(st.sampled_from(View), min_size=1),
)
def test_whatever_went_before_one_inclusion_takes_no_referral_away(
    shots: list[tuple[Eye, View, Outcome]],
    acts: list[tuple[str, int, tuple[Eye, View], str]],
    number: int,
    required: set[View],
) -> None:
    exam = exam_of(shots, dataclasses.replace(RULES, required_views=tuple(required)))
    for kind, at, place, who in acts:
        with suppress(ExamRefused):
            exam = apply(exam, dataclasses.replace(ACTS[kind](at % len(shots) + 1, *place), who=who))  # type: ignore[arg-type]
    capture = exam.captures[number % len(shots)]
    if not capture.excluded:
        return
    before, after = exam_result(exam), exam_result(apply(exam, Included(capture.number, WHY, "carl")))
    if before.infant.outcome is REFER:
        assert after.infant.outcome is REFER
    if capture.out_by_two and before.views.get((capture.eye, capture.view), before.infant).outcome is not NRF:
        assert after.views[capture.eye, capture.view].outcome is not NRF


ACTS: dict[str, Callable[[int, Eye, View], Event]] = {
    "move": lambda number, eye, view: Relabelled(number, eye, view, WHY, "anna"),
    "exclude": lambda number, eye, view: Excluded(number, WHY, "anna"),
    "include": lambda number, eye, view: Included(number, WHY, "anna"),
    "confirm": lambda number, eye, view: ViewConfirmed(number, WHY, "anna"),
    "void": lambda number, eye, view: Voided(WHY, "anna"),
    "stop": lambda number, eye, view: Stopped(StopReason.REFUSED),
    "close": lambda number, eye, view: Closed(),
}


@settings(max_examples=300)
@example([((*at, REFER), False) for at in PLACES], [(10, "void", 0, PLACES[0])], {View.DISC})
@example([((*at, REFER), True) for at in PLACES], [(10, "void", 0, PLACES[0])], {View.DISC})
@example(
    [*(((*at, NRF), False) for at in PLACES), ((*PLACES[0], NONE), True)], [(11, "exclude", 10, PLACES[0])], set(View)
)
@example(
    [
        *(((*at, NRF), False) for at in PLACES[:1]),
        *(((*at, NRF), False) for at in PLACES[5:6]),
        ((*PLACES[1], RETAKE), False),
    ],
    [(3, "exclude", 2, PLACES[0])],
    {View.DISC},
)
@given(
    st.lists(st.tuples(SHOTS, st.booleans()), min_size=1, max_size=16),
    st.lists(
        st.tuples(st.integers(0, 17), st.sampled_from(sorted(ACTS)), st.integers(0, 15), st.sampled_from(PLACES)),
        max_size=8,
    ),
    st.sets(st.sampled_from(View), min_size=1),
)
def test_no_infant_is_cleared_by_what_one_person_alone_does(
    shots: list[tuple[tuple[Eye, View, Outcome], bool]],
    acts: list[tuple[int, str, int, tuple[Eye, View]]],
    required: set[View],
) -> None:
    """Whatever one person says, whenever, also while frames wait for their readings: what refers, refers."""
    exam = plain = Exam("X", dataclasses.replace(RULES, required_views=tuple(required)))
    late: list[tuple[int, Outcome]] = []
    done: set[str] = set()

    def read(one: Exam, number: int, outcome: Outcome) -> Exam:
        return settled(apply(one, ReadingMade(number, facts(outcome, f"{number}"))))

    def act_at(moment: int) -> None:
        nonlocal exam
        for when, kind, at, place in acts:
            if when == moment:
                with suppress(ExamRefused):
                    exam = settled(apply(exam, ACTS[kind](at % len(shots) + 1, *place)))
                    done.add(kind)

    for moment, ((eye, view, outcome), waits) in enumerate(shots):
        act_at(moment)
        number = len(exam.captures) + 1
        with suppress(ExamRefused):
            exam = apply(exam, Captured(eye, view, f"{number}"))
            plain = read(apply(plain, Captured(eye, view, f"{number}")), number, outcome)
            if waits:
                late.append((number, outcome))
            else:
                exam = read(exam, number, outcome)
    act_at(len(shots))
    for number, outcome in late:
        exam = read(exam, number, outcome)
    act_at(len(shots) + 1)
    before, after = exam_result(plain), exam_result(exam)
    if before.infant.outcome is REFER:
        assert (after.infant.outcome, exam.phase is Phase.VOIDED) == (REFER, False)
    if "move" not in done and before.infant.outcome is not NRF:
        assert after.infant.outcome is not NRF
        assert all(before.views[at].outcome is NRF for at, one in after.views.items() if one.outcome is NRF)


def test_a_result_cannot_be_changed_and_words_for_a_part_make_no_other() -> None:
    result = exam_result(exam_of(COMPLETE))
    for mapping in (result.eyes, result.views):
        with pytest.raises(TypeError):
            mapping[next(iter(mapping))] = result.infant  # type: ignore[index]
    assert dataclasses.replace(result.infant, alone=ONE_EYE) == result.infant


def test_a_repeated_picture_that_was_read_as_refer_refers() -> None:
    exam = exam_of(COMPLETE[:-1], close=False)
    for outcome in (NRF, REFER):
        exam = apply(exam, Captured(*PLACES[-1], "same"))
        exam = apply(exam, ReadingMade(len(exam.captures), facts(outcome, "same")))
    assert (exam_result(exam).infant.outcome, exam_result(exam).infant.reason) == (REFER, "as told")


def test_a_capture_without_a_picture_keeps_its_own_reason() -> None:
    exam = apply(exam_of([], close=False), Captured(Eye.OD, View.DISC, None))
    exam = apply(exam, ReadingMade(1, dataclasses.replace(facts(NONE, ""), frame_sha256=None, reason="no picture")))
    assert exam_result(exam).views[Eye.OD, View.DISC] == Conclusion(NONE, "no picture", "OD disc-centred")
    believed = apply(exam_of([], close=False), Captured(Eye.OD, View.DISC, None))
    believed = apply(believed, ReadingMade(1, dataclasses.replace(facts(NRF, ""), frame_sha256=None)))
    assert exam_result(believed).views[Eye.OD, View.DISC].outcome is NONE


def test_a_view_begun_in_one_eye_is_not_begun_in_the_other() -> None:
    rules = dataclasses.replace(RULES, required_views=(View.DISC,))
    result = exam_result(
        exam_of([(Eye.OD, View.DISC, NRF), (Eye.OS, View.DISC, NRF), (Eye.OD, View.NASAL, NRF)], rules)
    )
    assert set(result.views) == {(Eye.OD, View.DISC), (Eye.OS, View.DISC), (Eye.OD, View.NASAL)}
    assert result.infant.outcome is NRF


def test_one_frame_of_what_a_person_took_out_has_no_result() -> None:
    exam = exam_of([(*PLACES[0], REFER), (*PLACES[1], NRF)], close=False)
    assert [capture_outcome(exam, one) for one in exam.captures] == [(REFER, "as told"), (NRF, "as told")]
    out = apply(exam, Excluded(1, "artefact"))
    assert [capture_outcome(out, one) for one in out.captures] == [(NONE, EXCLUDED), (NRF, "as told")]
    void = apply(exam, Voided("wrong infant"))
    assert [capture_outcome(void, one) for one in void.captures] == [(NONE, VOIDED), (NONE, VOIDED)]


@pytest.mark.parametrize(
    ("probability", "outcome", "reason"),
    [
        (0.0, NRF, "as told"),
        (0.4999, NRF, "as told"),
        (0.5, REFER, "ridge + plus 0.50, threshold 0.50"),
        (1.01, REFER, "ridge + plus 1.01, threshold 0.50"),
        (1.0101, NONE, CONTRADICTION),
        (-1e-9, NONE, CONTRADICTION),
    ],
)
def test_the_exams_threshold_counts(probability: float, outcome: Outcome, reason: str) -> None:
    rules = dataclasses.replace(RULES, refer_classes=("ridge", "plus"))
    exam = apply(Exam("X", rules), Captured(Eye.OD, View.DISC, "a"))
    exam = apply(exam, ReadingMade(1, facts(NRF, "a", refer_probability=probability)))
    assert capture_outcome(exam, exam.captures[0]) == (outcome, reason)
