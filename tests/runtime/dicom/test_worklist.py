"""The worklist and what it makes an order of: the right infant with the right name, or a word that says why not."""

from __future__ import annotations

import io
import json
import random
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pynetdicom import AE, evt
from pynetdicom.dsutils import encode

from runtime.dicom.__main__ import main
from runtime.dicom.configuration import DicomConfig
from runtime.dicom.errors import ArchiveRefused
from runtime.dicom.received import Unreadable, decoded, quietly
from runtime.dicom.trial import ARCHIVE_AE, CART_AE, Hospital
from runtime.dicom.uids import WORKLIST_FIND
from runtime.dicom.worklist import MOST_ANSWERS, Question, Worklist, query_worklist, read_answers
from runtime.exam.errors import OrderInvalid
from runtime.exam.journal import Journal
from runtime.exam.naming import cleaned
from runtime.exam.order import Order, Ordered
from runtime.exam.rules import ExamRules
from tests.runtime.dicom.answers import Answer, answer
from tests.runtime.dicom.exams import BUNDLE, KEY
from tests.runtime.dicom.test_misread import ENCODINGS, MEANT
from tests.runtime.exam.making import infant

ANY = Question(modality="")


def read(*raw: bytes, question: Question = ANY, otherwise: str = "") -> Worklist:
    """As pynetdicom gives answers on: implicit VR, little endian, not looked into."""
    with quietly():
        return read_answers([read_dataset(io.BytesIO(part), True, True) for part in raw], question, otherwise)


