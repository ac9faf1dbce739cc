from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.exam.binding import Aims
from runtime.exam.errors import ExamRefused
from runtime.views import Eye, View


def test_a_frame_belongs_to_what_was_set_at_its_capture() -> None:
    aims = Aims().opened("A", 100).aimed(Eye.OD, View.DISC, 110).aimed(Eye.OS, View.NASAL, 120)
    aims = aims.closed(130).opened("B", 140).aimed(Eye.OD, View.TEMPORAL, 150)
    assert aims.at(110) == ("A", Eye.OD, View.DISC)
    assert aims.at(119) == ("A", Eye.OD, View.DISC)
    assert aims.at(125) == ("A", Eye.OS, View.NASAL)
    assert aims.at(10**9) == ("B", Eye.OD, View.TEMPORAL)


@pytest.mark.parametrize("captured_ns", [0, 99, 130, 139])
def test_no_exam_was_open(captured_ns: int) -> None:
    aims = Aims().opened("A", 100).aimed(Eye.OD, View.DISC, 110).closed(130).opened("B", 140)
    with pytest.raises(ExamRefused, match="no exam was open"):
        aims.at(captured_ns)


def test_laterality_is_not_carried_over_to_the_next_infant() -> None:
    aims = Aims().opened("A", 100).aimed(Eye.OD, View.DISC, 110).closed(130).opened("B", 140)
    with pytest.raises(ExamRefused, match="before eye and view were set"):
        aims.at(145)
    with pytest.raises(ExamRefused, match="no exam is open"):
        Aims().aimed(Eye.OD, View.DISC, 1)


@given(st.lists(st.tuples(st.sampled_from(["open", "aim", "close"]), st.integers(0, 5)), max_size=30), st.integers())
def test_what_comes_later_never_changes_where_a_frame_belongs(steps: list[tuple[str, int]], captured_ns: int) -> None:
    aims, now, seen = Aims(), 0, []
    for step, wait in steps:
        now += wait
        if step == "open":
            aims = aims.opened(f"exam {now}", now)
        elif step == "close":
            aims = aims.closed(now)
        elif aims.history and aims.history[-1].exam_id is not None:
            aims = aims.aimed(Eye.OD, View(list(View)[now % 5]), now)
        if captured_ns < now:
            seen.append(_where(aims, captured_ns))
    assert len(set(seen)) <= 1


def _where(aims: Aims, captured_ns: int) -> object:
    try:
        return aims.at(captured_ns)
    except ExamRefused:
        return None
