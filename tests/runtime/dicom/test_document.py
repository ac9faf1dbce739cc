"""The report's page: one page that a viewer of PDF can read, in the scripts of the names, and a sound DICOM object."""

from __future__ import annotations

import io
import re
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pydicom
import pytest
from fpdf import FPDF

from runtime.dicom import fonts
from runtime.dicom.document import DOCUMENT, document
from runtime.dicom.objects import planned
from runtime.dicom.outbox import steps
from runtime.dicom.outbox.sender import Pass
from runtime.dicom.page import page
from runtime.dicom.records import Changed, DicomExam, Documented
from runtime.dicom.uids import STUDY_ROOT_FIND
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.journal import Journal
from runtime.exam.result import Conclusion
from runtime.outcome import AID_NOTICE, DEMONSTRATION_NOTICE, Outcome
from runtime.views import Eye
from tests.runtime.dicom.archives import installed
from tests.runtime.dicom.exams import KEY, OPENED, exam, fill_journal, with_name
from tests.runtime.dicom.judges import complaints
from tests.runtime.dicom.keeping import KeepingArchive
from tests.runtime.dicom.test_answers import attempt, scripted, state
from tests.runtime.dicom.test_objects import NEVER, as_bytes

SCRIPTS = {
    "latin": ("Müßig^Zoë Łucja", "Zoë Łucja Müßig"),
    "cjk": ("Yamada^Tarou=山田^太郎", "Tarou Yamada / 山田 太郎"),
    "arabic": ("محمد^علي", "علي محمد"),
    "devanagari": ("शर्मा^अनु", "अनु शर्मा"),
}


def whole(frames: int = 10) -> DicomExam:
    found = Documented(Eye.OD, "zone II, stage 2, pre-plus disease", (("zone", "II"),), "", "dr. Okafor", OPENED)
    changed = Changed("infant's fields corrected", "wrong twin", "anna", OPENED)
    return replace(exam(frames), documented=(found,), changes=(changed,), page=True)


@pytest.fixture
def readers() -> None:
    if said := installed("pdftotext", "pdfinfo"):
        pytest.skip(said)


def words(made: bytes, folder: Path) -> str:
    (folder / "page.pdf").write_bytes(made)
    said = subprocess.run(["pdfinfo", folder / "page.pdf"], capture_output=True, text=True, check=True).stdout
    assert [line.split()[-1] for line in said.splitlines() if line.startswith("Pages:")] == ["1"]
    run = subprocess.run(["pdftotext", "-raw", folder / "page.pdf", "-"], capture_output=True, text=True, check=True)
    return run.stdout


@pytest.mark.system
@pytest.mark.parametrize("script", SCRIPTS)
def test_a_reader_finds_the_name_in_its_script(script: str, readers: None, tmp_path: Path) -> None:
    if script not in {"latin", *(font.name for font, _ in fonts.installed())}:
        pytest.skip(f"no font for it: {', '.join(fonts.PACKAGES)}")
    name, shown = SCRIPTS[script]
    said = words(page(with_name(whole(2), name)), tmp_path)
    letters = "".join(c for c in said if c.isalnum())
    for part in shown.replace("/", " ").split():
        assert "".join(c for c in part if c.isalnum()) in letters
    assert "cannot be shown" not in said


@pytest.mark.system
def test_the_page_says_all_that_matters(readers: None, tmp_path: Path) -> None:
    said = " ".join(words(page(whole()), tmp_path).split())
    for part in (
        "NO REFERRAL FINDINGS",
        f"{AID_NOTICE} {DEMONSTRATION_NOTICE}",
        "MRN-4711-77",
        "Right eye (OD)",
        "dr. Okafor",
        "zone II, stage 2, pre-plus disease",
        "wrong twin",
        "ACC-2026-991",
        "OS inferior",
    ):
        assert part in said, part


@pytest.mark.system
def test_nothing_is_said_that_nobody_typed_and_much_stays_one_page(readers: None, tmp_path: Path) -> None:
    assert not NEVER.search(words(page(replace(exam(2), page=True)), tmp_path))
    many = tuple(Changed("frame moved", "x " * 200, "anna", OPENED + timedelta(minutes=n)) for n in range(200))
    words(page(replace(whole(), changes=many, documented=whole().documented * 50)), tmp_path)
    words(page(with_name(whole(), "Ø" * 500)), tmp_path)


