"""Where exams stand with the archive: one word each, and Today's counts are of the exams that it lists."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from runtime.cart.standing import counted, standing_of
from runtime.dicom.outbox.steps import DONE, HELD, PROVING, WAITING
from runtime.exam.machine import Phase


def journal(exam: str, state: str | None, *, behind: bool = False, to_reject: bool = False) -> Any:
    sent = [] if state is None else [SimpleNamespace(exam_id=exam, state=state, last_error="refused")]
    return SimpleNamespace(
        deliveries=SimpleNamespace(
            behind=lambda _: [(1, exam)] if behind else [],
            to_reject=lambda _: [(1, exam)] if to_reject else [],
            all=lambda destination: sent,
        )
    )


@pytest.mark.parametrize(
    ("phase", "delivery", "news", "word", "counts"),
    [
        pytest.param(Phase.OPEN, None, {}, "not closed yet", None, id="open"),
        pytest.param(Phase.CLOSED, None, {"behind": True}, "waiting", "waiting", id="closed, no sender saw it"),
        pytest.param(Phase.CLOSED, None, {}, "waiting", "waiting", id="closed, a reading is missing"),
        pytest.param(Phase.CLOSED, WAITING, {}, "waiting", "waiting", id="waiting"),
        pytest.param(Phase.CLOSED, PROVING, {}, "sent, not yet answered for", "waiting", id="sent"),
        pytest.param(Phase.CLOSED, HELD, {}, "held", "held", id="held"),
        pytest.param(Phase.CLOSED, DONE, {}, "in the archive", "done", id="done"),
        pytest.param(Phase.CLOSED, DONE, {"behind": True}, "waiting", "waiting", id="changed since"),
        pytest.param(Phase.VOIDED, None, {}, "nothing to send", None, id="void before it was sent"),
        pytest.param(Phase.VOIDED, DONE, {"to_reject": True}, "waiting", "waiting", id="to be rejected"),
        pytest.param(Phase.VOIDED, DONE, {}, "in the archive", "done", id="rejected"),
        pytest.param(Phase.RETIRED, DONE, {}, "in the archive", "done", id="retired"),
        pytest.param(Phase.RETIRED, None, {}, "nothing to send", None, id="retired where there was no archive"),
    ],
)
def test_a_word_and_a_count_for_every_state(
    phase: Phase, delivery: str | None, news: dict[str, bool], word: str, counts: str | None
) -> None:
    exam = cast("Any", SimpleNamespace(exam_id="E", phase=phase))
    standing = standing_of(journal("E", delivery, **news), [exam])
    assert standing["E"]["word"] == word
    nothing = {"waiting": 0, "held": 0, "done": 0, "elsewhere": 0}
    assert counted(standing, {"E"}) == nothing | ({} if counts is None else {counts: 1})
    assert counted(standing, set()) == nothing | {"elsewhere": int(counts in ("waiting", "held"))}
