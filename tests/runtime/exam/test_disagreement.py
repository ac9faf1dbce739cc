"""A clinician's document against the outcome, who is shown it; filters of the list; the report's words."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from runtime.exam.__main__ import main
from runtime.exam.describe import exam_dict, exam_lines
from runtime.exam.disagreement import disagreements
from runtime.exam.icrop3 import EyeFindings
from runtime.exam.journal import Delivery, Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.naming import readable_name
from runtime.exam.report import report_page
from runtime.outcome import Outcome
from runtime.views import Eye, View
from tests.runtime.exam.making import NONE, NRF, REFER, RULES, journal_exam

KEY = JournalKey(bytes(32))


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Journal]:
    monkeypatch.setenv("ROP_JOURNAL_KEY", KEY.text)
    with Journal.open(tmp_path / "j", KEY, create=True, floor_bytes=0) as opened:
        yield opened


FOUND = [
    (NRF, EyeFindings(Eye.OD, stage="2"), True),
    (NRF, EyeFindings(Eye.OD, stage="1"), True),
    (NRF, EyeFindings(Eye.OD, plus="pre-plus"), True),
    (NRF, EyeFindings(Eye.OD, a_rop=True), True),
    (NRF, EyeFindings(Eye.OD, stage="0", plus="none"), False),
    (NRF, EyeFindings(Eye.OD, zone="III"), False),
    (REFER, EyeFindings(Eye.OD, stage="0"), True),
    (REFER, EyeFindings(Eye.OD, plus="none"), True),
    (REFER, EyeFindings(Eye.OD, stage="3"), False),
    (REFER, EyeFindings(Eye.OD, zone="II"), False),
    (NONE, EyeFindings(Eye.OD, stage="3"), False),
]


@pytest.mark.parametrize(("outcome", "findings", "expected"), FOUND)
def test_what_does_not_go_together(journal: Journal, outcome: Outcome, findings: EyeFindings, expected: bool) -> None:
    exam_id = journal_exam(journal, [outcome, *[NRF] * 9])
    journal.document(exam_id, findings, clinician="eva")
    assert bool(disagreements(journal.exam(exam_id))) is expected


def test_it_is_shown_everywhere(journal: Journal, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exam_id = journal_exam(journal)
    journal.document(exam_id, EyeFindings(Eye.OS, stage="2", note="ridge"), clinician="eva")
    record = journal.exam(exam_id)
    said = "Disagreement, left eye (OS): eva documented stage 2, ridge; the software says no referral findings"
    assert f"! {said}" in list(exam_lines(record))
    assert exam_dict(record)["disagreements"] == [said]
    assert said in report_page(journal, exam_id)
    capsys.readouterr()
    assert main(["list", "--journal", str(journal.folder)]) == 0
    assert "a clinician documented otherwise" in capsys.readouterr().out
    assert main(["list", "--journal", str(journal.folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["disagreements"] == [said]


def test_an_excluded_referring_frame_is_told_with_the_outcome(journal: Journal) -> None:
    exam_id = journal_exam(journal, [REFER, *[NRF] * 10])
    journal.exclude(exam_id, 1, reason="of the twin", operator="anna")
    assert any("read as REFER, excluded" in line for line in exam_lines(journal.exam(exam_id)))
    assert "read as REFER, excluded" in report_page(journal, exam_id)


@pytest.mark.parametrize(
    ("how", "said"), [("exclude", "excluded by a person"), ("void", "in an exam that was voided"), ("", "")]
)
def test_the_list_tells_of_a_refer_that_does_not_count(
    journal: Journal, capsys: pytest.CaptureFixture[str], how: str, said: str
) -> None:
    exam_id = journal_exam(journal, [REFER, *[NRF] * 10])
    if how == "exclude":
        journal.exclude(exam_id, 1, reason="of the twin", operator="anna")
    elif how == "void":
        for who in ("anna", "ben"):
            journal.void_exam(exam_id, reason="of the twin", operator=who)
    warning = f"frame 1, OD disc-centred: read as REFER, {said}"
    line, told = _listed(journal, capsys)
    assert told["warnings"] == ([warning] if how else [])
    assert line.endswith(f"  ! {warning}") is bool(how)
    assert "REFER" in line
    if how == "exclude":
        journal.include(exam_id, 1, reason="it is hers", operator="anna")
        line, told = _listed(journal, capsys)
        assert ("!" in line, told["warnings"], told["outcome"]) == (False, [], "REFER")


def _listed(journal: Journal, capsys: pytest.CaptureFixture[str]) -> tuple[str, dict[str, Any]]:
    capsys.readouterr()
    assert main(["list", "--journal", str(journal.folder)]) == 0
    line = capsys.readouterr().out.rstrip("\n")
    assert main(["list", "--journal", str(journal.folder), "--json"]) == 0
    return line, json.loads(capsys.readouterr().out)


def test_a_view_whose_only_frame_was_excluded_says_so_with_the_reason(journal: Journal, tmp_path: Path) -> None:
    exam_id = journal_exam(journal)
    journal.exclude(exam_id, 3, reason="of the <twin>", operator="anna")
    record = journal.exam(exam_id)
    place, verdict = next((at, v) for at, v in record.result.views.items() if v.outcome is NONE)
    assert place == (Eye.OD, View.NASAL)
    assert verdict.banner == "No result - OD nasal, frame excluded by a person"
    assert record.result.infant.banner == verdict.banner
    for text in (report_page(journal, exam_id), "\n".join(exam_lines(record)), json.dumps(exam_dict(record))):
        assert "not captured" not in text
    assert "frame 3 excluded: of the &lt;twin&gt;" in report_page(journal, exam_id)
    assert any("frame 3 excluded: of the <twin>" in line for line in exam_lines(record))
    journal.include(exam_id, 3, reason="by mistake", operator="anna")
    assert journal.exam(exam_id).result.infant.outcome is NRF


def test_a_view_that_nobody_asked_for_is_in_the_report_when_its_frame_was_excluded(journal: Journal) -> None:
    rules = dataclasses.replace(RULES, required_views=(View.DISC,))
    exam_id = journal_exam(journal, rules=rules)
    journal.exclude(exam_id, 3, reason="of the twin", operator="anna")
    assert "frame 3 excluded: of the twin" in report_page(journal, exam_id)
    assert journal.exam(exam_id).result.infant.outcome is NRF


def test_the_report_names_every_referring_view_and_its_pictures(journal: Journal) -> None:
    exam_id = journal_exam(journal, [REFER, NRF, REFER, *[NRF] * 7])
    page = report_page(journal, exam_id)
    assert "Every referring view" in page
    assert "OD disc-centred: as told" in page
    assert "OD nasal: as told" in page
    assert 'alt="right eye (OD), nasal: REFER"' in page
    assert "with the vessels that were found" in page
    assert 'name="viewport"' in page
    assert "Baby Doe (H-1)" in page
    assert "<dt>Sex</dt>" in page
    assert page.index("How this was made") > page.index("left eye")


NAMES = {
    "Doe^Baby": "Baby Doe",
    "Doe^Baby^^^": "Baby Doe",
    "Doe^Baby^Maria^Dr^Jr": "Dr Baby Maria Doe Jr",
    "Baby of Doe": "Baby of Doe",
    "Yamada^Tarou=山田^太郎=やまだ^たろう": "Tarou Yamada (山田 太郎) (やまだ たろう)",
    "^^": "^^",
}


@pytest.mark.parametrize(("name", "expected"), NAMES.items())
def test_names_are_as_people_read_them(name: str, expected: str) -> None:
    assert readable_name(name) == expected


def listed(journal: Journal, capsys: pytest.CaptureFixture[str], *options: str) -> list[str]:
    capsys.readouterr()
    assert main(["list", "--journal", str(journal.folder), "--json", *options]) == 0
    return [json.loads(line)["exam"] for line in capsys.readouterr().out.splitlines()]


def test_the_list_is_filtered(journal: Journal, capsys: pytest.CaptureFixture[str]) -> None:
    refer, clear = journal_exam(journal, [REFER]), journal_exam(journal)
    journal.deliveries.change(refer, "archive", lambda _: Delivery(refer, "archive", 9, "held"))
    assert listed(journal, capsys) == [clear, refer]
    assert listed(journal, capsys, "--outcome", "refer") == [refer]
    assert listed(journal, capsys, "--outcome", "NO_REFERRAL_FINDINGS") == [clear]
    assert listed(journal, capsys, "--delivery", "held") == [refer]
    assert listed(journal, capsys, "--delivery", "none") == [clear]
    with pytest.raises(SystemExit):  # "no exam is hold" would read as if none were held
        main(["list", "--journal", str(journal.folder), "--delivery", "hold"])
    assert listed(journal, capsys, "--name", "baby doe") == [clear, refer]
    assert listed(journal, capsys, "--name", "H-1", "--last", "1") == [clear]
    assert listed(journal, capsys, "--name", "Smith") == []
    assert listed(journal, capsys, "--day", "1999-01-01") == []
    opened = journal.summary(clear)
    day: date = opened.local(opened.opened_at).date()
    assert listed(journal, capsys, "--day", str(day)) == [clear, refer]


def test_names_cannot_be_looked_for_without_the_key(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    journal_exam(journal)
    monkeypatch.delenv("ROP_JOURNAL_KEY")
    assert main(["list", "--journal", str(journal.folder), "--name", "Doe"]) == 2
    assert "names are encrypted" in capsys.readouterr().err
