from __future__ import annotations

import json
import unicodedata
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.exam.errors import InfantInvalid
from runtime.exam.infant import Infant, Weeks, parse_birth, parse_weight
from tests.runtime.exam.making import NOW, infant

CONTENT = {
    "infant_id": "H-1042",
    "name": "Doe^Baby",
    "born_at": "2026-10-01T04:30+02:00",
    "gestational_age": "27w3d",
    "birth_weight_g": 980,
}
NAMES = [
    "O'Neill-Śmigły^Zoë",
    "王^小明=王^小明",
    "المولود^فاطمة",
    "बेबी^आशा क्षत्रिय",
    "תינוק^נועה",
    "ทารก^สมชาย",
    "ნინო^ბავშვი",
    "አበበ^ሕፃን",
    "やまだ^たろう",
    "👶 𠮷田",
    "نیم‌فاصله",  # a zero-width non-joiner belongs to the word
    "x" * 300,
    "क्षि" * 100,
]


def test_postmenstrual_age_is_gestational_plus_chronological() -> None:
    born = NOW - timedelta(days=40, hours=23)
    made = infant(born_at=born, gestational_age=Weeks.parse("27w3d"))
    assert str(made.postmenstrual_age(NOW)) == "33w1d"
    assert str(made.postmenstrual_age(NOW + timedelta(hours=1))) == "33w2d"
    assert str(made.postmenstrual_age(born)) == "27w3d"


@pytest.mark.parametrize(
    ("text", "days"), [("27w3d", 192), ("27+3", 192), ("27w", 189), (" 27 w 3 d ", 192), ("45w0d", 315)]
)
def test_gestational_ages(text: str, days: int) -> None:
    assert Weeks.parse(text).days == days


@pytest.mark.parametrize("text", ["27", "27.5", "27w7d", "w3", "", "192 days", "２７w3d", "-27w3d", "27w3d4"])
def test_gestational_ages_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InfantInvalid, match="weeks and days"):
        Weeks.parse(text)


@pytest.mark.parametrize(("text", "fits"), [("19w6d", False), ("20w0d", True), ("45w0d", True), ("45w1d", False)])
def test_range_of_gestational_ages(text: str, fits: bool) -> None:
    if fits:
        infant(gestational_age=Weeks.parse(text))
    else:
        with pytest.raises(InfantInvalid, match="20w0d to 45w0d"):
            infant(gestational_age=Weeks.parse(text))


@pytest.mark.parametrize("value", [200, 6000, "980", 980.0, " 980 g"])
def test_weights_in_grams(value: object) -> None:
    assert 200 <= parse_weight(value) <= 6000


@pytest.mark.parametrize("value", [0.98, 1.2, "0.98", "0,98", 2])
def test_weights_in_kilograms_are_refused_with_a_hint(value: object) -> None:
    with pytest.raises(InfantInvalid, match=r"looks like kilograms: \d+ g\?"):
        parse_weight(value)


NO_WEIGHTS = ["0.98 kg", "1kg", None, True, float("nan"), float("inf"), 199, 6001, -980, 980.5, 10**400, -(10**400)]


@pytest.mark.parametrize("value", NO_WEIGHTS, ids=lambda value: str(value)[:8])
def test_weights_that_cannot_be(value: object) -> None:
    with pytest.raises(InfantInvalid, match=r"birth_weight_g.*gram"):
        parse_weight(value)


@pytest.mark.parametrize("name", NAMES)
def test_names_in_every_script_stay_as_they_are(name: str) -> None:
    made = Infant.from_dict({**CONTENT, "name": name})
    assert Infant.from_dict(json.loads(json.dumps(made.to_dict()))).name == name


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=400).filter(str.strip))
def test_any_name_without_control_characters(name: str) -> None:
    assert Infant.from_dict({**CONTENT, "name": name}).name == name


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\x00b", "\x1b[31m", "\ud800", "x" * 1001])
def test_names_that_cannot_be(name: str) -> None:
    with pytest.raises(InfantInvalid, match=r"^name: "):
        Infant.from_dict({**CONTENT, "name": name})


def test_a_birth_in_the_future_is_refused_and_the_clock_is_told() -> None:
    with pytest.raises(InfantInvalid, match=r"future .the cart's clock says 2026-11-22"):
        infant(born_at=NOW + timedelta(minutes=1)).check_born(NOW)
    infant(born_at=NOW).check_born(NOW)


def test_a_slip_of_the_year_is_refused() -> None:
    with pytest.raises(InfantInvalid, match="5 years back"):
        infant(born_at=NOW.replace(year=1926)).check_born(NOW)


@pytest.mark.parametrize(
    "text",
    [
        *("2026-10", "20261001", "2026-W40", "01.10.2026 04:30", "", "yesterday", "2026-13-01T04:30", "2026-02-30"),
        *("2026-10-01Z", "2026-10-01+02:00", "2026-10-01-05:00", "2026-10-01T"),
    ],
)
def test_births_that_cannot_be_read(text: str) -> None:
    with pytest.raises(InfantInvalid, match="expected ISO 8601"):
        parse_birth(text)


def test_a_time_of_birth_that_nobody_said_is_said_nowhere() -> None:
    found = Infant.from_dict({**CONTENT, "born_at": " 2026-10-01 "})
    assert (found.time_known, found.born, found.to_dict()["born_at"]) == (False, "2026-10-01", "2026-10-01")
    assert Infant.from_dict(found.to_dict()) == found
    assert found.age_days(found.born_at + timedelta(days=3, hours=23)) == 3
    at_midnight = Infant.from_dict({**CONTENT, "born_at": "2026-10-01T00:00"})
    assert (at_midnight.time_known, at_midnight.born_at) == (True, found.born_at)


def test_a_birth_without_zone_is_the_carts() -> None:
    assert parse_birth("2026-10-01T04:30")[0].tzinfo is not None
    assert parse_birth("2026-10-01T04:30Z") == (datetime(2026, 10, 1, 4, 30, tzinfo=timezone.utc), True)
    with pytest.raises(InfantInvalid, match="without its zone"):
        infant(born_at=datetime(2026, 10, 1, 4, 30))


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        "x",
        3,
        {},
        {**CONTENT, "sex": "girl"},
        {**CONTENT, "colour": "F"},
        {k: v for k, v in CONTENT.items() if k != "name"},
    ]
    + [{**CONTENT, field: None} for field in CONTENT],
)
def test_other_contents_are_refused(content: object) -> None:
    with pytest.raises(InfantInvalid, match="expected"):
        Infant.from_dict(content)


@given(
    st.fixed_dictionaries(
        {field: st.one_of(st.none(), st.text(), st.floats(), st.integers(), st.booleans()) for field in CONTENT}
    )
)
def test_no_message_repeats_a_patients_fields(content: dict[str, object]) -> None:
    name = "Secret^Name" + unicodedata.normalize("NFC", "é")
    said = ""
    try:
        Infant.from_dict({**content, "name": name, "infant_id": "SECRET-ID"}).check_born(NOW)
    except InfantInvalid as error:
        said = str(error)
    assert "secret" not in said.lower()


@pytest.mark.parametrize("field", ["infant_id", "name"])
@pytest.mark.parametrize("text", ["A\\B", "^", "a\u202eb", "a\u2028b", "\ufffd", "\u200d"])
def test_what_nobody_may_enter_and_an_older_journal_may_hold(field: str, text: str) -> None:
    made = infant(**{field: text})
    with pytest.raises(InfantInvalid, match=f"{field}: "):
        made.check_born(datetime.now(timezone.utc))
