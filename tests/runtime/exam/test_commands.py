from __future__ import annotations

import dataclasses
import io
import json
import sqlite3
import sys
import threading
from contextlib import ExitStack, closing, redirect_stderr, redirect_stdout
from dataclasses import asdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import cv2
import pytest

import runtime.exam.commands.common
import runtime.exam.commands.exams
import runtime.screener
import runtime.trust.guard
from runtime.budget import LIVE_BUDGET_MS
from runtime.engines.fake import FakeEngine
from runtime.exam.__main__ import main
from runtime.exam.alone import alone
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import KEY_VARIABLE, JournalKey, find_key
from runtime.exam.order import Order
from runtime.exam.site_rules import site_rules
from runtime.outcome import DEMONSTRATION_NOTICE
from runtime.screener import Screener
from runtime.site_screener import screener_for
from tests.pictures import retina
from tests.runtime.exam.making import PLACES
from tests.runtime.test_explain import Telling

INFANT = {
    "infant_id": "H-1042",
    "name": "Secret^Ναυσικά",
    "born_at": (datetime.now(timezone.utc) - timedelta(days=40)).isoformat(),
    "gestational_age": "27w3d",
    "birth_weight_g": 980,
}


class Cart:
    """The commands in one folder, with the fake engine."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.journal, self.key = folder / "journal", folder / "cart.key"
        (folder / "infant.json").write_text(json.dumps(INFANT))
        for number in range(12):
            cv2.imwrite(str(folder / f"{number}.png"), retina(number)[..., ::-1])

    def __call__(self, verb: str, *arguments: str, key: bool = True, code: int = 0) -> str:
        common = ["--journal", str(self.journal), *(["--key-file", str(self.key)] if key else [])]
        assert main([verb, *common, *arguments]) == code, self._capsys.readouterr().err
        said = self._capsys.readouterr()
        return said.out if code == 0 else said.err

    def json(self, verb: str, *arguments: str, **how: Any) -> Any:
        return json.loads(self(verb, "--json", *arguments, **how))

    def new(self, *more: str, **how: Any) -> str:
        return self("new", "--operator", "anna", "--infant", str(self.folder / "infant.json"), *more, **how).strip()

    def capture(self, number: int, eye: str, view: str, **how: Any) -> Any:
        picture = str(self.folder / f"{number}.png")
        return self.json("capture", "--operator", "anna", "--eye", eye, "--view", view, picture, **how)


@pytest.fixture
def cart(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cart:
    monkeypatch.setattr(runtime.screener, "load_engine", lambda *_: FakeEngine())
    monkeypatch.setattr(runtime.trust.guard, "open_self_test", lambda *_: None)  # the fake would not pass the bundle's
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    made = Cart(tmp_path, capsys)
    assert main(["key", str(made.key)]) == 0
    capsys.readouterr()
    return made


def test_an_exam_from_the_key_to_the_report(cart: Cart) -> None:
    exam_id = cart.new()
    for number, (eye, view) in enumerate(PLACES):
        content = cart.capture(number, eye.value, view.value)
        assert content["eyes"][eye.value]["views"][view.value]["outcome"] == "NO_REFERRAL_FINDINGS"
        assert content["outcome"] == ("NO_RESULT" if number < 9 else "NO_REFERRAL_FINDINGS")
    closed = cart("close", "--operator", "anna")
    assert "No referral findings in these images: continue the scheduled examinations" in closed
    assert DEMONSTRATION_NOTICE in closed
    assert f"{exam_id}  " in cart("list")
    assert "  H-1042 Ναυσικά Secret  closed" in cart("list")
    assert cart.json("list")["infant"] == {"infant_id": "H-1042", "name": INFANT["name"]}
    shown = cart.json("show", exam_id)
    assert shown["infant"]["name"] == INFANT["name"]
    assert shown["infant"]["postmenstrual_age"]
    assert "encrypted, and there is no key" in cart("show", exam_id, key=False, code=2)
    assert "sound: 23 events of 1 exams, 10 images; trail sealed" in cart("verify")
    assert "same outcomes of the readings; the exam says" in cart("replay", exam_id)
    report = cart.folder / "report.html"
    cart("export", exam_id, "--out", str(report))
    page = report.read_text()
    assert "Ναυσικά" in page
    assert page.count("data:image/jpeg;base64,") == 20  # of each view as it is, and with its vessels
    assert "Right eye (OD): NO REFERRAL FINDINGS" in page
    assert "No referral findings in these images" in page
    assert DEMONSTRATION_NOTICE in page
    assert "http" not in page
    cart("export", exam_id, "--out", str(report), "--without-infant")
    assert "Ναυσικά" not in report.read_text()
    assert "H-1042" not in report.read_text()


def test_corrections_need_a_reason_and_are_shown(cart: Cart) -> None:
    exam_id = cart.new()
    cart.capture(0, "OD", "nasal")
    said = cart("correct", exam_id, "--operator", "bert", "--capture", "1", "--eye", "OS", "--reason", "wrong side")
    assert "capture 1 moved from OD nasal to OS nasal; wrong side" in said
    who = ("correct", exam_id, "--operator", "bert")
    assert "needs a reason" in cart(*who, "--capture", "1", "--eye", "OD", "--reason", " ", code=2)
    assert "what is to be corrected?" in cart(*who, "--reason", "why", code=2)
    cart.folder.joinpath("infant.json").write_text(json.dumps({**INFANT, "birth_weight_g": 1020}))
    assert "1020 g" in cart(*who, "--infant", str(cart.folder / "infant.json"), "--reason", "scale read again")
    documented = cart("document", exam_id, "--operator", "dr", "--eye", "OS", "--zone", "II", "--stage", "2")
    assert documented == "OS: zone II, stage 2\n"
    assert "nothing is named" in cart("document", exam_id, "--operator", "dr", "--eye", "OS", "--note", " ", code=2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"birth_weight_g": 0.98}, "looks like kilograms: 980 g?"),
        ({"born_at": "2999-01-01T00:00Z"}, "in the future"),
        ({"gestational_age": "50w0d"}, "20w0d to 45w0d"),
        ({"name": ""}, "name: it is empty"),
    ],
)
def test_an_infant_that_cannot_be_is_refused_without_naming_it(cart: Cart, change: Any, message: str) -> None:
    cart.folder.joinpath("infant.json").write_text(json.dumps({**INFANT, **change}))
    said = cart.new(code=2)
    assert message in said
    assert "Secret" not in said
    assert len(said.splitlines()) == 1
    assert not (cart.journal / "journal.sqlite3").exists()


def test_the_infant_may_come_from_standard_input_or_from_questions(cart: Cart, monkeypatch: pytest.MonkeyPatch) -> None:
    class Piped(io.TextIOWrapper):
        pass

    monkeypatch.setattr(sys, "stdin", Piped(io.BytesIO(json.dumps(INFANT).encode())))
    exam_id = cart("new", "--operator", "anna", "--infant", "-").strip()
    cart("close", "--operator", "anna")
    monkeypatch.setattr(sys, "stdin", Piped(io.BytesIO(b"")))
    assert "name a JSON file with --infant" in cart("new", "--operator", "anna", code=2)
    answers = iter([*(str(value) for value in INFANT.values()), ""])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    second = cart("new", "--operator", "anna").strip()
    assert cart.json("show", second)["infant"] == cart.json("show", exam_id)["infant"]


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\xfe", b"[" * 30_000])
def test_a_file_that_is_no_infant(cart: Cart, content: bytes) -> None:
    cart.folder.joinpath("infant.json").write_bytes(content)
    assert "infant: " in cart.new(code=2)


def test_a_view_without_findings_is_not_said_of_the_infant(cart: Cart) -> None:
    cart.new()
    said = cart("capture", "--operator", "anna", "--eye", "OD", "--view", "nasal", str(cart.folder / "0.png"))
    assert "NO REFERRAL FINDINGS" in said.splitlines()[0]
    assert "continue the scheduled examinations" not in said
    assert "the exam so far: No result - OD disc-centred, not captured" in said


def test_a_source_of_several_pictures_has_to_say_which(cart: Cart) -> None:
    """One of them would be read, and the others, a referral among them, be thought so."""
    exam_id, folder = cart.new(), cart.folder / "of an eye"
    folder.mkdir()
    for number in (0, 1):
        (folder / f"{number}.png").write_bytes((cart.folder / f"{number}.png").read_bytes())
    aimed = ("capture", "--operator", "anna", "--eye", "OD", "--view", "nasal", str(folder))
    assert "holds 2 pictures, one is taken at a time; name the picture" in cart(*aimed, code=2)
    assert cart.json("show", exam_id)["captures_total"] == 0
    cart(*aimed, "--skip", "1")
    (folder / "1.png").unlink()
    cart("capture", "--operator", "anna", "--eye", "OD", "--view", "temporal", str(folder))
    assert cart.json("show", exam_id)["captures_total"] == 2


def test_a_dicom_picture_of_the_other_eye_or_of_another_infant_is_not_taken(cart: Cart) -> None:
    pytest.importorskip("pydicom", reason="needs the extra dicom")
    from tests.device.cameras.test_dicom import write

    exam_id = cart.new()
    known = str(INFANT["infant_id"])
    for name, stated, words in (
        ("left", {"ImageLaterality": "L", "PatientID": known}, "the picture's file says OS, OD is set"),
        ("another's", {"ImageLaterality": "R", "PatientID": "OTHER-77"}, "another patient's identifier"),
        ("either", {"ImageLaterality": "R", "Laterality": "L", "PatientID": known}, "says OD and OS at once"),
        ("both", {"ImageLaterality": "B", "PatientID": known}, "says both eyes (laterality B), expected OD alone"),
        ("hers", {"ImageLaterality": "R", "PatientID": known}, ""),
    ):
        path = write(cart.folder / f"{name}.dcm", retina(len(name)), **stated)
        said = cart(
            "capture", "--operator", "anna", "--eye", "OD", "--view", "nasal", str(path), code=2 if words else 0
        )
        assert words in said
        assert "OTHER-77" not in said
    assert cart.json("show", exam_id)["captures_total"] == 1


def test_the_exam_so_far_comes_with_a_refer_that_a_person_took_out(cart: Cart, monkeypatch: pytest.MonkeyPatch) -> None:
    exam_id = cart.new()
    monkeypatch.setattr(runtime.screener, "load_engine", lambda *_: FakeEngine(probabilities=(0.1, 0.9)))
    assert cart.capture(0, "OD", "nasal")["outcome"] == "REFER"
    cart("exclude", exam_id, "--capture", "1", "--operator", "anna", "--reason", "of the twin")
    said = cart("capture", "--operator", "anna", "--eye", "OD", "--view", "temporal", str(cart.folder / "1.png"))
    assert said.endswith("\n! frame 1, OD nasal: read as REFER, excluded by a person\n")
    # The second frame refers by this fake engine: it goes as the first one did, and so does the referral.
    for number, who, left in (("2", "anna", "REFER"), ("1", "ben", "REFER"), ("2", "ben", "NO_RESULT")):
        cart("exclude", exam_id, "--capture", number, "--operator", who, "--reason", "of the twin")
        assert cart.json("list")["outcome"] == cart.json("show", exam_id)["outcome"] == left


def test_an_identifier_that_another_infant_has_is_said(cart: Cart, capsys: pytest.CaptureFixture[str]) -> None:
    first = cart.new()
    cart("close", "--operator", "anna")
    other = cart.folder / "other.json"
    other.write_text(json.dumps({**INFANT, "name": "Roe^Other"}))
    common = ("--journal", str(cart.journal), "--key-file", str(cart.key), "--operator", "anna")
    assert main(["new", *common, "--infant", str(other)]) == 0
    said = capsys.readouterr()
    assert f"look twice: exam {first} has this identifier with another name; compare with the wrist band" in said.err
    assert "Roe" not in said.err


def test_an_exam_on_an_order_is_opened_though_another_ones_events_were_altered(
    cart: Cart, capsys: pytest.CaptureFixture[str]
) -> None:
    """One byte of any older exam kept every ordered infant of the ward waiting."""
    cart.new()
    cart("close", "--operator", "anna")
    with closing(sqlite3.connect(cart.journal / "journal.sqlite3")) as connection, connection:
        connection.execute("UPDATE events SET body = zeroblob(length(body)) WHERE kind = 'opened'")
    order, infant = cart.folder / "order.json", cart.folder / "other.json"
    infant.write_text(json.dumps({**INFANT, "infant_id": "H-7", "name": "Roe^Other"}))
    order.write_text(json.dumps({"patient_id": "H-7", "accession": "A-7"}))
    common = ("--operator", "anna", "--journal", str(cart.journal), "--key-file", str(cart.key))
    capsys.readouterr()
    assert main(["new", *common, "--infant", str(infant), "--order", str(order)]) == 0
    assert "whether this order has an exam already could not be read; see verify" in capsys.readouterr().err


@pytest.mark.parametrize("refers", [True, False])
def test_a_referral_that_was_corrected_to_another_infant_is_said_at_the_next_exam_of_the_first(
    cart: Cart, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, refers: bool
) -> None:
    """One person corrects whose exam it is; nothing else here would tell that this infant was once referred."""
    share = 0.9 if refers else 0.1
    monkeypatch.setattr(runtime.screener, "load_engine", lambda *_: FakeEngine(probabilities=(1 - share, share)))
    first = cart.new()
    cart.capture(0, "OD", "nasal")
    cart("close", "--operator", "anna")
    other, infant = cart.folder / "other.json", cart.folder / "infant.json"
    other.write_text(json.dumps({**INFANT, "infant_id": "H-2", "name": "Roe^Other"}))
    cart("correct", first, "--operator", "anna", "--infant", str(other), "--reason", "of the twin")
    common = ("new", "--operator", "anna", "--journal", str(cart.journal), "--key-file", str(cart.key))
    said = f"look twice: exam {first}, which refers, was this infant's until it was corrected to another"
    for whose, told in ((other, False), (infant, refers)):
        capsys.readouterr()
        assert main([*common, "--infant", str(whose)]) == 0
        assert (said in capsys.readouterr().err) is told
        cart("close", "--operator", "anna")
    cart("correct", first, "--operator", "ben", "--infant", str(infant), "--reason", "it was right")
    capsys.readouterr()
    assert main([*common, "--infant", str(infant)]) == 0
    assert "until it was corrected" not in capsys.readouterr().err


def test_an_exam_of_today_is_said_where_another_one_is_opened(
    cart: Cart, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    common = ("new", "--operator", "anna", "--journal", str(cart.journal), "--key-file", str(cart.key))
    monkeypatch.setattr(runtime.screener, "load_engine", lambda *_: FakeEngine(probabilities=(0.1, 0.9)))
    for referred in (False, True):
        assert main([*common, "--infant", str(cart.folder / "infant.json")]) == 0
        assert "exam of today" not in capsys.readouterr().err  # nothing was found out yet
        if referred:
            cart.capture(0, "OD", "nasal")
        cart("close", "--operator", "anna")
    assert main([*common, "--infant", str(cart.folder / "infant.json")]) == 0
    assert "look twice: this infant has an exam of today already: REFER\n" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["r.pdf", "r.JSON", "r.html.dcm"])
def test_a_report_is_not_named_for_what_it_is_not(cart: Cart, name: str) -> None:
    exam_id = cart.new()
    assert "the report is an HTML page; name it .html" in cart(
        "export", exam_id, "--out", str(cart.folder / name), code=2
    )
    assert not (cart.folder / name).exists()


def test_two_exams_at_once_and_frames_without_one(cart: Cart) -> None:
    first = cart.new()
    assert f"exam {first} is still open; close it first" in cart.new(code=2)
    cart("close", first, "--operator", "anna")
    assert "no exam is open" in cart("capture", "--operator", "anna", "--eye", "OD", "--view", "nasal", "sim:", code=2)
    assert "no exam is open" in cart("close", "--operator", "anna", code=2)
    assert "is not in this journal" in cart("show", "nobody", code=2)


def test_keys(cart: Cart, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cart.key.stat().st_mode & 0o77 == 0
    assert main(["key", str(cart.key)]) == 2  # never over an existing one
    assert "needs a key; name its file with --key-file" in cart.new(key=False, code=2)
    monkeypatch.setenv(KEY_VARIABLE, cart.key.read_text())
    exam_id = cart.new(key=False)
    assert "Secret" in cart("show", exam_id, key=False)
    monkeypatch.setenv(KEY_VARIABLE, JournalKey.new().text)
    assert "this key is another journal's" in cart("show", exam_id, key=False, code=2)
    monkeypatch.setenv(KEY_VARIABLE, "not base64")
    said = cart("show", exam_id, key=False, code=2)
    assert "not base64" in said.partition("journal key: ")[2]
    monkeypatch.delenv(KEY_VARIABLE)
    assert find_key() is None
    assert "it is encrypted, and there is no key" in cart("export", exam_id, key=False, code=2)
    cart.key.unlink()
    assert "cannot be read (No such file" in cart("show", exam_id, code=2)


def test_an_edit_is_named(cart: Cart) -> None:
    exam_id = cart.new()
    cart.capture(0, "OD", "nasal")
    with Journal.open(cart.journal) as journal:
        journal.database.connection.execute("UPDATE events SET who = 'carl' WHERE seq = 3")
    assert main(["verify", "--journal", str(cart.journal), "--json"]) == 1
    found = json.loads(cart._capsys.readouterr().out)
    assert found["findings"][0]["where"] == f"event 3 ('captured', exam {exam_id})"
    assert not found["sound"]


def test_a_lost_camera_is_no_result_and_exit_code_1(cart: Cart, monkeypatch: pytest.MonkeyPatch) -> None:
    from device.cameras.simulated import SimulatedCamera
    from device.errors import Disconnected

    def gone(self: object) -> None:
        raise Disconnected("the camera is gone; plug it in")

    exam_id = cart.new()
    monkeypatch.setattr(SimulatedCamera, "read", gone)
    said = cart("capture", "--operator", "anna", "--eye", "OD", "--view", "nasal", "sim:", code=1)
    assert "the camera is gone" in said
    view = cart.json("show", exam_id)["eyes"]["OD"]["views"]["nasal"]
    assert view["banner"] == "No result - OD nasal, the camera is gone; plug it in"


def test_retention(cart: Cart) -> None:
    exam_id = cart.new()
    cart.capture(0, "OD", "nasal")
    cart("close", "--operator", "anna")
    retire = ("retire", "--operator", "anna", "--older-than-days")
    assert cart.json(*retire, "30", "--no-archive") == {"retired": [], "kept": []}
    assert cart.json(*retire, "0", "--delivered-to", "archive") == {"retired": [], "kept": [exam_id]}
    assert cart.json(*retire, "0", "--no-archive")["retired"] == [exam_id]
    assert "  -  retired" in cart("list")
    assert cart.json("list")["infant"] == {"infant_id": None, "name": None}
    assert "it is retired" in cart("show", exam_id, code=2)


def test_the_demonstration(cart: Cart) -> None:
    cart.key = cart.journal / "demonstration.key"
    content = cart.json("demo", key=False)
    assert content["schema"] == "rop.exam/1"
    assert content["outcome"] == "NO_REFERRAL_FINDINGS"  # what the fake engine says of every gradable frame
    assert content["phase"] == "closed"
    assert {eye: set(found["views"]) for eye, found in content["eyes"].items()} == {
        eye: {"disc-centred", "temporal", "nasal", "superior", "inferior"} for eye in ("OD", "OS")
    }
    assert content["captures_total"] >= 10
    assert "continue the scheduled examinations" in content["banner"]
    assert "continue the scheduled examinations" not in str(content["eyes"])
    assert content["rules"]["bundle"]["sha256"]
    assert len(cart("list").splitlines()) == 1
    assert "sound" in cart("verify")


@pytest.mark.parametrize(
    "arguments",
    [
        ["new"],
        ["capture", "sim:", "--operator", "a", "--eye", "both", "--view", "nasal"],
        ["capture", "sim:", "--operator", "a", "--eye", "OD"],
        ["capture", "sim:", "--operator", "a", "--eye", "OD", "--view", "macula"],
        ["new", "--operator", "a", "--views", "nasal,nasal"],
        ["new", "--operator", "a", "--retakes", "99"],
        ["retire", "--operator", "a", "--older-than-days", "3"],
        ["forget"],
        [],
    ],
)
def test_wrong_calls(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "error: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (["--eye", "left", "--view", "nasal"], "got 'left', expected OD (right eye) or OS (left eye)"),
        (["--eye", "OD", "--view", "macula"], "got 'macula', expected one of disc-centred, temporal"),
    ],
)
def test_an_eye_or_view_that_is_none_is_told_what_there_is(
    place: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["capture", "sim:", "--operator", "a", *place])
    assert said in capsys.readouterr().err


def test_a_time_of_birth_is_shown_as_the_hospital_wrote_it(cart: Cart) -> None:
    """Without its zone it would read as another time, or as another day than the identity band says."""
    born = datetime.fromisoformat(str(INFANT["born_at"])).astimezone(timezone(timedelta(hours=5, minutes=30)))
    cart.folder.joinpath("infant.json").write_text(json.dumps({**INFANT, "born_at": born.isoformat()}))
    assert f"born {born:%Y-%m-%d %H:%M} +0530 at" in cart("show", cart.new())


def test_help_reads_well(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    assert "infant.json" in said
    assert all(len(line) <= 120 for line in said.splitlines())
    with pytest.raises(SystemExit):
        main(["capture", "--help"])
    assert "Eye." not in capsys.readouterr().out


def test_a_reading_that_a_crash_left_out_is_made_later_also_for_a_closed_exam(
    cart: Cart, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    exam_id = cart.new()
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "add_reading", killed)
        with pytest.raises(Killed):
            cart.capture(0, "OD", "nasal")
    cart._capsys.readouterr()
    assert "1 frame(s) not read yet: python -m runtime.exam finish" in cart("close", "--operator", "anna")
    assert cart.json("finish", "--operator", "anna") == {"read": 1, "left": 0}
    assert cart.json("show", exam_id)["eyes"]["OD"]["views"]["nasal"]["outcome"] == "NO_REFERRAL_FINDINGS"


def test_an_order_from_the_worklist(cart: Cart, monkeypatch: pytest.MonkeyPatch) -> None:
    born = f"{datetime.fromisoformat(str(INFANT['born_at'])):%Y%m%d}"
    whose = {"patient_id": INFANT["infant_id"], "patient_name": INFANT["name"], "birth_date": born, "sex": "F"}
    answer = {**whose, "accession": "ACC-7", "study_uid": "1.2.3", "requested_procedure_id": "RP-1", "step_id": "S-1"}
    answer |= {"description": "ROP", "referring_physician": "", "scheduled": "20261122 1015", "station_ae_title": ""}
    rest = {name: INFANT[name] for name in ("born_at", "gestational_age", "birth_weight_g")}
    cart.folder.joinpath("infant.json").write_text(json.dumps(rest))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(answer).encode() + b"\n")))
    exam_id = cart.new("--order", "-")
    shown = cart.json("show", exam_id)
    assert shown["order"]["accession"] == "ACC-7"
    assert {name: shown["infant"][name] for name in ("infant_id", "name", "sex")} == {
        "infant_id": INFANT["infant_id"],
        "name": INFANT["name"],
        "sex": "F",
    }
    assert "accession ACC-7" in cart("show", exam_id)
    cart("close", "--operator", "anna")
    order = cart.folder / "order.json"
    order.write_text(json.dumps({"accession": "ACC-8"}, indent=2))
    corrected = cart.json("correct", exam_id, "--operator", "anna", "--order", str(order), "--reason", "wrong line")
    assert corrected["order"]["accession"] == "ACC-8"
    report = cart.folder / "report.html"
    cart("export", exam_id, "--out", str(report))
    assert "ACC-8" in report.read_text()
    cart("export", exam_id, "--out", str(report), "--without-infant")
    assert "ACC-8" not in report.read_text()


def test_a_correction_names_the_fields_that_are_other_than_before(
    cart: Cart, capsys: pytest.CaptureFixture[str]
) -> None:
    first = {"accession": "ACC-7", "step_id": "S-1", "referring_physician": "Who^Doctor", "description": "ROP"}
    order, infant = cart.folder / "order.json", cart.folder / "infant.json"
    order.write_text(json.dumps(first))
    exam_id = cart.new("--order", str(order))
    call = ["correct", exam_id, "--operator", "anna", "--reason", "wrong line"]

    def said(*more: str) -> str:
        common = ["--journal", str(cart.journal), "--key-file", str(cart.key)]
        assert main([*call, *common, *more]) == 0
        return capsys.readouterr().err

    second = {"accession": "ACC-8", "step_id": "", "study_uid": "1.2.3", "description": "ROP"}
    order.write_text(
        json.dumps(second | {"unreadable": ["referring_physician"], "alike": "a twin", "status": "COMPLETED"})
    )
    told = said("--order", str(order))
    assert "order: changed: accession number; new: study; no longer there: step, referring physician\n" in told
    assert "the worklist's referring_physician could not be read and is left out" in told
    assert "look twice: the worklist has a twin" in told
    assert "look twice: the worklist says that this step is completed" in told
    assert "infant: as before\n" in told
    assert "order: as before\n" in said("--order", str(order))
    infant.write_text(json.dumps(INFANT | {"name": "Secret^Zoë", "sex": "F", "birth_weight_g": 990}))
    told = said("--infant", str(infant))
    assert "infant: changed: name, birth weight; new: sex\n" in told
    assert "Zo" not in told
    order.write_text("{}")
    assert "order: no longer there: accession number, study, description\n" in said("--order", str(order))


def test_a_correction_to_an_order_of_another_exam_says_so(cart: Cart, capsys: pytest.CaptureFixture[str]) -> None:
    order = cart.folder / "order.json"
    order.write_text(json.dumps({"accession": "ACC-7"}))
    first = cart.new("--order", str(order))
    cart("close", "--operator", "anna")
    second = cart.new()
    call = ["correct", second, "--operator", "anna", "--reason", "wrong line", "--order", str(order)]
    assert main([*call, "--journal", str(cart.journal), "--key-file", str(cart.key)]) == 0
    assert f"look twice: the order has exam {first} too" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"patient_id": "SECRET-2"}', "order: its identifier differs from the infant's"),
        ('{"accession": "A"}\n{"accession": "B"}', "holds 2 orders, expected one"),
        ('{"patient_id": "H-1", "accession": "A", "patient_id": "SECRET-2"}', "'patient_id' stands twice"),
        ("", "holds 0 orders"),
        ("{", "is not JSON"),
        ("[1]", "expected one object of the worklist"),
        ('{"accession": "SECRET-2-AND-TOO-LONG"}', "DICOM carries 16"),
    ],
)
def test_an_order_that_cannot_be_used_opens_no_exam(cart: Cart, content: str, message: str) -> None:
    order = cart.folder / "order.json"
    order.write_text(content)
    said = cart.new("--order", str(order), code=2)
    assert message in said
    assert "SECRET" not in said
    assert len(said.splitlines()) == 1
    assert not (cart.journal / "journal.sqlite3").exists()


def test_what_the_worklist_says_to_look_at_twice_is_said_before_the_first_picture(
    cart: Cart, capsys: pytest.CaptureFixture[str]
) -> None:
    order = cart.folder / "order.json"
    order.write_text(
        '{"accession": "A-1", "alike": "another infant of the same name\\u001b[2J", "status": "COMPLETED"}'
    )
    infant = str(cart.folder / "infant.json")
    call = ["new", "--journal", str(cart.journal), "--key-file", str(cart.key), "--operator", "anna"]
    assert main([*call, "--infant", infant, "--order", str(order)]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "runtime.exam: look twice: the worklist has another infant of the same name\N{REPLACEMENT CHARACTER}[2J",
        "runtime.exam: look twice: the worklist says that this step is completed",
    ]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437", "shift_jis", "utf-8"])
def test_a_terminal_of_any_encoding_gets_escaped_text(cart: Cart, encoding: str) -> None:
    exam_id = cart.new()
    cart("document", exam_id, "--operator", "Zoë \N{OGHAM LETTER BEITH}", "--eye", "OD", "--note", "µ-Ναυσικά-山田")
    common = ["--journal", str(cart.journal), "--key-file", str(cart.key)]
    out_folder = ["export", exam_id, "--out", str(cart.folder)]  # a folder, which is refused
    for call in (["show", exam_id], ["show", "--json", exam_id], ["list"], out_folder):
        out, error = io.BytesIO(), io.BytesIO()
        told = io.TextIOWrapper(out, encoding=encoding)
        with redirect_stdout(told), redirect_stderr(io.TextIOWrapper(error, encoding, errors="backslashreplace")):
            assert main([*call, *common]) == (2 if call is out_folder else 0)
        told.flush()
        said = out.getvalue().decode(encoding)
        if "--json" in call:
            assert json.loads(said)["infant"]["name"] == INFANT["name"]
        elif "show" in call:
            assert str(INFANT["name"]).encode(encoding, "backslashreplace").decode(encoding) in said


def test_pictures_are_taken_one_after_the_other(cart: Cart, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second capture read the first one's picture in its midst, and ended the first: it has its reading already."""
    cart.new()
    freed: list[threading.Timer] = []
    with ExitStack() as other:
        assert other.enter_context(alone(cart.journal))
        freed.append(threading.Timer(0.3, other.pop_all().close))
        freed[0].start()
        assert cart.capture(0, "OD", "nasal")["captures_total"] == 1
    freed[0].join()
    monkeypatch.setattr(runtime.exam.commands.exams, "ALONE_S", 0.1)
    with alone(cart.journal):
        for verb in (["capture", "--eye", "OD", "--view", "nasal", "sim:"], ["finish"]):
            said = cart(verb[0], "--operator", "anna", *verb[1:], code=2)
            assert "another program takes a picture into this journal; waiting for it" in said
            assert "another program, such as a cart, takes pictures into it" in said
    assert cart.capture(1, "OD", "nasal")["captures_total"] == 2


