"""What was agreed before an exam: what can be no rule is refused, and the journal gives back what it got."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.bundle import Bundle
from runtime.exam.errors import ExamRefused
from runtime.exam.rules import ExamRules, rules_for
from runtime.views import DEFAULT_RETAKES, MOST_RETAKES, View
from tests.runtime.exam.making import BUNDLE, RULES

VIEWS = ", ".join(view.value for view in (View.NASAL, View.DISC, View.NASAL))

PERSONS = {"excluders": "exclude a referral", "changers": "change a referral", "includers": "include a frame"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        *(
            ({"threshold": value}, f"threshold: got {value}, expected a number between 0 and 1")
            for value in (0, 0.0, 1, 1.0, 1.5, 2.0, -0.1, math.nan, math.inf)
        ),
        ({"refer_classes": ()}, "refer classes: got none, expected the bundle's"),
        ({"required_views": ()}, "required views: got none; expected at least one, each once"),
        (
            {"required_views": (View.NASAL, View.DISC, View.NASAL)},
            f"required views: got {VIEWS}; expected at least one, each once",
        ),
        *(
            ({"retakes": value}, f"retakes: got {value}, expected 0 to {MOST_RETAKES}")
            for value in (-1, MOST_RETAKES + 1, True, False)
        ),
        *(
            ({f"refer_{who}": value}, f"persons who {does}: got {value}, expected 1 or 2")
            for who, does in PERSONS.items()
            for value in (-1, 0, 3)
        ),
    ],
)
def test_what_can_be_no_rule_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ExamRefused) as caught:
        dataclasses.replace(RULES, **changes)
    assert str(caught.value) == said


@given(
    st.floats(0, 1, exclude_min=True, exclude_max=True),
    st.lists(st.sampled_from(View), min_size=1, unique=True),
    st.integers(0, MOST_RETAKES),
    st.none() | st.just("f" * 64),
)
def test_the_journal_gives_back_what_it_got(
    threshold: float, views: list[View], retakes: int, profile: str | None
) -> None:
    rules = ExamRules(threshold, ("ridge", "other"), BUNDLE, "0.2", tuple(views), retakes, profile)
    kept = json.loads(json.dumps(rules.to_dict()))
    again = ExamRules.from_dict(kept)
    assert again == rules
    assert [type(value) for value in vars(again).values()] == [type(value) for value in vars(rules).values()]
    assert {type(view) for view in again.required_views} == {View}
    assert rules.to_dict() == kept


@pytest.mark.parametrize("persons", [1, 2])
def test_how_many_persons_is_kept_and_was_one_before_it_was_a_rule(persons: int) -> None:
    counts = {f"refer_{who}": persons for who in PERSONS}
    kept = dataclasses.replace(RULES, **counts).to_dict()  # type: ignore[arg-type]
    assert ExamRules.from_dict(kept).to_dict() == kept
    older = {name: value for name, value in kept.items() if name not in counts}
    assert ExamRules.from_dict(older).to_dict() == kept | dict.fromkeys(counts, 1)


def test_of_a_bundle_it_is_the_bundles_word_unless_a_site_said_another(bundle: Bundle) -> None:
    own = rules_for(bundle)
    assert (own.threshold, own.retakes, own.required_views) == (0.5, DEFAULT_RETAKES, tuple(View))
    assert own.refer_classes == tuple(label.name for label in bundle.manifest.classes if label.refer)
    assert own.bundle == bundle.facts
    assert own.site_profile_sha256 is None
    sites = rules_for(bundle, required_views=[View.DISC], retakes=0, threshold=0.25, site_profile_sha256="a" * 64)
    assert sites == dataclasses.replace(
        own, threshold=0.25, retakes=0, required_views=(View.DISC,), site_profile_sha256="a" * 64
    )