DECLARED = {
    "ISO_IR 100": ("ISO_IR 100", "Müller^Zoë".encode("latin-1"), "Müller^Zoë"),
    "UTF-8": ("ISO_IR 192", "Müller^Zoë=山田^太郎".encode(), "Müller^Zoë=山田^太郎"),
    "Latin 2": ("ISO_IR 101", "Dvořák^Žofie".encode("iso8859-2"), "Dvořák^Žofie"),
    "Cyrillic": ("ISO_IR 144", "Иванова^Анна".encode("iso8859-5"), "Иванова^Анна"),
    "Thai": ("ISO_IR 166", "สมชาย".encode("tis-620"), "สมชาย"),
    "Chinese": ("GB18030", "王^小东".encode("gb18030"), "王^小东"),
    "a second byte that is a backslash": ("GB18030", "\u8521^\u4e33".encode("gb18030"), "\u8521^\u4e33"),
    "Japanese": (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    "Korean": (
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    "Turkish of Windows": ("ISO_IR 148", "O\u2019Şahin^İpek".encode("cp1254"), "O\u2019Şahin^İpek"),
    "two scripts by escapes": (
        "ISO 2022 IR 100\\ISO 2022 IR 144",
        "Müller^Zoë".encode("latin-1")
        + b"=\x1b-L"
        + "Иванова".encode("iso8859-5")
        + b"^\x1b-L"
        + "Анна".encode("iso8859-5"),
        "Müller^Zoë=Иванова^Анна",
    ),
    "capitals that UTF-8 could mean": ("ISO_IR 144", "ТАТА^ЯН".encode("iso8859-5"), "ТАТА^ЯН"),
    "Latin 9": ("ISO_IR 203", "Lœffler^Zoë".encode("iso8859-15"), "Lœffler^Zoë"),
    "Greek": ("ISO_IR 126", "Παπαδοπούλου^Άννα".encode("iso8859-7"), "Παπαδοπούλου^Άννα"),
    "Arabic": ("ISO_IR 127", "علي^ليلى".encode("iso8859-6"), "علي^ليلى"),
    "Hebrew": ("ISO_IR 138", "כהן^נועה".encode("iso8859-8"), "כהן^נועה"),
    "half-width kana": ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift_jis"), "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    "simplified Chinese by escapes": (
        "\\ISO 2022 IR 58",
        b"Wang^XiaoDong=\x1b$)A" + "王".encode("gb2312") + b"^\x1b$)A" + "小东".encode("gb2312"),
        "Wang^XiaoDong=王^小东",
    ),
    "Korean, declared alone": ("ISO 2022 IR 149", b"Hong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7", "Hong=洪^吉洞"),
    "back to Japan's Roman letters": (
        "\\ISO 2022 IR 87",
        b"Yamada=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J",
        "Yamada=山田^太郎",
    ),
    "an apostrophe of Windows": ("ISO_IR 100", b"O\x92Brien^Nora", "O\u2019Brien^Nora"),
    "ASCII in any": ("ISO_IR 101", b"Doe^Baby", "Doe^Baby"),
}


@pytest.mark.parametrize("name", DECLARED)
def test_a_name_is_what_the_hospital_wrote(name: str) -> None:
    declared, raw, meant = DECLARED[name]
    found = read(answer(Answer(name=raw, character_set=declared.encode())))
    assert [(item.patient_name, item.unreadable) for item in found] == [(meant, ())]


UNREADABLE = {
    "no character set": ("", "Müller^Zoë".encode("latin-1")),
    "no character set, but UTF-8": ("", "Müller^Zoë".encode()),
    "an unknown one": ("ISO_IR 999", "Müller^Zoë".encode("latin-1")),
    "a Python name": ("latin1", "Müller^Zoë".encode("latin-1")),
    "UTF-8 called Latin-1": ("ISO_IR 100", "Müller^Zoë".encode()),
    "UTF-8 called Latin-2": ("ISO_IR 101", "Dvořák^Žofie".encode()),
    "UTF-8 called Cyrillic": ("ISO_IR 144", "иванова^анна".encode()),
    "UTF-8 called Greek": ("ISO_IR 126", "Παπαδοπούλου".encode()),
    "UTF-8 called Thai": ("ISO_IR 166", "สมชาย".encode()),
    "Windows of Prague called Latin-2": ("ISO_IR 101", "Šuštar^Žiga".encode("cp1250")),
    "Windows of Moscow called Cyrillic": ("ISO_IR 144", "Ђорђевић^Ана".encode("cp1251")),
    "Latin-1 called UTF-8": ("ISO_IR 192", "Müller^Zoë".encode("latin-1")),
    "mangled before": ("ISO_IR 192", "M\ufffdller^Zoe".encode()),
    "an escape that nobody declared": ("ISO_IR 100", b"Yamada=\x1b$B;3ED\x1b(B"),
    "an escape that nobody knows": ("\\ISO 2022 IR 87", b"Yamada=\x1b$Z;3ED\x1b(B"),
    "torn": ("ISO_IR 192", "Müller".encode()[:2]),
    "two names": ("", b"Doe^Anna\\Doe^Berta"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_name_that_cannot_be_read_is_marked_and_is_no_order(name: str) -> None:
    declared, raw = UNREADABLE[name]
    found = read(answer(Answer(name=raw, character_set=declared.encode())))
    assert [(item.patient_name, item.patient_id, item.unreadable) for item in found] == [("", "H-1", ("patient_name",))]
    assert found.marked == 1
    with pytest.raises(OrderInvalid, match="patient_name could not be read"):
        Ordered.from_dict({field: getattr(found[0], field) for field in ("patient_id", "patient_name", "unreadable")})


def test_a_site_may_say_what_its_worklist_writes_in() -> None:
    raw = answer(Answer(name="Müller^Zoë".encode("latin-1")))
    assert read(raw, otherwise="ISO_IR 100")[0].patient_name == "Müller^Zoë"
    declared = answer(Answer(name="Müller^Zoë".encode(), character_set=b"ISO_IR 192"))
    assert read(declared, otherwise="ISO_IR 100")[0].patient_name == "Müller^Zoë"


def test_several_values_where_one_is_allowed_are_no_value() -> None:
    found = read(answer(Answer(patient_id=b"12\\34", accession=b"A\\B", title=b"CART1 \\CART2")))
    assert (found[0].patient_id, found[0].accession) == ("", "")
    assert found[0].unreadable == ("patient_id", "accession")
    assert found[0].station_ae_title == "CART1, CART2"
    assert found[0].stations == ("CART1", "CART2")


def test_bytes_are_no_text() -> None:
    made = Dataset()
    made.add_new(0x00100020, "OB", b"H-1\0")
    made.PatientName = "Doe^Baby"
    again = read_dataset(io.BytesIO(encode(made, False, True) or b""), False, True)
    found = read_answers([again], ANY)
    assert (found[0].patient_id, found[0].unreadable) == ("", ("patient_id",))


def test_what_is_odd_but_clear_is_put_right() -> None:
    found = read(answer(Answer(birth_date=b"2026.10.01", sex=b"f", description=b"Both\r\neyes", scheduled=b"20261122")))
    item = found[0]
    assert (item.birth_date, item.sex, item.description, item.unreadable) == ("20261001", "F", "Both eyes", ())
    assert read(answer(Answer(sex=b"U")))[0].sex == ""
    assert read(answer(Answer(name=b"^^")))[0].patient_name == ""
    assert read(answer(Answer(birth_date=b"20261301")))[0].unreadable == ("birth_date",)


def test_each_step_of_an_answer_is_an_item() -> None:
    found = read(answer(Answer(steps=(b"S-2", b"S-1"))))
    assert [(item.patient_id, item.step_id) for item in found] == [("H-1", "S-1"), ("H-1", "S-2")]


def test_a_bad_answer_is_counted_and_the_others_are_shown() -> None:
    wrong = Dataset()
    wrong.PatientID, wrong.PatientName = "H-3", "Doe^Baby"
    wrong.add_new(0x00400100, "LO", "no sequence")
    unknown = b"\x10\x00\x20\x00ZZ\x04\x00H-4 "
    bad = [read_dataset(io.BytesIO(encode(wrong, False, True) or b""), False, True)]
    bad.append(read_dataset(io.BytesIO(unknown), False, True))
    good = read_dataset(io.BytesIO(answer(Answer())), True, True)
    found = read_answers([None, *bad, good, Dataset()], ANY)
    assert [item.patient_id for item in found if item.patient_id] == ["H-1"]
    assert found.unreadable + found.marked == 4


QUESTIONS = {
    "identifier": Question(patient_id="H-1", modality=""),
    "accession": Question(accession="ACC-1", modality=""),
    "step": Question(step_id="S-1", modality=""),
    "day": Question(day=date(2026, 11, 22), modality=""),
    "modality": Question(modality="OP"),
}


@pytest.mark.parametrize("asked", QUESTIONS)
def test_an_answer_to_another_question_is_dropped_and_counted(asked: str) -> None:
    right = answer(Answer())
    others = {
        "identifier": [Answer(patient_id=b"H-2"), Answer(patient_id=b""), Answer(patient_id=b"H-1\\H-2")],
        "accession": [Answer(accession=b"ACC-2"), Answer(accession=b"")],
        "step": [Answer(steps=(b"S-2",))],
        "day": [Answer(scheduled=b"20261123")],
        "modality": [Answer(modality=b"MR")],
    }[asked]
    found = read(right, *map(answer, others), question=QUESTIONS[asked])
    assert ([item.patient_id for item in found], found.unfit) == (["H-1"], len(others))


def test_a_wildcard_is_what_dicom_says() -> None:
    raw = [answer(Answer(patient_id=i)) for i in (b"H-1", b"H-12", b"K-1", b"[H]1")]
    found = read(*raw, question=Question(patient_id="H-*", modality=""))
    assert [item.patient_id for item in found] == ["H-1", "H-12"]


def test_twins_and_equal_names_are_flagged() -> None:
    twin_a, twin_b = Answer(patient_id=b"H-1", name=b"Doe^A"), Answer(patient_id=b"H-2", name=b"DOE^B")
    namesakes = [Answer(patient_id=i, name=b"Roe^Ann", birth_date=d) for i, d in ((b"H-3", b"20261002"), (b"H-4", b""))]
    alone = Answer(patient_id=b"H-5", name=b"Poe^A")
    found = read(*map(answer, (twin_a, twin_b, *namesakes, alone, alone)))
    said = {item.patient_id: item.alike for item in found}
    assert "same family name" in said["H-1"]
    assert "same family name" in said["H-2"]
    assert "of the same name" in said["H-3"]
    assert "of the same name" in said["H-4"]
    assert said["H-5"] == ""
    only = read(*map(answer, (twin_a, twin_b)), question=Question(patient_id="H-1", modality=""))
    assert only[0].alike  # also when the twin was not asked for
    midnight = Answer(patient_id=b"H-6", name=b"Joe^A", birth_date=b"20261031"), b"20261101", b"20261102"
    for day, marked in zip(midnight[1:], (True, False), strict=True):
        found = read(answer(midnight[0]), answer(Answer(patient_id=b"H-7", name=b"Joe^B", birth_date=day)))
        assert [bool(item.alike) for item in found] == [marked] * 2


@contextmanager
def worklist_of(*raw: bytes, chosen: Callable[[Any], Sequence[bytes]] | None = None) -> Iterator[int]:
    """A hospital's system that answers every question with all of it, or with what is chosen for it."""

    def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
        for part in raw if chosen is None else chosen(event):
            yield 0xFF00, read_dataset(io.BytesIO(part), True, True)

    entity = AE(ae_title="RIS")
    entity.add_supported_context(WORKLIST_FIND)
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find)])
    assert server is not None
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()


def ask(tmp_path: Path, port: int, *more: str) -> int:
    content = {"schema": "rop.dicom/1", "worklist": {"ae_title": "RIS", "host": "127.0.0.1", "port": port}}
    (tmp_path / "site.json").write_text(json.dumps(content))
    return main(["worklist", "--dicom-config", str(tmp_path / "site.json"), "--day", "all", *more])


def test_the_command_prints_nobody_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with worklist_of(answer(Answer(patient_id=b"H-2", name=b"Other^Baby"))) as port:
        assert ask(tmp_path, port, "--patient", "H-1", "--json") == 1
        said = capsys.readouterr()
        assert said.out == ""
        assert "1 answer(s) left out: they do not fit the question" in said.err
        assert "Other" not in said.err
    with worklist_of(answer(Answer()), answer(Answer(patient_id=b"H-2"))) as port:
        assert ask(tmp_path, port, "--patient", "H-1", "--json") == 0
        assert [json.loads(line)["patient_id"] for line in capsys.readouterr().out.splitlines()] == ["H-1"]
        assert ask(tmp_path, port, "--accession", "ACC-2") == 1
        assert capsys.readouterr().out == "nobody is on the worklist\n"


def test_a_twin_is_told_also_where_one_infant_is_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The hospital's system gives the one that was asked for; that there is another shows in the whole day only."""
    twins = {b"H-1": answer(Answer(name=b"Doe^A")), b"H-2": answer(Answer(patient_id=b"H-2", name=b"Doe^B"))}

    def asked(event: Any) -> list[bytes]:
        wanted = str(event.identifier.PatientID or "").encode()
        return [raw for identifier, raw in twins.items() if wanted in (b"", identifier)]

    with worklist_of(chosen=asked) as port:
        assert ask(tmp_path, port, "--patient", "H-1", "--day", "2026-11-22", "--json") == 0
        said = capsys.readouterr()
        [line] = map(json.loads, said.out.splitlines())
        assert (line["patient_id"], "same family name" in line["alike"], said.err) == ("H-1", True, "")
        assert ask(tmp_path, port, "--patient", "H-1", "--json") == 0, "of no day: one question"
        assert json.loads(capsys.readouterr().out)["alike"] == ""


def test_a_long_list_is_not_compared_all_with_all() -> None:
    def item(number: int, name: str) -> bytes:
        born = f"2026{1 + number % 12:02d}{1 + number // 12 % 28:02d}".encode()
        return answer(Answer(patient_id=f"H-{number}".encode(), name=name.encode(), birth_date=born))

    started = time.process_time()
    found = read(*(item(n, f"Family{n}^Baby" if n % 2 else "Baby^Boy") for n in range(MOST_ANSWERS // 5)))
    assert time.process_time() - started < 60, "each with each takes minutes"
    assert {bool(one.alike) for one in found if one.patient_name == "Baby^Boy"} == {True}
    assert {bool(one.alike) for one in found if one.patient_name != "Baby^Boy"} == {False}


def test_a_field_that_cannot_be_read_shows_as_such(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with worklist_of(answer(Answer(name="Müller".encode("latin-1"))), answer(Answer(patient_id=b"H-2"))) as port:
        assert ask(tmp_path, port) == 1
        said = capsys.readouterr()
        assert "H-1  (unreadable)" in said.out
        assert "H-2  Doe^Baby" in said.out
        assert (
            "1 answer(s) hold what could not be read: PatientName: its bytes are not of the character set" in said.err
        )
        assert said.err.rstrip().endswith(
            "that was left out; name it as `character_set` of the worklist in the site's file"
        )


def test_what_the_site_can_name_and_what_the_worklist_has_to_mend_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = answer(Answer(name="Müller".encode("latin-1"), character_set=b"ISO_IR 192"))
    with worklist_of(named, answer(Answer(birth_date=b"20261301"))) as port:
        assert ask(tmp_path, port) == 1
    said = capsys.readouterr().err
    assert "PatientName: its bytes are not of the character set 'ISO_IR 192'; PatientBirthDate: it is no day" in said
    assert "`character_set`" not in said
    assert said.rstrip().endswith("have it mended in the worklist")


def test_a_terminal_without_the_letters_gets_escapes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with worklist_of(answer(Answer(name="山田^太郎".encode(), character_set=b"ISO_IR 192"))) as port:
        for more in ((), ("--json",)):
            narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
            monkeypatch.setattr("sys.stdout", narrow)
            assert ask(tmp_path, port, *more) == 0
            narrow.seek(0)
            said = narrow.read()
            assert "\\u5c71\\u7530^\\u592a\\u90ce" in said
            if more:
                assert json.loads(said)["patient_name"] == "山田^太郎"


def test_what_has_an_exam_here_or_is_finished_or_anothers_is_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = Order("ACC-1", "1.2.826.0.1.3680043.8.498.7", "RP-1", "S-1")
    (tmp_path / "key").touch(0o600)
    (tmp_path / "key").write_text(KEY.text)
    rules = ExamRules(0.4, ("ridge_in_view",), BUNDLE, "0.1.0")
    with Journal.open(tmp_path / "journal", KEY, create=True, floor_bytes=0) as journal:
        exam_id = journal.begin_exam(infant(), rules, operator="anna", order=order)
    others = [answer(Answer(steps=(b"S-2",), status=b"COMPLETED")), answer(Answer(steps=(b"S-3",), title=b"CART9"))]
    with worklist_of(answer(Answer()), *others) as port:
        where = ["--journal", str(tmp_path / "journal"), "--key-file", str(tmp_path / "key")]
        assert ask(tmp_path, port, *where) == 0
        lines = capsys.readouterr().out.splitlines()
        assert [f"[has exam {exam_id}]" in line for line in lines] == [True, False, False]
        assert "[completed]" in lines[1]
        assert "[for CART9]" in lines[2]
        assert ask(tmp_path, port, *where, "--json", "--step", "S-1") == 0
        [said] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert said["exams"] == [exam_id]
        assert Ordered.from_dict(said).order.same_as(order)
        with closing(sqlite3.connect(tmp_path / "journal" / "journal.sqlite3")) as connection, connection:
            connection.execute("UPDATE events SET body = zeroblob(length(body)) WHERE kind = 'opened'")
        assert ask(tmp_path, port, *where) == 0  # nobody is to wait for what one exam's events hold
        shown = capsys.readouterr()
        assert len(shown.out.splitlines()) == len(lines)
        assert "which orders have an exam already could not be read" in shown.err


# --- fuzz ------------------------------------------------------------------------------------------------------------

SETS = ["", "ISO_IR 100", "ISO_IR 192", "ISO_IR 101", "ISO_IR 13", "GB18030", "\\ISO 2022 IR 87", "ISO_IR 999", "\x1b"]
NAMES = ["Doe^Baby", "Müller^Zoë", "山田^太郎", "Иванова^Анна", "", "^", "a" * 300, "x\\y", "\x85\u2028", "क्\u200dष"]
CODECS = ["utf-8", "latin-1", "iso2022_jp", "gb18030", "cp1252", "shift_jis"]
VRS = ["LO", "PN", "OB", "UN", "US", "SQ", "UI", "DA", "ZZ", "AT", "UT"]
COUNT = Path("fuzz") / "worklist-answers.txt"


@dataclass(frozen=True)
class Told:
    """A random answer, and what its name has to read as; None where nobody can say."""

    raw: bytes
    name: str | None


def random_answer(dice: random.Random) -> Told:
    def text() -> bytes:
        if dice.random() < 0.15:
            return dice.randbytes(dice.randrange(20))
        return dice.choice(NAMES).encode(dice.choice(CODECS), "ignore")

    declared, name, meant = dice.choice(SETS), text(), None
    if dice.random() < 0.4:  # a name that somebody bears, in the character set that it is declared in
        declared = dice.choice(list(MEANT))
        meant = dice.choice(MEANT[declared])
        name = meant.encode(ENCODINGS[declared])
    elif dice.random() < 0.1:
        name *= dice.randrange(100, 2000)
    made = answer(
        Answer(
            character_set=declared.encode(),
            patient_id=dice.choice([b"H-1", b"H-1", b"H-2", b"", text()]),
            name=name,
            birth_date=dice.choice([b"20261001", b"2026.10.01", b"", text()]),
            sex=dice.choice([b"F", b"f", b"U", text()]),
            accession=dice.choice([b"ACC-1", text()]),
            description=text(),
            steps=tuple(dice.choice([b"S-1", text()]) for _ in range(dice.randrange(3))),
            title=text(),
        )
    )
    if dice.random() < 0.3:
        spoilt = bytearray(made)
        for _ in range(dice.randrange(1, 4)):
            spoilt[dice.randrange(len(spoilt))] = dice.randrange(256)
        made = bytes(spoilt[: dice.randrange(len(spoilt))] if dice.random() < 0.3 else spoilt)
        meant = None
    return Told(made, meant)


def taken_apart(told: Told, dice: random.Random) -> tuple[Dataset | None, str | None]:
    """As pynetdicom gives it, in one time of ten with a field of another value representation; and the name."""
    implicit, name = told.name is not None or dice.random() < 0.7, told.name
    try:
        with quietly():
            made = read_dataset(io.BytesIO(told.raw), implicit, True)
            if len(made) and dice.random() < 0.1:
                tag = dice.choice(list(made.keys()))
                raw: object = made.get_item(tag)
                if isinstance(raw, RawDataElement):
                    made[tag], name = raw._replace(VR=dice.choice(VRS)), None
    except Exception:  # what pydicom cannot take apart, pynetdicom gives as None
        return None, None
    return made, name


def fuzz(seed: int, rounds: int) -> int:
    """No traceback, no mangled name, no wrong infant. How many names came through that had to."""
    dice, question, whole = random.Random(seed), Question(patient_id="H-1", modality=""), 0
    for _ in range(rounds):
        made, name = taken_apart(random_answer(dice), dice)
        for item in read_answers([made], question, dice.choice(["", "ISO_IR 100"])):
            assert item.patient_id == "H-1"
            if name is not None:
                assert (item.patient_name, "patient_name" in item.unreadable) == (cleaned(name), False)
                whole += 1
            for value in (item.patient_name, item.accession, item.description, item.referring_physician):
                assert "\ufffd" not in value
                assert "\x1b" not in value
                assert "\\" not in value
                assert cleaned(value) == value or value == item.accession
            content = {name: getattr(item, name) for name in item.__dataclass_fields__}
            with suppress(OrderInvalid):
                ordered = Ordered.from_dict(content)
                assert (ordered.patient_id, ordered.patient_name) == ("H-1", item.patient_name)
    return whole


def test_random_answers_make_no_traceback_no_mangled_name_and_no_wrong_infant() -> None:
    assert fuzz(7, 600) > 50


@pytest.mark.soak
def test_a_hundred_thousand_random_answers() -> None:
    """Each time others: how many there were is kept in fuzz/worklist-answers.txt and adds up over calls."""
    before = int(COUNT.read_text()) if COUNT.exists() else 0
    COUNT.parent.mkdir(exist_ok=True)
    for done in range(before, before + 100_000, 1000):
        fuzz(10_000 + done, 1000)
        COUNT.write_text(f"{done + 1000}\n")


def test_random_bytes_are_decoded_strictly_or_not_at_all() -> None:
    dice = random.Random(3)
    for _ in range(3000):
        raw, declared = dice.randbytes(dice.randrange(12)), dice.choice(SETS).split("\\")
        try:
            text = decoded(raw, declared)
        except Unreadable:
            continue
        assert "\ufffd" not in text
        if declared == ["ISO_IR 192"]:
            assert text.encode() == raw


def test_the_older_name_of_the_option_works_and_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["worklist", "--site", str(tmp_path / "none.json")]) == 2
    assert "dicom: --site is --dicom-config now" in capsys.readouterr().err


def test_a_system_that_answers_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.dicom.worklist.MOST_ANSWERS", 3)
    hospital = Hospital(date.today())  # answers with five
    try:
        node = {"ae_title": ARCHIVE_AE, "host": "127.0.0.1", "port": hospital.port}
        site = DicomConfig.model_validate({"schema": "rop.dicom/1", "cart": {"ae_title": CART_AE}, "worklist": node})
        assert site.worklist is not None
        with pytest.raises(ArchiveRefused, match="more than 3 answers to one question"):
            query_worklist(site, site.worklist, day=date.today())
    finally:
        hospital.close()