def test_a_live_camera_has_the_budget_that_live_screening_has(cart: Cart, monkeypatch: pytest.MonkeyPatch) -> None:
    from device.cameras.simulated import SimulatedCamera

    given: list[tuple[bool, float | None]] = []
    opens = runtime.exam.commands.common.open_screener

    def opened(*arguments: Any, **how: Any) -> Any:
        given.append((how["live"], how["budget_ms"]))
        return opens(*arguments, **how)

    monkeypatch.setattr(runtime.exam.commands.exams, "open_screener", opened)
    cart.new()
    cart.capture(0, "OD", "nasal")
    monkeypatch.setattr(SimulatedCamera, "live", True)
    cart.json("capture", "--operator", "anna", "--eye", "OD", "--view", "disc-centred", "sim:")
    cart.json("capture", "--operator", "anna", "--eye", "OS", "--view", "disc-centred", "--budget-ms", "70", "sim:")
    assert given == [(False, None), (True, LIVE_BUDGET_MS), (True, 70)]


def test_a_referrer_that_cannot_be_read_is_left_out_and_told(cart: Cart, capsys: pytest.CaptureFixture[str]) -> None:
    order = cart.folder / "order.json"
    order.write_text('{"accession": "ACC-7", "referring_physician": "", "unreadable": ["referring_physician"]}')
    exam_id = cart.new("--order", str(order))
    assert cart.json("show", exam_id)["order"] == {**asdict(Order()), "accession": "ACC-7"}
    call = ["new", "--journal", str(cart.journal), "--key-file", str(cart.key), "--operator", "anna", "--again"]
    cart("close", "--operator", "anna")
    assert main([*call, "--infant", str(cart.folder / "infant.json"), "--order", str(order)]) == 0
    told = "the worklist's referring_physician could not be read and is left out of the exam"
    assert told in capsys.readouterr().err


