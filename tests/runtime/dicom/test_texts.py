"""Texts that harm where they are shown: typed, sent or found, through every way out of a journal.

Each is either refused in words or kept; what is kept acts on no terminal and in no page, turns no reading order, has
bytes in every character set, and is no longer than its place in DICOM.
"""

from __future__ import annotations

import io
import json
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import config as pydicom_config
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

from runtime.commands.say import say, say_json
from runtime.dicom.audit_messages import Audited, message
from runtime.dicom.configuration import CartNode
from runtime.dicom.from_journal import exam_from_journal
from runtime.dicom.objects import planned
from runtime.dicom.outbox.performed import _begun, _ended, _Facts
from runtime.dicom.text import short
from runtime.errors import ScreeningError
from runtime.exam.describe import exam_dict, exam_lines, summary_line
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.journal import Journal
from runtime.exam.journal.writer import who_of
from runtime.exam.machine import StopReason
from runtime.exam.order import Order
from runtime.exam.report import report_page
from runtime.outcome import AID_NOTICE, Outcome
from runtime.reading import BundleFacts
from runtime.sinks.names import FrameNames
from runtime.views import Eye, View
from tests.runtime.dicom.archives import site
from tests.runtime.dicom.exams import KEY
from tests.runtime.exam.making import RULES, frame, infant, reading

HOSTILE = {
    "controls": "a\x1b[2J\x1b]0;t\x07b\x9b2J\0\x7f\r\nb",
    "turns": "Doe\u202egnp.exe\u2067a\u2028b\u2029c\x85d",
    "half": "a\udcffb\ud83d",
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>&\"'%s%n{0}{x}",
    "delimiters": "a\\b\\c^d=e^f=g=h",
    "long": "x" * 3_000,
    "every script": "M\u00fc\u0141\u0645\u0631\u064a\u0645\u5c71\u7530\u0939\u093f\u0e2a" * 20
    + "\U0001f600\ue000\U000e0001\uffff",
}


@dataclass
class Kept:
    """An exam with a hostile text wherever it was taken, and where it was refused."""

    exam_id: str
    refused: list[str] = field(default_factory=list)


def filled(journal: Journal, hostile: str) -> Kept:
    """An exam that says the text in every place that takes it."""
    refused: list[str] = []

    def tried(where: str, does: Callable[[str], Any]) -> Any:
        try:
            return does(hostile)
        except ScreeningError as error:
            refused.append(f"{where}: {error}")
        return does("plain")

    order = Order("A-1", "1.2.3", "RP-1", "S-1")
    for name in ("accession", "requested_procedure_id", "step_id", "referring_physician", "description"):
        order = tried(name, partial(_ordered, order, name))
    made = {"infant_id": "H-1", "name": "Doe^Baby"}
    for name in made:

        def entered(said: str, name: str = name) -> str:
            infant(**{name: said}).check_born(datetime.now(timezone.utc))
            return said

        made[name] = tried(name, entered)
    bundle = replace(BundleFacts("test", "1", "b" * 64, AID_NOTICE), name=f"test {hostile}", version=hostile[:20])
    who = tried("operator", who_of)
    exam_id = tried(
        "station",
        lambda said: journal.begin_exam(
            infant(**made), replace(RULES, bundle=bundle), operator=who, station=said, order=order
        ),
    )
    for number, view in enumerate(View, 1):
        shot = replace(frame(number), source=f"folder/{hostile}/1.png")
        told = reading(shot, Outcome.REFER if number == 1 else Outcome.NO_REFERRAL_FINDINGS)
        told = replace(told, bundle=bundle, reason=f"{told.reason} {hostile}")
        journal.add_reading(exam_id, journal.add_capture(exam_id, Eye.OD, view, shot, operator=who), told)
    tried("excluded", lambda said: journal.exclude(exam_id, 2, reason=said, operator=who))
    tried("relabelled", lambda said: journal.relabel(exam_id, 3, Eye.OS, View.DISC, reason=said, operator=who))
    note = lambda said: journal.document(exam_id, EyeFindings(Eye.OD, stage="2", note=said), clinician=who)  # noqa: E731
    tried("note", note)
    changed = infant(**{**made, "sex": "F"})
    tried("amended", lambda said: journal.amend(exam_id, infant=changed, reason=said, operator=who))
    tried("stopped", lambda said: journal.stop_exam(exam_id, StopReason.REFUSED, note=said, operator=who))
    return Kept(exam_id, refused)


