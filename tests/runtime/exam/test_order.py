from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from runtime.exam.errors import OrderInvalid
from runtime.exam.infant import parse_time
from runtime.exam.order import Order, Ordered
from tests.runtime.exam.making import infant

ANSWER = {
    "patient_id": "H-1",
    "patient_name": "Doe^Baby",
    "birth_date": "20261013",
    "sex": "F",
    "accession": "ACC-7",
    "study_uid": "1.2.826.0.1.3680043.8.498.7",
    "requested_procedure_id": "RP-1",
    "step_id": "SPS-1",
    "description": "ROP screening",
    "scheduled": "20261122 101500",
    "station_ae_title": "ROPCART",
    "referring_physician": "Referrer^Rita",
}
"""As `python -m runtime.dicom worklist --json` prints it."""


def test_an_answer_of_the_worklist_is_an_order() -> None:
    ordered = Ordered.from_dict(ANSWER)
    assert ordered.order == Order(
        "ACC-7", "1.2.826.0.1.3680043.8.498.7", "RP-1", "SPS-1", "Referrer^Rita", "ROP screening"
    )
    assert Order.from_dict(ordered.order.to_dict()) == ordered.order
    assert Ordered.from_dict({"accession": "ACC-7"}).order == Order("ACC-7")
    assert Ordered.from_dict({}).order.empty


@pytest.mark.parametrize(
    "change",
    [
        {"accession": "A" * 17},
        {"accession": "A\\B"},
        {"accession": "A\nB"},
        {"accession": 7},
        {"study_uid": "1.2.x"},
        {"study_uid": "1." + "2" * 64},
        {"study_uid": "1.02"},
        {"requested_procedure_id": ""},
        {"description": "x" * 1001},
        {"patient_id": None},
        {"acession": "ACC-7"},
    ],
)
def test_what_no_order_can_be_is_refused_without_naming_it(change: dict[str, Any]) -> None:
    with pytest.raises(OrderInvalid) as refused:
        Ordered.from_dict({**ANSWER, **change})
    assert str(refused.value).startswith("order: ")
    for value in ("ACC-7", "Doe", "H-1"):
        assert value not in str(refused.value)


@pytest.mark.parametrize(
    ("change", "what"),
    [({"infant_id": "H-2"}, "identifier"), ({"sex": "M"}, "sex"), ({"born_at": "2026-10-14T04:30Z"}, "date of birth")],
)
def test_the_order_of_another_infant_is_refused(change: dict[str, str], what: str) -> None:
    this = infant(born_at=parse_time("2026-10-13T23:30+02:00"), sex="F")
    Ordered.from_dict(ANSWER).check_infant(this)
    Ordered.from_dict({"accession": "ACC-7"}).check_infant(this)
    changes: dict[str, Any] = dict(change)
    if "born_at" in changes:
        changes["born_at"] = parse_time(changes["born_at"])
    with pytest.raises(OrderInvalid, match=f"order: its {what} differs from the infant's"):
        Ordered.from_dict(ANSWER).check_infant(dataclasses.replace(this, **changes))


def test_what_the_order_knows_of_the_infant_need_not_be_given_again() -> None:
    ordered = Ordered.from_dict(ANSWER)
    assert ordered.fill({"born_at": "x"}) == {"infant_id": "H-1", "name": "Doe^Baby", "sex": "F", "born_at": "x"}
    assert ordered.fill({"infant_id": "H-2"})["infant_id"] == "H-2"  # and is refused by `check_infant`
    assert Ordered.from_dict({**ANSWER, "sex": "U"}).fill({}) == {"infant_id": "H-1", "name": "Doe^Baby"}