def test_an_order_is_chosen_beside_one_that_cannot_be_read(cart: Cart) -> None:
    """One infant's name in a wrong character set kept every order of the day from being taken."""
    order = cart.folder / "order.json"
    order.write_text('{"accession": "A-1", "unreadable": ["patient_name"]}\n{"accession": "A-2", "step_id": "S-2"}\n')
    assert "could not be read" in cart.new("--order", str(order), code=2)
    assert "could not be read" in cart.new("--order", str(order), "--accession", "A-1", code=2)
    exam_id = cart.new("--order", str(order), "--accession", "A-2", "--step", "S-2")
    assert cart.json("show", exam_id)["order"]["accession"] == "A-2"


@pytest.mark.parametrize("ends", ["\u0085", "\u2028", "\u2029"])
def test_only_a_line_feed_parts_two_orders(cart: Cart, ends: str) -> None:
    """As other programs write JSON: Python's own takes these for ends of lines too."""
    order = cart.folder / "order.json"
    order.write_text(f'{{"accession": "ACC-7", "description": "a{ends}b"}}\n', encoding="utf-8")
    assert cart.json("show", cart.new("--order", str(order)))["order"]["accession"] == "ACC-7"


def test_an_infant_of_two_identifiers_is_refused(cart: Cart) -> None:
    fields = json.dumps(INFANT)[1:-1]
    (cart.folder / "twice.json").write_text(f'{{{fields}, "infant_id": "H-2"}}')
    said = cart("new", "--operator", "anna", "--infant", str(cart.folder / "twice.json"), code=2)
    assert "'infant_id' stands twice" in said