def _ordered(order: Order, name: str, said: str) -> Order:
    return Order.from_dict({**order.to_dict(), name: said})


TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def acts(text: str) -> set[str]:
    """Characters of a text that act where they are shown."""
    found = {c for c in text if c in TURNS or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")}
    return {f"U+{ord(c):04X}" for c in found}


class Page(HTMLParser):
    """What of a page is no text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal", KEY, create=True, floor_bytes=0) as opened:
        yield opened


def terminal(journal: Journal, exam_id: str) -> str:
    record, order, who = journal.exam(exam_id), journal.order(exam_id), journal.infant(exam_id)
    out = io.StringIO()
    with redirect_stdout(out):
        say(summary_line(record.summary, who), *exam_lines(record, who, order))
        say_json(exam_dict(record, who, order))
    return out.getvalue()


def written(dataset: Dataset) -> Dataset:
    """As an archive has it; every value fits its representation."""
    buffer = io.BytesIO()
    before = pydicom_config.settings.reading_validation_mode
    dcmwrite(buffer, dataset, enforce_file_format=True)
    buffer.seek(0)
    pydicom_config.settings.reading_validation_mode = pydicom_config.RAISE
    try:
        found = dcmread(buffer)
        for element in found.iterall():
            assert element.value is not None or element.VM == 0
    finally:
        pydicom_config.settings.reading_validation_mode = before
    return found


def texts_of(dataset: Dataset) -> Iterator[tuple[str, str]]:
    for element in dataset.iterall():
        if element.VR in ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UT"):
            for value in [element.value] if element.VM < 2 else element.value:
                yield element.keyword, str(value)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_harms_nothing_on_any_way_out(name: str, journal: Journal, tmp_path: Path) -> None:
    kept = filled(journal, HOSTILE[name])
    assert all(len(said) < 600 and not acts(said) for said in kept.refused)
    shown = terminal(journal, kept.exam_id)
    assert acts(shown) <= {"U+000A"}
    json.loads(shown.splitlines()[-1])
    page = Page()
    content = report_page(journal, kept.exam_id)
    page.feed(content)
    assert acts(content) <= {"U+000A"}
    assert not page.handlers
    assert "script" not in page.tags
    exam = replace(exam_from_journal(journal, kept.exam_id, CartNode()), page=name == "half")
    for item in planned(exam):
        for keyword, value in texts_of(written(item.build())):
            assert not acts(value), keyword
    order, who = journal.order(kept.exam_id), journal.infant(kept.exam_id)
    facts = _Facts("j/e", journal.summary(kept.exam_id), who, order, StopReason.REFUSED, lambda: exam)
    for step in (_begun(facts, site(tmp_path)), _ended(facts, "DISCONTINUED", None, datetime.now(timezone.utc))):
        for keyword, value in texts_of(step):
            assert not acts(value), keyword
    operator = journal.summary(kept.exam_id).operator
    told = Audited("opened", datetime.now(timezone.utc), operator, kept.exam_id, "1.2.3", who.infant_id)
    ElementTree.fromstring(message(told, "cart 1", "host", "rop-cart"))
    file = FrameNames().frame_name(HOSTILE[name], 1)
    assert not acts(file)
    assert len(file.encode()) < 200
    assert "/" not in file


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=80), st.sampled_from([16, 64]))
def test_a_description_fits_with_the_space_that_makes_its_bytes_even(said: str, length: int) -> None:
    made = short(said, length)
    assert len(made) + len(made.encode()) % 2 <= length
    assert made == made.strip()
