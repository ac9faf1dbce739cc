"""Random sessions at the cart, with faults: page, journal and archive say the same, and nothing unsafe is ever said.

Hypothesis drives the API as nurses and an ophthalmologist would, in any order, while the camera is unplugged, the
engine fails in each of its ways, pictures are dark, the disk fills up, the archive is away and the program restarts.
A model beside it knows what each picture truly was. Unsafe is "no referral findings" for an infant without a good
picture below the threshold of every view of both eyes, or despite one over it.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.cart import cart as cart_module
from runtime.cart import room as room_module
from runtime.cart import sending as sending_module
from runtime.cart.demo.parts import CLINICIAN, TECHNICIAN, USER
from runtime.cart.sending import sending
from runtime.cart.state import plain
from runtime.dicom.configuration import DicomConfig
from runtime.dicom.from_journal import exam_from_journal
from runtime.dicom.objects import planned
from runtime.dicom.outbox import steps
from runtime.dicom.trial import ARCHIVE_AE, CART_AE, Hospital
from runtime.dicom.worklist import query_worklist
from runtime.engines.fake import Fault
from runtime.exam.errors import JournalFull
from runtime.exam.journal import Journal
from runtime.exam.machine import Phase
from runtime.outcome import BANNERS
from tests.runtime.cart.driving import VIEWS, on_screen, until
from tests.runtime.cart.quick import INFANT_FIELDS, KEY, Quick

EYES = ("OD", "OS")
# pynetdicom drops, and does not close, a socket whose other side went away, and says so in its own thread.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]
NRF, REFER = "NO_REFERRAL_FINDINGS", "REFER"
BELOW, OVER = (0.9, 0.1), (0.1, 0.9)
eyes, views = st.sampled_from(EYES), st.sampled_from(VIEWS)
REASON = {"reason": "by chance"}
counted = {"sessions": 0, "steps": 0, "exams": 0, "closed": 0, "nrf": 0, "pictures": 0, "delivered": 0}


@dataclass
class Taken:
    """What a picture truly was."""

    eye: str
    view: str
    truth: str
    """NRF, REFER, or "" where nothing may be said."""
    excluded: bool = False


@dataclass
class Known:
    """What the model knows of an exam."""

    taken: list[Taken] = field(default_factory=list)
    ended: str = ""
    """`closed`, `stopped`, `void`, empty while it is open."""

    @property
    def may_be_clear(self) -> bool:
        """Whether "no referral findings" may be said of the infant: rule 2, from the pictures alone."""
        counts = [one for one in self.taken if not one.excluded]
        clear = {(one.eye, one.view) for one in counts if one.truth == NRF}
        whole = clear == {(eye, view) for eye in EYES for view in VIEWS}
        return whole and self.ended not in ("stopped", "void") and all(one.truth != REFER for one in counts)


@pytest.fixture(scope="module", autouse=True)
def hospital() -> Iterator[None]:
    made = Hospital(date.today())
    Session.hospital = made
    yield
    made.close()
    gc.collect()  # what pynetdicom dropped is told here, where it is not minded


class Session(RuleBasedStateMachine):
    """One session, from an empty journal."""

    hospital: Hospital

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="session-"))
        self.full = self.away = False
        self.exams: dict[str, Known] = {}
        self.patched = pytest.MonkeyPatch()
        free, accept, read = Journal.free_bytes, Journal.add_capture, Journal.add_reading

        def whole(write: Any) -> Any:
            def writes(journal: Journal, *args: Any, **more: Any) -> Any:
                if self.full and journal.folder == self.folder / "journal":
                    raise JournalFull("no space left, as it was told")
                return write(journal, *args, **more)

            return writes

        self.patched.setattr(Journal, "free_bytes", lambda journal: 0 if self.full else free(journal))
        self.patched.setattr(Journal, "add_capture", whole(accept))
        self.patched.setattr(Journal, "add_reading", whole(read))
        self.patched.setattr(room_module, "UNREAD_AGAIN_S", 0.05)
        self.patched.setattr(cart_module, "SEND_EVERY_S", 0.1)
        self.patched.setattr(sending_module, "LOOK_AGAIN_S", 0.1)
        node = {"ae_title": ARCHIVE_AE, "host": "127.0.0.1", "port": self.hospital.port}
        said = {"schema": "rop.dicom/1", "cart": {"ae_title": CART_AE}, "archive": node, "worklist": node, "mpps": node}
        self.site = DicomConfig.model_validate(said)
        self.sends = sending(self.journal, self.site)
        self.cart = Quick(self.folder, send=self.send, ordering=self.worklist)
        self.cart.sign_in(USER)
        counted["sessions"] += 1

    def journal(self) -> Journal:
        return Journal.open(self.folder / "journal", KEY, create=True)

    def send(self, stopped: Any, worked: Any) -> None:
        """As the cart's own sender, while the archive is there."""
        if not self.away:
            self.sends(lambda: stopped() or self.away, worked)

    def worklist(self) -> list[Any]:
        assert self.site.worklist is not None
        return [*query_worklist(self.site, self.site.worklist, day=date.today())]

    # What people do ------------------------------------------------------------------------------------------------

    @property
    def open(self) -> str:
        return next((exam for exam, known in self.exams.items() if not known.ended), "")

    @initialize(row=st.integers(0, 4))
    def begin(self, row: int) -> None:
        self.opens(row)

    @precondition(lambda self: not self.open)
    @rule(row=st.integers(-1, 4))
    def opens(self, row: int) -> None:
        body: dict[str, Any] = {"infant": INFANT_FIELDS, "wrist_band_checked": True}
        if row >= 0:
            item = self.cart.done("worklist/refresh")["rows"][row]
            infant = {"infant_id": item["patient_id"], "name": item["patient_name"], "sex": item["sex"]}
            body |= {"key": item["key"], "infant": {**INFANT_FIELDS, **infant, "born_at": f"{item['birth_day']}T00:00"}}
        answer = self.cart.post("exams", body)
        if self.full:
            assert answer.status_code == 507
            return
        assert answer.status_code == 201, answer.text
        self.exams[answer.json()["exam"]] = Known()
        counted["exams"] += 1

    @precondition(lambda self: self.open)
    @rule(eye=eyes, view=views)
    def takes(self, eye: str, view: str) -> None:
        assert self.cart.post("aim", {"exam": self.open, "eye": eye, "view": view}).status_code == 200
        if self.cart.plugged.is_set():
            until(lambda: self.cart.cart.camera.problem == "", "the camera is there")
        exam, engine = self.exams[self.open], self.cart.engine
        below = engine.probabilities == BELOW
        sees = self.cart.plugged.is_set() and not self.cart.dark[0] and engine.fault is None
        answer = self.cart.post("capture", {"exam": self.open, "eye": eye, "view": view})
        if self.full:
            assert answer.status_code == 409
            return
        assert answer.status_code == 200, answer.text
        exam.taken.append(Taken(eye, view, (NRF if below else REFER) if sees else ""))
        counted["pictures"] += 1

    @precondition(lambda self: self.open and not self.full)
    @rule()
    def takes_what_is_missing(self) -> None:
        for eye, of in self.cart.exam()["eyes"].items():
            for view, one in of["views"].items():
                if one["status"] not in ("taken", "refer"):
                    self.takes(eye, view)

    @precondition(lambda self: self.open)
    @rule(eye=eyes, view=views, other=views)
    def presses_in_a_tab_that_is_old(self, eye: str, view: str, other: str) -> None:
        self.cart.aim(eye, view)
        shown = {"exam": self.open, "eye": "OS" if eye == "OD" else "OD", "view": other}
        assert self.cart.post("capture", shown).status_code == 409
        of_another = {**on_screen(self.cart.exam()), "exam": "20260101-AAAAAAAA"}
        assert self.cart.post("capture", of_another).status_code == 409
        assert self.cart.post("aim", of_another).status_code == 409
        for left_out in shown:
            part = {name: value for name, value in shown.items() if name != left_out}
            assert self.cart.post("capture", part).status_code == 422

    @precondition(lambda self: any(known.taken for known in self.exams.values()))
    @rule(data=st.data(), what=st.sampled_from(["exclude", "include", "confirm", "relabel"]), eye=eyes, view=views)
    def changes_a_picture(self, data: st.DataObject, what: str, eye: str, view: str) -> None:
        exam = data.draw(st.sampled_from([exam for exam, known in self.exams.items() if known.taken]))
        number = data.draw(st.integers(1, len(self.exams[exam].taken)))
        body = REASON | ({"eye": eye, "view": view} if what == "relabel" else {})
        answer = self.cart.post(f"exams/{exam}/captures/{number}/{what}", body)
        assert answer.status_code in (200, 409), answer.text
        if answer.status_code != 200:
            return
        taken = self.exams[exam].taken[number - 1]
        if what in ("exclude", "include"):
            taken.excluded = what == "exclude"
        elif what == "relabel":
            taken.eye, taken.view = eye, view

    @precondition(lambda self: self.open)
    @rule(how=st.sampled_from(["close", "stop", "void", "close", "close"]))
    def ends(self, how: str) -> None:
        exam = self.open
        body: dict[str, Any] = {"close": {}, "stop": {"cause": "infant unstable", "note": ""}, "void": REASON}[how]
        assert self.cart.post(f"exams/{exam}/{how}", body).status_code == 200
        self.exams[exam].ended = {"close": "closed", "stop": "stopped", "void": "void"}[how]
        counted["closed"] += 1

    @precondition(lambda self: self.exams)
    @rule(data=st.data())
    def corrects(self, data: st.DataObject) -> None:
        exam = data.draw(st.sampled_from(sorted(self.exams)))
        number = data.draw(st.integers(1, 3))
        infant = {**INFANT_FIELDS, "infant_id": f"Q-{number}", "name": f"Quick^Number {number}"}
        answer = self.cart.post(f"exams/{exam}/correct", {"infant": infant, **REASON})
        assert answer.status_code in (200, 409, 422), answer.text

    @precondition(lambda self: self.exams)
    @rule(data=st.data(), stage=st.sampled_from(["0", "2", "4A"]), eye=eyes)
    def documents(self, data: st.DataObject, stage: str, eye: str) -> None:
        exam = data.draw(st.sampled_from(sorted(self.exams)))
        before = self.cart.get(f"exams/{exam}").json()["outcome"]
        findings = {"eye": eye, "stage": stage}
        assert self.cart.post(f"exams/{exam}/document", findings).status_code == 403
        self.cart.sign_in(CLINICIAN)
        answer = self.cart.post(f"exams/{exam}/document", findings)
        assert answer.status_code in (200, 409), answer.text
        self.cart.sign_in(USER)
        assert self.cart.get(f"exams/{exam}").json()["outcome"] == before

    @rule()
    def a_technician_looks(self) -> None:
        self.cart.sign_in(TECHNICIAN)
        assert self.cart.get("state").json()["exam"] == {}
        assert self.cart.post("capture").status_code == 403
        self.cart.sign_in(USER)

    # What breaks ---------------------------------------------------------------------------------------------------

    @rule(fault=st.sampled_from([None, None, *Fault]))
    def the_engine_fails_or_is_well(self, fault: Fault | None) -> None:
        self.cart.engine.fault = fault

    @rule(over=st.booleans())
    def the_eyes_are_ill_or_well(self, over: bool) -> None:
        self.cart.engine.probabilities = OVER if over else BELOW

    @rule(out=st.booleans())
    def the_camera_is_unplugged_or_back(self, out: bool) -> None:
        (self.cart.unplug if out else self.cart.plug)()
        until(lambda: bool(self.cart.cart.camera.problem) == out, "the camera's state is seen")

    @rule(dark=st.booleans())
    def the_light_is_off_or_on(self, dark: bool) -> None:
        self.cart.dark[0] = dark

    @rule(full=st.booleans())
    def the_disk_is_full_or_not(self, full: bool) -> None:
        self.full = full

    @rule(away=st.booleans())
    def the_archive_is_away_or_back(self, away: bool) -> None:
        self.away = away

    @rule()
    def the_program_is_started_anew(self) -> None:
        self.cart.stop()
        self.cart.start()
        self.cart.sign_in(USER)

    # What must hold ------------------------------------------------------------------------------------------------

    @invariant()
    def page_journal_and_model_agree(self) -> None:
        counted["steps"] += 1
        shown = self.cart.exam()
        assert shown.get("exam", "") == self.open
        with Journal.open(self.folder / "journal", KEY, read_only=True) as journal:
            for exam, known in self.exams.items():
                page, record = self.cart.get(f"exams/{exam}").json(), journal.exam(exam)
                infant = record.result.infant
                assert (page["outcome"], page["reason"]) == (infant.outcome.value, plain(infant.reason, record.rules))
                alone = known.ended == "void" and not page["voided"]  # one person's word on an exam that refers
                assert page["outcome"] == REFER or not alone, "unsafe: void"
                assert [(one["eye"], one["view"], bool(one["excluded"])) for one in page["captures"]] == [
                    (one.eye, one.view, one.excluded) for one in known.taken
                ]
                for told, one in zip(page["captures"], known.taken, strict=True):
                    assert told["outcome"] != NRF or one.truth == NRF, "unsafe: a picture"
                assert page["outcome"] != NRF or known.may_be_clear, "unsafe: an infant"
                assert all(line["outcome"] == page["outcome"] for line in self.line(exam))

    def line(self, exam: str) -> list[dict[str, Any]]:
        return [one for one in self.cart.get("exams").json()["exams"] if one["exam"] == exam]

    def teardown(self) -> None:
        try:
            self.full = self.away = False
            if self.open and self.exams[self.open].taken:
                self.ends("close")
            until(self.delivered, "the archive answers for every exam")
            self.archive_agrees()
            self.note()
        finally:
            self.cart.stop()
            self.patched.undo()
            self.hospital.kept.clear()
            shutil.rmtree(self.folder, ignore_errors=True)

    def note(self) -> None:
        """One line for a session that held, where it is kept how many there were."""
        if LOG is not None:
            with LOG.open("a") as file:
                file.write(json.dumps({"exams": len(self.exams), "pictures": self.pictures}) + "\n")

    @property
    def pictures(self) -> int:
        return sum(len(known.taken) for known in self.exams.values())

    def delivered(self) -> bool:
        lines = [line for exam, known in self.exams.items() if known.ended for line in self.line(exam)]
        return all(line["delivery"]["state"] == "done" or line["voided"] for line in lines)

    def archive_agrees(self) -> None:
        with Journal.open(self.folder / "journal", KEY, read_only=True) as journal:
            for exam, known in self.exams.items():
                summary = journal.summary(exam)
                if not known.ended or summary.phase is Phase.VOIDED:
                    continue
                counted["nrf"] += summary.outcome.value == NRF
                # Corrected back to whom it was before, it has other UIDs: what was rejected is never used again.
                gone = steps.taken(journal.deliveries.get(exam, steps.DESTINATION))
                whole = exam_from_journal(journal, exam, self.site.cart, rejected=gone)
                wanted = {item.uid: item for item in planned(whole)}
                kept = {uid: self.hospital.kept[uid] for uid in wanted}  # a KeyError names what is missing
                infant = journal.infant(exam)
                assert {str(dataset.PatientID) for dataset in kept.values()} <= {infant.infant_id}
                reports = [kept[uid] for uid, item in wanted.items() if item.kind == "report"]
                there = [one for one in journal.exam(exam).captures if one.image_sha256 and not one.excluded]
                assert bool(reports) == bool(there)  # else what people said stands on the page alone
                for report in reports:
                    texts = [str(one.value) for one in report.iterall() if one.keyword == "TextValue"]
                    said = [text for text in texts if text.startswith("Infant: ")]
                    assert [BANNERS[summary.outcome] in text for text in said] == [True], said
                counted["delivered"] += 1


SHORT = settings(
    max_examples=3, stateful_step_count=10, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
LOG = Path(os.environ["ROP_SESSIONS_LOG"]) if "ROP_SESSIONS_LOG" in os.environ else None
"""Where each session that held is counted, so that a soak may be cut off and gone on with."""
BEFORE = len(LOG.read_text().splitlines()) if LOG is not None and LOG.exists() else 0
LONG = settings(
    max_examples=max(1, int(os.environ.get("ROP_SESSIONS", "1000")) - BEFORE),
    stateful_step_count=20,
    derandomize=False,
    phases=(Stage.generate,),  # a session takes seconds: what it did is told, and not made shorter
    print_blob=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.slow
def test_a_few_sessions() -> None:
    run_state_machine_as_test(Session, settings=SHORT)


@pytest.mark.soak
def test_a_thousand_sessions(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        run_state_machine_as_test(Session, settings=LONG)
    finally:
        with capsys.disabled():
            sys.stdout.write(f"\n{counted}\n")