def test_a_second_exam_on_one_order_has_to_be_meant(cart: Cart) -> None:
    order = cart.folder / "order.json"
    order.write_text('{"accession": "ACC-7", "step_id": "S-1"}\n{"accession": "ACC-7", "step_id": "S-2"}')
    first = cart.new("--order", str(order), "--step", "S-1")
    cart("close", "--operator", "anna")
    said = cart.new("--order", str(order), "--step", "S-1", code=2)
    assert f"the order has exam {first} already; give --again" in said
    cart.new("--order", str(order), "--step", "S-2")
    cart("close", "--operator", "anna")
    cart.new("--order", str(order), "--step", "S-1", "--again")


@pytest.mark.parametrize(("answer", "more", "code"), [("n", (), 2), ("", (), 2), ("y", (), 0), (None, ("--yes",), 0)])
def test_at_a_terminal_an_exam_with_views_missing_is_closed_only_when_that_is_meant(
    cart: Cart, monkeypatch: pytest.MonkeyPatch, answer: str | None, more: tuple[str, ...], code: int
) -> None:
    exam_id = cart.new()
    cart.capture(0, "OD", "nasal")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: answer if answer is not None else pytest.fail("asked"))
    said = cart("close", "--operator", "anna", *more, code=code)
    if code:
        assert "not done: OD disc-centred, OD temporal, OD superior" in said
        assert "OD nasal" not in said
        assert "it stays open" in said
    assert cart.json("show", exam_id)["phase"] == ("open" if code else "closed")


