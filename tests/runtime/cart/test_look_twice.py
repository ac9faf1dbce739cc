"""An identifier that is another infant's elsewhere is told before the first picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.dicom.worklist import WorklistItem
from tests.runtime.cart.quick import INFANT_FIELDS, Quick, quick

LISTED = {"patient_id": "W-7", "patient_name": "Listed^Lena", "birth_date": "20261018", "sex": "F"}


def ordering() -> list[WorklistItem]:
    empty = dict.fromkeys(WorklistItem.__dataclass_fields__, "")
    return [WorklistItem(**{**empty, **LISTED, "unreadable": ()})]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quick]:
    with quick(tmp_path_factory.mktemp("cart"), ordering=ordering) as made:
        made.done("worklist/refresh")
        made.done(f"exams/{made.open_exam()}/close")  # Q-1, Quick^Ada
        yield made


@pytest.mark.parametrize(
    ("infant", "differs"),
    [
        ({}, ""),
        ({"name": "Ada Quick"}, ""),
        ({"infant_id": "N-1", "name": "New^Nora"}, ""),
        ({"name": "Other^Olga"}, "with another name;"),
        ({"infant_id": " q-1", "born_at": "2026-10-19T00:00"}, "with another date of birth;"),
        ({"name": "Other^Olga", "sex": "M"}, "with another name and sex;"),
        ({"infant_id": "W-7", "name": "Listed^Lena"}, ""),
        ({"infant_id": "w-7", "name": "Other^Olga"}, "the worklist has this identifier with another name;"),
    ],
)
def test_an_identifier_of_another_infant_is_told(cart: Quick, infant: dict[str, Any], differs: str) -> None:
    opened = cart.done("exams", {"infant": {**INFANT_FIELDS, **infant}, "wrist_band_checked": True})
    try:
        assert [differs in one for one in opened["warnings"]] == ([True] if differs else [])
        assert cart.exam()["warnings"] == opened["warnings"]
        assert not [said for said in opened["warnings"] if "Quick" in said or "Listed" in said]
        body = {"infant": {**INFANT_FIELDS, "infant_id": "Q-2", "name": "Right^Rita"}, "reason": "slip"}
        cart.done(f"exams/{opened['exam']}/correct", body)
        assert cart.exam()["warnings"] == []
    finally:
        cart.done(f"exams/{opened['exam']}/void", {"reason": "a test's"})


def test_an_event_that_was_altered_does_not_keep_an_exam_from_being_opened(tmp_path: Path) -> None:
    with quick(tmp_path) as cart:
        cart.done(f"exams/{cart.open_exam()}/close")
        with pytest.MonkeyPatch.context() as patched:

            def damaged(_: object) -> Any:
                raise ValueError("altered")

            patched.setattr("runtime.cart.look_twice.infants_of_exams", damaged)
            body = {"infant": INFANT_FIELDS, "wrist_band_checked": True}
            assert "could not be read" in cart.done("exams", body)["warnings"][0]
