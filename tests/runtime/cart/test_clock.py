"""The clock jumps in the middle of an exam: it is said, the exam goes on, and the journal stays whole."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart import cart as cart_module
from runtime.cart.cart import emergency_id
from runtime.cart.watch import Watch
from runtime.exam.journal import Journal
from runtime.exam.journal.verify import verify
from tests.runtime.cart.driving import until
from tests.runtime.cart.quick import KEY, Quick, quick

UTC = timezone.utc
SUMMER_ENDS = datetime(2026, 10, 25, 0, 59, 50, tzinfo=UTC)  # 02:59:50 in Berlin, ten seconds before 02:00:00 again
MIDNIGHT = datetime(2026, 11, 20, 22, 59, 50, tzinfo=UTC)
NOON = datetime(2026, 11, 20, 11, tzinfo=UTC)


class Wall:
    """The clock on the wall, which goes on by itself and can be set."""

    def __init__(self) -> None:
        self.set(NOON)

    def set(self, moment: datetime) -> None:
        self._ahead = moment - datetime.now(UTC)

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wall]:
    made = Wall()
    monkeypatch.setattr(cart_module, "Watch", lambda: Watch(clock=made.now))
    with monkeypatch.context() as zone:
        zone.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield made
    time.tzset()


def clock_says(cart: Quick) -> str:
    return next(part["problem"] for part in cart.cart.health() if part["name"] == "clock")


@pytest.mark.parametrize(
    ("began", "then", "said", "day"),
    [
        pytest.param(NOON, timedelta(hours=1), "moved 60 min forward", "2026-11-20", id="forward"),
        pytest.param(NOON, timedelta(days=400), "h forward", "2026-11-20", id="a year forward"),
        pytest.param(NOON, timedelta(hours=-3), "h behind the newest entry", "2026-11-20", id="back"),
        pytest.param(MIDNIGHT, timedelta(seconds=20), "", "2026-11-20", id="over midnight"),
        pytest.param(MIDNIGHT, timedelta(days=1), "h forward", "2026-11-20", id="a day forward"),
        pytest.param(SUMMER_ENDS, timedelta(seconds=20), "", "2026-10-25", id="over the end of summer time"),
        pytest.param(SUMMER_ENDS, timedelta(hours=-1), "behind", "2026-10-25", id="set by hand as summer ends"),
    ],
)
def test_an_exam_goes_on_over_a_jump(
    tmp_path: Path, wall: Wall, began: datetime, then: timedelta, said: str, day: str
) -> None:
    wall.set(began)

    def journal() -> Journal:
        return Journal.open(tmp_path / "journal", KEY, create=True, clock=wall.now)

    with quick(tmp_path, open_journal=journal) as cart:
        exam = cart.open_exam()
        first = cart.capture("OD", "disc-centred")
        wall.set(began + then)
        if said:
            until(lambda: said in clock_says(cart), "the jump is said")
        else:
            assert clock_says(cart) == ""
        cart.capture("OD", "temporal")
        shown = cart.exam()
        assert (shown["exam"], [one["number"] for one in shown["captures"]]) == (exam, [1, 2])
        assert shown["captures"][0]["outcome"] == first["outcome"]
        age = shown["infant"]["postmenstrual_age"]
        cart.stop()
        cart.start()  # and what was written over the jump is whole to whoever opens it
        cart.sign_in()
        cart.capture("OS", "nasal")
        assert cart.exam()["infant"]["postmenstrual_age"] == age  # as of its beginning
        cart.done(f"exams/{exam}/stop", {"cause": "refused"})
        assert [line["exam"] for line in cart.get(f"exams?day={day}").json()["exams"]] == [exam]
        following = cart.open_exam(infant_id="Q-2")
        assert cart.exam()["exam"] == following
    with journal() as kept:
        assert verify(kept).findings == ()


def test_two_emergencies_of_one_minute_are_two_infants() -> None:
    made = {emergency_id() for _ in range(20)}
    assert len(made) == 20
    assert all(one.startswith("EMERGENCY-20") and len(one) < 40 for one in made)


def test_no_page_measures_by_a_clock_that_can_be_set() -> None:
    pages = Path(cart_module.__file__).with_name("pages")
    for script in pages.rglob("*.js"):
        asked = re.findall(r"Date\.now|new Date\(\)", script.read_text(encoding="utf-8"))
        assert asked == [], script.name