@pytest.mark.system
def test_what_does_not_fit_on_the_page_is_counted_and_nothing_is_written_over_the_foot(
    readers: None, tmp_path: Path
) -> None:
    long = replace(whole().documented[0], words="word " * 3000)
    many = tuple(Changed(f"frame {n} moved", "why " * 30, "anna", OPENED) for n in range(60))
    said = " ".join(words(page(replace(whole(), documented=(long,), changes=many)), tmp_path).split())
    assert "more letters)" in said
    shown = sum(f"frame {n} moved" in said for n in range(60))
    assert 0 < shown < 60
    [told] = re.findall(r"(\d+) more of what was said did not fit on this page", said)
    assert shown + int(told) in (60, 61, 62), "each is shown or counted, with a title or two"
    assert said.endswith(f"{AID_NOTICE} {DEMONSTRATION_NOTICE}")


def test_no_picture_covers_what_is_said_of_the_one_above(monkeypatch: pytest.MonkeyPatch) -> None:
    said_down_to, rows = [0.0], dict[float, float]()
    write, draw = FPDF.multi_cell, FPDF.image

    def written(pdf: FPDF, *of: Any, **how: Any) -> Any:
        before = len(said_down_to)
        done = write(pdf, *of, **how)
        if how.get("dry_run"):
            del said_down_to[before:]  # the library tries it by writing
        else:
            said_down_to.append(pdf.get_y())
        return done

    def drawn(pdf: FPDF, *of: Any, **how: Any) -> Any:
        rows.setdefault(how["y"], max(said_down_to))
        return draw(pdf, *of, **how)

    monkeypatch.setattr(FPDF, "multi_cell", written)
    monkeypatch.setattr(FPDF, "image", drawn)
    made = whole()
    long = Conclusion(Outcome.REFER, "frame excluded by one person; " * 4, "OD nasal")
    last = [view for view in made.views if view.eye is Eye.OD][-1]
    page(replace(made, views=tuple(replace(v, shot=None, verdict=long) if v is last else v for v in made.views)))
    assert len(rows) == 2
    assert [top - down_to for top, down_to in rows.items() if top < down_to] == []


def test_letters_without_a_font_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    fonts.installed.cache_clear()
    monkeypatch.setattr(fonts, "FOLDERS", ())
    try:
        found = fonts.chosen(["山田", "Zoë"])
        assert (found.fonts, set(found.unshown)) == ((), set("山田Zoë"))
        assert page(with_name(whole(1), "山田^太郎")).startswith(b"%PDF-")
    finally:
        fonts.installed.cache_clear()


def test_the_same_exam_gives_the_same_bytes_and_another_one_another_uid() -> None:
    first, again = planned(whole(1))[-1], planned(whole(1))[-1]
    assert (first.kind, first.sop_class) == ("document", DOCUMENT)
    assert as_bytes(first.build()) == as_bytes(again.build())
    assert planned(replace(whole(1), documented=()))[-1].uid != first.uid


@pytest.mark.system
def test_the_judge_finds_nothing(dicom_tools: None, tmp_path: Path) -> None:
    (tmp_path / "page.dcm").write_bytes(as_bytes(document(whole(2))))
    assert complaints(tmp_path / "page.dcm") == []
    again = pydicom.dcmread(io.BytesIO((tmp_path / "page.dcm").read_bytes()))
    assert again.EncapsulatedDocument[: again.EncapsulatedDocumentLength].rstrip().endswith(b"%%EOF")


def test_an_archive_that_takes_no_page_is_done_with_the_report(tmp_path: Path) -> None:
    archive = KeepingArchive()
    fill_journal(tmp_path, frames=1)
    archive.answer = lambda number: 0x0122 if number == 4 else 0
    with archive.listening(STUDY_ROOT_FIND) as port:
        assert attempt(tmp_path, scripted(tmp_path, port, page=True)) == Pass(1, 0)
        assert attempt(tmp_path, scripted(tmp_path, port, page=True)) == Pass(0, 0)
    assert len(archive.objects) == 3
    with Journal.open(tmp_path, KEY) as journal:
        assert [i.state for i in journal.deliveries.all()[0].instances][-1] == steps.LEFT_OUT


def test_what_a_clinician_typed_reaches_the_archive_also_without_a_picture(tmp_path: Path) -> None:
    archive = KeepingArchive()
    [exam_id] = fill_journal(tmp_path, frames=0)
    with Journal.open(tmp_path, KEY) as journal:
        journal.document(exam_id, EyeFindings(Eye.OD, stage="2"), clinician="dr. Okafor")
    with archive.listening(STUDY_ROOT_FIND) as port:
        assert attempt(tmp_path, scripted(tmp_path, port, page=True)) == Pass(1, 0)
    assert [made.SOPClassUID for made in archive.objects.values()] == [DOCUMENT]
    assert state(tmp_path).done == 1
    with Journal.open(tmp_path, KEY) as journal:
        journal.retire_exam(exam_id, operator="anna", destinations=("archive",))
