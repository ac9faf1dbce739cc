from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from runtime.exam.errors import InfantInvalid, OrderInvalid
from runtime.exam.infant import Infant, parse_birth
from runtime.exam.order import Order, Ordered, chosen
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


@pytest.mark.parametrize("field", ["referring_physician", "description", "scheduled", "station_ae_title", "modality"])
def test_an_order_does_without_what_says_neither_whose_nor_which_it_is(field: str) -> None:
    ordered = Ordered.from_dict({**ANSWER, field: "", "unreadable": [field], "unreadable_why": ["no text"]})
    assert (ordered.lost, ordered.patient_id, ordered.order.accession) == ((field,), "H-1", "ACC-7")
    with pytest.raises(OrderInvalid, match="what the worklist holds in birth_date could not be read"):
        Ordered.from_dict({**ANSWER, "unreadable": [field, "birth_date"]})


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
        {"accession": "ACC\N{REPLACEMENT CHARACTER}7"},
        {"patient_name": "M\N{REPLACEMENT CHARACTER}ller^Zoe"},
        {"birth_date": "20261399"},
        *(
            {"unreadable": [name]}
            for name in ("patient_name", "patient_id", "sex", "step_id", "status", "later", ["x"])
        ),
        {"unreadable": True},
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
    this = infant(born_at=parse_birth("2026-10-13T23:30+02:00")[0], sex="F")
    Ordered.from_dict(ANSWER).check_infant(this)
    Ordered.from_dict({"accession": "ACC-7"}).check_infant(this)
    changes: dict[str, Any] = dict(change)
    if "born_at" in changes:
        changes["born_at"] = parse_birth(changes["born_at"])[0]
    with pytest.raises(OrderInvalid, match=f"order: its {what} differs from the infant's"):
        Ordered.from_dict(ANSWER).check_infant(dataclasses.replace(this, **changes))


def test_what_the_order_knows_of_the_infant_need_not_be_given_again() -> None:
    ordered = Ordered.from_dict(ANSWER)
    assert ordered.fill({"born_at": "x"}) == {"infant_id": "H-1", "name": "Doe^Baby", "sex": "F", "born_at": "x"}
    assert ordered.fill({"infant_id": "H-2"})["infant_id"] == "H-2"  # and is refused by `check_infant`
    assert Ordered.from_dict({**ANSWER, "sex": "U"}).fill({}) == {"infant_id": "H-1", "name": "Doe^Baby"}


TWIN_A, TWIN_B = "Doe^Anna", "Doe^Berta"


@pytest.mark.parametrize(
    ("order", "file"),
    [
        ({"patient_id": "H-1", "patient_name": TWIN_A}, {"name": TWIN_B}),
        ({"patient_id": "H-1", "patient_name": TWIN_A}, {"infant_id": "H-2"}),
        ({"patient_id": "", "patient_name": TWIN_A}, {"infant_id": "H-2", "name": TWIN_B}),
        ({"patient_id": "", "patient_name": TWIN_A}, {"infant_id": "H-2"}),
        ({"patient_id": "H-1", "patient_name": ""}, {"name": TWIN_B}),
        ({"patient_id": "H-1", "patient_name": "^"}, {"name": TWIN_B}),
    ],
)
def test_no_two_infants_become_one(order: dict[str, str], file: dict[str, str]) -> None:
    ordered = Ordered.from_dict({**ANSWER, **order})
    rest = {"born_at": "2026-10-13T04:30Z", "gestational_age": "27w3d", "birth_weight_g": 980}
    with pytest.raises((OrderInvalid, InfantInvalid)):
        ordered.check_infant(Infant.from_dict(ordered.fill({**rest, **file})))


def test_what_the_order_lacks_is_given_by_the_file() -> None:
    ordered = Ordered.from_dict({**ANSWER, "patient_id": "", "birth_date": "", "sex": ""})
    rest = {"born_at": "2026-10-13T04:30Z", "gestational_age": "27w3d", "birth_weight_g": 980}
    made = Infant.from_dict(ordered.fill({**rest, "infant_id": "H-9", "name": "DOE^BABY"}))
    ordered.check_infant(made)
    assert (made.infant_id, made.name) == ("H-9", "DOE^BABY")


@pytest.mark.parametrize(
    ("change", "field", "meant"),
    [
        ({"sex": "f"}, "sex", "F"),
        ({"sex": "U"}, "sex", ""),
        ({"birth_date": "2026.10.13"}, "birth_date", "20261013"),
        ({"birth_date": "2026-10-13"}, "birth_date", "20261013"),
        ({"patient_name": "Doe^Ba\u3000by"}, "patient_name", "Doe^Ba\u3000by"),
    ],
)
def test_what_is_odd_but_clear_is_put_right(change: dict[str, str], field: str, meant: str) -> None:
    assert getattr(Ordered.from_dict({**ANSWER, **change}), field) == meant


def test_texts_for_people_come_to_one_line_and_a_step_needs_no_procedure() -> None:
    ordered = Ordered.from_dict({**ANSWER, "description": "both\x85eyes\u2028now", "requested_procedure_id": ""})
    assert (ordered.order.description, ordered.order.step_id) == ("both eyes now", "SPS-1")


def test_one_of_two_steps_is_chosen_by_what_tells_them_apart() -> None:
    orders = [
        Ordered.from_dict({**ANSWER, "accession": a, "step_id": s}) for a, s in (("A", "1"), ("A", "2"), ("B", "3"))
    ]
    assert len(chosen(orders)) == 3
    assert [o.order.step_id for o in chosen(orders, accession="B")] == ["3"]
    assert [o.order.step_id for o in chosen(orders, accession="A", step_id="2")] == ["2"]
    assert len(chosen([orders[0], dataclasses.replace(orders[0], alike="x")])) == 1
