"""Whatever is done to exams, whenever it is sent and however it breaks: the archive shows what the journal says."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from device.frame import Frame
from runtime.dicom.commitment import CommitmentDesk
from runtime.dicom.configuration import DicomConfig
from runtime.dicom.from_journal import exam_from_journal
from runtime.dicom.objects import planned
from runtime.dicom.outbox import Outbox, steps
from runtime.dicom.uids import COMMITMENT, STUDY_ROOT_FIND
from runtime.exam.errors import ExamRefused
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.journal import Journal
from runtime.exam.machine import Phase, StopReason
from runtime.exam.order import Order
from runtime.exam.rules import ExamRules
from runtime.views import Eye, View
from tests.ports import free_port
from tests.runtime.dicom.exams import BUNDLE, KEY, picture, reading
from tests.runtime.dicom.keeping import KeepingArchive
from tests.runtime.dicom.test_answers import scripted
from tests.runtime.exam.making import infant

WHO = [{"infant_id": "H-1", "name": "Doe^Anna"}, {"infant_id": "H-2", "name": "Doe^Berta"}, {"infant_id": "H-3"}]
ORDERS = [Order(), Order("A-1", "1.2.3.1", "R-1", "S-1"), Order("A-2", "1.2.3.2", "R-2", "S-2")]


class Ward:
    """One cart and its archive, and a dice for what happens next."""

    def __init__(
        self, folder: Path, where: DicomConfig, archive: KeepingArchive, dice: random.Random, port: int
    ) -> None:
        self.folder, self.where, self.archive, self.dice, self.port = folder, where, archive, dice, port
        self.pictures = 0
        self.start(create=True)

    def start(self, *, create: bool = False) -> None:
        self.journal = Journal.open(self.folder, KEY, create=create, floor_bytes=0)
        self.desk = CommitmentDesk(self.where)
        self.box = Outbox(self.journal, self.where)

    def stop(self) -> None:
        self.desk.close()
        self.journal.close()

    def some_exam(self) -> str | None:
        found = [line.exam_id for line in self.journal.exams() if line.phase in (Phase.OPEN, Phase.CLOSED)]
        return self.dice.choice(found) if found else None

    def capture(self) -> None:
        running = self.journal.open_exam()
        rules = ExamRules(0.4, ("ridge_in_view",), BUNDLE, "0.1.0")
        exam_id = (
            running.exam_id
            if running
            else self.journal.begin_exam(
                infant(**self.dice.choice(WHO)), rules, operator="anna", order=self.dice.choice(ORDERS)
            )
        )
        self.pictures += 1
        shot = Frame(picture(self.pictures), self.pictures, "sim:retcam")
        number = self.journal.add_capture(
            exam_id, self.dice.choice(list(Eye)), self.dice.choice(list(View)), shot, operator="anna"
        )
        self.journal.add_reading(exam_id, number, reading(shot))

    def close(self) -> None:
        running = self.journal.open_exam()
        if running:
            self.journal.close_exam(running.exam_id, operator="anna")

    def halt(self) -> None:
        running = self.journal.open_exam()
        if running:
            self.journal.stop_exam(running.exam_id, self.dice.choice(list(StopReason)), operator="anna")

    def change(self) -> None:
        exam_id = self.some_exam()
        if exam_id is None:
            return
        captures = len(self.journal.exam(exam_id).captures)
        number = self.dice.randint(1, max(1, captures))
        who, order = infant(**self.dice.choice(WHO)), self.dice.choice(ORDERS)
        ways: list[Callable[[], object]] = [
            lambda: self.journal.amend(exam_id, infant=who, reason="twin", operator="anna"),
            lambda: self.journal.amend(exam_id, infant=who, order=order, reason="twin and order", operator="anna"),
            lambda: self.journal.amend(exam_id, order=order, reason="order", operator="anna"),
            lambda: self.journal.exclude(exam_id, number, reason="blurred", operator=self.dice.choice(["anna", "ben"])),
            lambda: self.journal.include(exam_id, number, reason="is fine", operator="anna"),
            lambda: self.journal.relabel(exam_id, number, Eye.OS, View.NASAL, reason="eye", operator="anna"),
            lambda: self.journal.document(exam_id, EyeFindings(Eye.OD, stage="1"), clinician="dr. o"),
        ]
        try:
            self.dice.choice(ways)()
        except ExamRefused:
            return  # what the journal refuses is not there

    def void(self) -> None:
        exam_id = self.some_exam()
        if exam_id is not None and self.dice.random() < 0.5:
            self.journal.void_exam(exam_id, reason="never happened", operator="anna")

    def crash(self) -> None:
        """The archive hangs up after it stored something, and the cart's program ends there."""
        self.archive.aborts_at = self.archive.calls + self.dice.randint(1, 3)
        self.send()
        self.archive.aborts_at = None
        self.stop()
        self.start()

    def send(self) -> None:
        self.box.send_due(self.desk, now=True, wait=False)

    def late_report(self) -> None:
        """On any request that ever was, in whole or in part."""
        if not self.archive.requests:
            return
        request = self.dice.choice(self.archive.requests)
        kept = set(self.archive.kept)
        only = kept if self.dice.random() < 0.7 else set(self.dice.sample(sorted(kept), len(kept) // 2))
        call = threading.Thread(target=lambda: self.archive.report(request, self.port, only=lambda uid: uid in only))
        call.start()
        while call.is_alive():
            self.box.send_due(self.desk, wait=False)
            call.join(0.01)

    def settle(self) -> None:
        self.close()
        for _ in range(20):
            self.send()
            for request in self.archive.requests[-8:]:
                call = threading.Thread(target=self.archive.report, args=(request, self.port))
                call.start()
                while call.is_alive():
                    self.box.send_due(self.desk, wait=False)
                    call.join(0.01)
            self.box.send_due(self.desk, wait=False)
            deliveries = self.journal.deliveries.all(destination=steps.DESTINATION)
            if all(delivery.state == steps.DONE for delivery in deliveries):
                return
        raise AssertionError([(d.state, d.last_error) for d in deliveries])


def live_through(folder: Path, seed: int, length: int) -> None:
    dice, archive = random.Random(seed), KeepingArchive()
    archive.reports_at_once = False
    cart_port = free_port()
    services = [COMMITMENT, STUDY_ROOT_FIND] if dice.random() < 0.5 else [STUDY_ROOT_FIND]
    with archive.listening(*services) as port:
        where = scripted(folder, port, listen_port=cart_port, commitment_s=0.05)
        ward = Ward(folder, where, archive, dice, cart_port)
        ways = [ward.capture] * 3 + [ward.close] * 2 + [ward.change] * 4 + [ward.send] * 3
        ways += [ward.halt, ward.void, ward.crash, ward.late_report]
        try:
            ward.capture()
            for _ in range(length):
                dice.choice(ways)()
            ward.settle()
            expected: dict[str, str] = {}
            for line in ward.journal.exams():
                if line.phase is not Phase.CLOSED:
                    continue
                delivery = ward.journal.deliveries.get(line.exam_id, steps.DESTINATION)
                exam = exam_from_journal(ward.journal, line.exam_id, where.cart, rejected=steps.taken(delivery))
                whose = ward.journal.infant(line.exam_id).infant_id
                expected |= {item.uid: whose for item in planned(exam)}
            shown = {str(made.SOPInstanceUID): str(made.PatientID) for made in archive.shown()}
            assert shown == expected
            studies: dict[str, set[str]] = {}
            for made in archive.shown():
                studies.setdefault(str(made.StudyInstanceUID), set()).add(str(made.PatientID))
            assert all(
                len(patients) == 1 or study in {o.study_uid for o in ORDERS} for study, patients in studies.items()
            )
        finally:
            ward.stop()


@pytest.mark.parametrize("seed", range(4))
def test_the_archive_shows_what_the_journal_says_and_nothing_twice(seed: int, tmp_path: Path) -> None:
    live_through(tmp_path, seed, 14)


COUNT = Path("fuzz") / "lives.txt"


@pytest.mark.soak
def test_the_same_over_many_lives(tmp_path: Path) -> None:
    """Each time others: how many there were is kept in fuzz/lives.txt and adds up over calls."""
    before = int(COUNT.read_text()) if COUNT.exists() else 0
    COUNT.parent.mkdir(exist_ok=True)
    for done in range(before, before + 300):
        live_through(tmp_path / str(done), 1000 + done, 30)
        shutil.rmtree(tmp_path / str(done))
        COUNT.write_text(f"{done + 1}\n")