def test_a_cause_to_stop_is_said_as_the_cart_says_it_or_as_the_journal_writes_it(cart: Cart) -> None:
    for why in ("infant unstable", "unstable"):
        cart.new()
        assert "infant unstable" in cart("stop", "--operator", "anna", "--why", why)


def test_only_one_thing_comes_from_standard_input(cart: Cart) -> None:
    assert "cannot both be read" in cart("new", "--operator", "a", "--infant", "-", "--order", "-", code=2)


def test_a_frame_is_read_later_under_the_threshold_of_its_own_exam(cart: Cart, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundle's threshold is 0.4 or so; this exam was opened under 0.9."""

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    def opened(threshold: float) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(
                runtime.exam.commands.exams,
                "site_rules",
                lambda *a, **k: dataclasses.replace(site_rules(*a, **k), threshold=threshold),
            )
            exam_id = cart.new()
            patch.setattr(Journal, "add_reading", killed)
            with pytest.raises(Killed):
                cart.capture(0, "OD", "nasal")
        cart._capsys.readouterr()
        cart("close", "--operator", "anna")
        return exam_id

    exams = {opened(threshold): threshold for threshold in (0.9, 0.2)}
    used: list[float] = []

    def noted(*given: Any, **named: Any) -> Screener:
        used.append(named["threshold"])
        return screener_for(*given, **named)

    monkeypatch.setattr(runtime.exam.commands.common, "screener_for", noted)
    current = cart.new()
    cart.capture(1, "OD", "nasal")  # reads what is left of its own exam only
    assert cart.json("show", current)["pending"] == 0
    assert [cart.json("show", exam_id)["pending"] for exam_id in exams] == [1, 1]
    used.clear()
    assert cart.json("finish", "--operator", "anna") == {"read": 2, "left": 0}
    assert sorted(used) == [0.2, 0.9]


def test_gates_are_pictures_for_whoever_asks_and_the_journal_keeps_nothing_of_them(
    cart: Cart, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam_id, out = cart.new(), cart.folder / "gates"
    cart.capture(0, "OD", "nasal")
    place = ("--operator", "anna", "--eye", "OD", "--view", "temporal", str(cart.folder / "1.png"))
    assert "hands out no gates; for them read with --engine openvino" in cart(
        "capture", *place, "--gates", str(out), code=2
    )
    assert len(cart.json("show", exam_id)["captures"]) == 1  # nothing was taken by a call that cannot be
    monkeypatch.setattr(runtime.screener, "load_engine", lambda *_: Telling(probabilities=FakeEngine().probabilities))
    cart("capture", *place, "--gates", str(out))
    assert [file.name for file in out.iterdir()] == [f"{exam_id}-002-gates.jpg"]
    before = cart("verify")
    cart("replay", exam_id, "--gates", str(out))
    assert sorted(file.name for file in out.iterdir()) == [f"{exam_id}-{number:03d}-gates.jpg" for number in (1, 2)]
    picture = cv2.imread(str(next(out.iterdir())))
    assert picture is not None
    assert picture.std() > 1
    assert cart("verify") == before
    assert "explanation" not in cart("show", exam_id, "--json")
    assert [oct(file.stat().st_mode & 0o777) for file in out.iterdir()] == ["0o600", "0o600"]
