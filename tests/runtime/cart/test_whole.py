"""A whole exam over HTTP on simulated parts: sign-in to archive, with the mishaps of a first day."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from runtime.cart.demo import parts
from runtime.cart.demo.parts import CLINICIAN
from tests.runtime.cart.driving import VIEWS, Driver, driven, until

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")


@pytest.fixture(scope="module")
def cart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with driven(tmp_path_factory.mktemp("cart")) as driver:
        yield driver


@pytest.mark.slow
def test_sign_in_to_archive(cart: Driver) -> None:
    assert cart.get("state").status_code == 401
    cart.sign_in()
    rows = cart.done("worklist/refresh")["rows"]
    assert [row["patient_id"] for row in rows[:2]] == ["D-1001", "D-1002"]
    assert rows[0]["alike"] == ["same surname", "same birth date"]
    assert all(row["own"] for row in rows)
    exam = cart.open_exam()
    state = cart.state()["exam"]
    assert state["infant"]["shown_name"] == "Rivera, Baby A of Ana"
    assert {view["status"] for eye in state["eyes"].values() for view in eye["views"].values()} == {"todo"}
    cart.aim("OD", "disc-centred")
    until(lambda: _lit(cart), "the light is on, and said to be")

    first = {view: cart.picture("OD", view) for view in VIEWS}
    assert (first["temporal"]["outcome"], first["temporal"]["reason"]) == ("RETAKE", "blurred")
    assert first["superior"]["outcome"] == "RETAKE"
    assert first["superior"]["reason"].startswith("too dark")
    cart.whole_exam()
    _gates_are_shown_and_change_nothing(cart)
    taken = cart.state()["exam"]["captures"]
    lit = sum("image" in one["pictures"] for one in taken)  # on a busy machine a press may find no frame, and no flash
    assert lit <= len(cart.simulated.board.flashes) <= len(taken)
    dose = cart.state()["exam"]["light"]["dose"]
    assert all(hazard["used"] > 0 for eye in dose.values() for hazard in eye.values())

    assert cart.get("service").json()["latency"]["budget"] == f"{parts.BUDGET_MS:g} ms"

    closed = cart.done(f"exams/{exam}/close")
    assert closed["phase"] == "closed"
    assert closed["outcome"] in ("REFER", "NO_REFERRAL_FINDINGS")
    assert not cart.state()["exam"]
    until(lambda: not cart.simulated.board.led_level, "light off after the exam")
    until(lambda: _delivery(cart, exam) == "done", "the archive answers for the exam")
    kept = cart.simulated.hospital.kept.values()
    assert {str(dataset.PatientID) for dataset in kept} == {"D-1001"}
    assert any(str(dataset.Modality) == "SR" for dataset in kept)
    until(lambda: _steps(cart) == ["COMPLETED"], "the hospital hears that the ordered step is completed")

    assert not _line(cart, exam)["disagrees"]
    against = {"stage": "3"} if closed["eyes"]["OD"]["outcome"] == "NO_REFERRAL_FINDINGS" else {"stage": "0"}
    findings = {"eye": "OD", "zone": None, "plus": None, "notch": False, "a_rop": False, "note": "", **against}
    cart.sign_in(CLINICIAN)
    documented = cart.done(f"exams/{exam}/document", findings)
    assert len(documented["disagreements"]) == 1
    assert documented["outcome"] == closed["outcome"]
    assert _line(cart, exam)["disagrees"]


def _gates_are_shown_and_change_nothing(cart: Driver) -> None:
    before = cart.state()["exam"]["captures"]
    with_vessels = [one for one in before if "overlay" in one["pictures"]]
    assert with_vessels
    assert [one["number"] for one in before if "gates" in one["pictures"]] == [one["number"] for one in with_vessels]
    shown = {kind: cart.client.get(with_vessels[0]["addresses"][kind]) for kind in ("image", "overlay", "gates")}
    assert all(answer.headers["content-type"] == "image/jpeg" for answer in shown.values())
    assert len({answer.content for answer in shown.values()}) == 3
    assert '"gates_open": [' in shown["gates"].headers["x-explanation"]
    after = cart.state()["exam"]["captures"]
    assert [(one["number"], one["outcome"]) for one in after] == [(one["number"], one["outcome"]) for one in before]


def _steps(cart: Driver) -> list[str]:
    return [str(step.PerformedProcedureStepStatus) for step in cart.simulated.hospital.steps.values()]


def _lit(cart: Driver) -> bool:
    """Switched on, again where a busy machine's late heartbeat let the board put it out."""
    assert cart.light(True).is_success
    return bool(cart.state()["exam"]["light"]["on"])


def _delivery(cart: Driver, exam: str) -> str:
    return str(_line(cart, exam)["delivery"]["state"])


def _line(cart: Driver, exam: str) -> dict[str, Any]:
    found: dict[str, Any] = next(line for line in cart.get("exams").json()["exams"] if line["exam"] == exam)
    return found
