from __future__ import annotations

import re

import pytest

from runtime.outcome import AID_NOTICE, BANNERS, DEMONSTRATION_NOTICE, Outcome, banner

FORBIDDEN = re.compile(r"\b(normal|healthy|diagnos\w*|stage|zone|plus|discharge)\b", re.IGNORECASE)


def test_there_is_a_banner_for_every_outcome() -> None:
    assert set(BANNERS) == set(Outcome)


@pytest.mark.parametrize("text", [*BANNERS.values(), AID_NOTICE, DEMONSTRATION_NOTICE])
def test_no_text_says_what_it_may_not(text: str) -> None:
    assert not FORBIDDEN.search(text)


def test_banners_carry_view_and_reason_where_they_may() -> None:
    assert banner(Outcome.RETAKE, "blurred", "nasal") == "Retake: image not gradable - nasal, blurred"
    assert banner(Outcome.NO_RESULT, "late") == "No result - late"
    assert banner(Outcome.REFER, "ridge 0.9") == BANNERS[Outcome.REFER]
    assert banner(Outcome.NO_RESULT) == "No result"
