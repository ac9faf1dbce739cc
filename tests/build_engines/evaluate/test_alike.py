"""Codes and words that are one to people; pictures that are not those that were read, or cannot be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import cv2
import pytest

from build_engines.__main__ import main
from build_engines.evaluate.cases import read_cases
from build_engines.evaluate.others import Others, _not_checked
from build_engines.evaluate.overlap import seen_of
from build_engines.huggingface import hugging_face_card
from build_engines.markdown import escape
from calibration.tables import alike, read_table
from device.cameras.files.folder import read_picture
from runtime.bundle import Bundle, open_bundle
from runtime.errors import ScreeningError
from tests.build_engines.evaluate.studies import row, study, write_readings, write_table
from tests.pictures import retina

pytestmark = pytest.mark.usefixtures("no_charts")


def save(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), retina(number)[..., ::-1])


UNSEEN = ("é1\u200b", "\u202eé1", "é\u00ad1", "\ufeffé1 ", "é1\u3164", "é\u034f1", "\u2800é1")


@pytest.mark.parametrize("other", [unicodedata.normalize("NFD", "é1"), *UNSEEN])
def test_codes_that_look_the_same_are_one_infant(tmp_path: Path, other: str) -> None:
    rows = [row("a.jpg", 1, 0.9, infant="é1"), row("b.jpg", 0, 0.1, infant=other)]
    path = write_table(tmp_path / "t.csv", rows)
    assert {case.infant for case in read_cases(path).cases} == {"é1"}
    assert {listed.infant for listed in read_table(path).rows} == {"é1"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("p1", "P1"),
        ("01", "1"),
        ("P007", "p7"),
        ("a-01", "A-1"),
        ("1", "1.0"),
        ("P-1", "P\u20131"),
        ("p\u22121", "P\u20101"),
        ("p1", "\uff50\uff11"),
        ("P1", "\u04201"),
        ("P1", "\u03a11"),
        ("7", "\u0667"),
        ("p_1", "p-1"),
        ("P001", "P-001"),
        ("p 1", "p  1"),
        ("#1", "1"),
        ("1,0", "1"),
    ],
)
def test_codes_apart_by_capitals_zeros_or_dashes_are_said_and_found_in_another_table(
    tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], one: str, other: str
) -> None:
    rows = [row("a.jpg", 1, 0.9, infant=one), row("b.jpg", 0, 0.1, infant=other), row("c.jpg", 0, 0.1, infant="x9")]
    table = write_table(tmp_path / "t.csv", rows)
    theirs = [row("d.jpg", 1, 0.9, infant=other), row("e.jpg", 0, 0.1, infant="x10")]
    choose = write_table(tmp_path / "choose.csv", theirs)
    readings = write_readings(tmp_path / "r.jsonl", rows, bundle)
    chosen = write_readings(tmp_path / "c.jsonl", theirs, bundle)
    call = ["evaluate", str(bundle.path), "--data", str(table), "--readings", str(readings), "--draws", "100"]
    call += ["--choose-on", str(choose), "--choose-readings", str(chosen), "--out", str(tmp_path / "out")]
    assert main(call) == 0
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    printed = capsys.readouterr().out
    assert found["overlaps"][0]["infants"] == sorted([f"{one} (there {other})", other])
    assert found["data"]["infants"] == 3
    for words in (
        f"2 codes of infants differ by capitals, signs, scripts, leading zeros or .0 alone ({one} and {other})",
        "1 by other cap",
    ):
        assert any(words in warning for warning in found["warnings"])
        assert words in printed


@pytest.mark.parametrize(("one", "other"), [("1-12", "11-2"), ("1-12", "112"), ("a-b", "ab"), ("p1", "p10")])
def test_codes_that_signs_part_are_two(one: str, other: str) -> None:
    assert alike(one) != alike(other)


def test_a_view_taken_again_is_the_same_view_by_other_capitals(tmp_path: Path) -> None:
    rows = [row(f"{n}.jpg", 0, 0.1, infant="i", eye="OD", view=view) for n, view in enumerate(("Nasal", "nasal\u200b"))]
    assert {case.view for case in read_cases(write_table(tmp_path / "t.csv", rows)).cases} == {"nasal"}


def test_unknown_words_of_an_eye_beside_known_ones_are_said(tmp_path: Path) -> None:
    rows = [row("a.jpg", 0, 0.1, infant="i", eye="OD"), row("b.jpg", 0, 0.1, infant="i", eye="Rechts")]
    notes = read_cases(write_table(tmp_path / "t.csv", rows)).notes
    assert any("1 rows name an eye by words that are not known (rechts)" in note for note in notes)
    rows = [row("a.jpg", 0, 0.1, infant="i", eye="links"), row("b.jpg", 0, 0.1, infant="i", eye="Rechts")]
    assert not read_cases(write_table(tmp_path / "u.csv", rows)).notes
    rows += [row("c.jpg", 0, 0.1, infant="j", eye="rechtes")]
    (note,) = read_cases(write_table(tmp_path / "v.csv", rows)).notes
    assert "3 rows name an eye by words that are not known (links, rechts, rechtes) and by 3 of them" in note


def test_an_eye_is_the_same_with_points(tmp_path: Path) -> None:
    rows = [row(f"{n}.jpg", 0, 0.1, infant="i", eye=eye) for n, eye in enumerate(("OD", "O.D.", "r", "R."))]
    table = read_cases(write_table(tmp_path / "t.csv", rows))
    assert {case.eye for case in table.cases} == {"OD"}
    assert not table.notes


@pytest.mark.parametrize("looked_at", [500, 1], ids=["all are looked at", "one, and those that share a hash"])
def test_stored_readings_of_another_picture_than_is_there_are_refused(
    tmp_path: Path,
    bundle: Bundle,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    looked_at: int,
) -> None:
    monkeypatch.setattr("build_engines.evaluate.readings.LOOKED_AT", looked_at)
    rows = []
    for number in range(3):
        save(tmp_path / f"{number}.png", number)
        pixels = read_picture(tmp_path / f"{number}.png", 0).sha256
        rows.append(row(f"{number}.png", number % 2, 0.1, infant=f"i{number}", pixels=pixels))
    table = write_table(tmp_path / "t.csv", rows)
    readings = write_readings(tmp_path / "r.jsonl", rows, bundle)
    call = ["evaluate", str(bundle.path), "--data", str(table), "--readings", str(readings), "--draws", "100"]
    assert main([*call, "--out", str(tmp_path / "out")]) == 0
    write_readings(tmp_path / "r.jsonl", [rows[0], {**rows[1], "pixels": rows[0]["pixels"]}, rows[2]], bundle)
    capsys.readouterr()
    assert main([*call, "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "line 2: 1.png was read with pixels of SHA-256" in said
    assert "the picture that is there has" in said
    assert (tmp_path / "out" / "evaluation.json").is_file(), "what was refused takes no older result"
    assert "evaluation.html is of an earlier run; nothing was written by this one\n" in said
    one_changed = [rows[0], {**rows[1], "pixels": "0" * 64}, rows[2]]  # the like of no other
    write_readings(tmp_path / "r.jsonl", one_changed, bundle)
    assert main([*call, "--out", str(tmp_path / "out")]) == (2 if looked_at > 2 else 0)


def test_training_pictures_that_cannot_be_read_are_named_and_the_others_looked_at(
    tmp_path: Path, bundle: Bundle
) -> None:
    folder = tmp_path / "training"
    save(folder / "a.png", 0)
    (folder / "b.png").write_bytes(b"no picture")
    write_table(folder / "t.csv", [row(name, 0, None) for name in ("a.png", "b.png", "gone.png")])
    for path, names in ((folder, ["b.png"]), (folder / "t.csv", ["b.png", "gone.png"])):
        seen, _ = seen_of(path)
        assert (seen.names, seen.unreadable) == (["a.png"], names)
        said = _not_checked([], Others(None, {"the training frames": seen}, training_named=True))
        count = f"{len(names)} of {len(names) + 1} pictures of the training frames"
        assert said == [f"{count}, which cannot be read ({', '.join(names)})"]


@pytest.mark.parametrize("swapped", [False, True])
def test_pictures_that_were_cut_or_inverted_are_found_among_the_training_and_the_table(
    tmp_path: Path, bundle: Bundle, swapped: bool
) -> None:
    """Either side may hold the whole one. What is left is saved as a camera's JPEG would be."""
    whole, changed = tmp_path / "whole", tmp_path / "changed"
    for folder in (whole, changed):
        folder.mkdir()
    for number in range(6):
        save(whole / f"{number}.png", number)
    inner, lower = retina(1)[24:-24, 32:-32], retina(3)[:-24]
    for name, pixels in (("1", inner), ("3", lower), ("4", 255 - retina(4)), ("7", retina(7)), ("8", retina(8))):
        assert cv2.imwrite(str(changed / f"{name}.jpg"), pixels[..., ::-1])
    ours, theirs = (changed, whole) if swapped else (whole, changed)
    names = sorted(path.name for path in ours.iterdir())
    rows = [row(name, n % 2, 0.1, infant=f"i{n}") for n, name in enumerate(names)]
    for of in rows:
        of["pixels"] = read_picture(ours / of["image"], 0).sha256
    table, readings = write_table(ours / "t.csv", rows), write_readings(tmp_path / "r.jsonl", rows, bundle)
    call = ["evaluate", str(bundle.path), "--data", str(table), "--readings", str(readings), "--draws", "100"]
    assert main([*call, "--training", str(theirs), "--out", str(tmp_path / "out")]) == 0
    result = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    found = {name.split(".")[0] for overlap in result["overlaps"] for name in overlap["by_look"]}
    assert found == {"1", "3", "4"}
    ending = ".png" if swapped else ".jpg"
    copies = [row(f"copy {name}{ending}", 0, 0.1, infant=f"j{name}") for name in ("1", "3", "4")]
    for of in copies:
        (theirs / of["image"].removeprefix("copy ")).rename(ours / of["image"])
        of["pixels"] = read_picture(ours / of["image"], 0).sha256
    write_table(table, [*rows, *copies])
    write_readings(readings, [*rows, *copies], bundle)
    assert main([*call, "--out", str(tmp_path / "within")]) == 0
    held = json.loads((tmp_path / "within" / "evaluation.json").read_text(encoding="utf-8"))["alike"]
    assert (held["pairs"], held["frames"]) == (3, 6)


def test_an_older_result_is_gone_while_a_new_run_reads(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = study(infants=3)
    table = write_table(tmp_path / "t.csv", rows)
    readings = write_readings(tmp_path / "r.jsonl", rows, bundle)
    out = tmp_path / "out"
    call = ["evaluate", str(bundle.path), "--data", str(table), "--out", str(out), "--draws", "100"]
    assert main([*call, "--readings", str(readings)]) == 0
    assert (out / "evaluation.html").is_file()
    for of in rows:
        save(tmp_path / of["image"], 1)

    def killed(*arguments: object, **named: object) -> None:
        (out / "readings.1.jsonl").write_text("")
        raise KeyboardInterrupt

    monkeypatch.setattr("build_engines.evaluate.command.ask", killed)
    assert main(call) == 130
    assert sorted(path.name for path in out.iterdir()) == ["readings.1.jsonl"]
    assert main(call) == 130, "what was left is no stranger's"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_standard_output_is_one_line(tmp_path: Path, bundle: Bundle, options: list[str]) -> None:
    rows = study(infants=3)
    table, readings = write_table(tmp_path / "t.csv", rows), write_readings(tmp_path / "r.jsonl", rows, bundle)
    call = ["evaluate", str(bundle.path), "--data", str(table), "--readings", str(readings), "--draws", "100"]
    assert full([*call, "--out", str(tmp_path / "out"), *options]) == (2, 1)


def test_a_full_standard_output_is_one_line_of_other_commands() -> None:
    assert full(["describe"]) == (2, 1)


def full(call: list[str]) -> tuple[int, int]:
    """The exit code, and how often standard error says so."""
    with open("/dev/full", "w") as stream:
        done = subprocess.run(
            [sys.executable, "-m", "build_engines", *call], stdout=stream, stderr=subprocess.PIPE, text=True,
            cwd=Path(__file__).parents[3], env={**os.environ, "PYTHONUNBUFFERED": ""}, check=False,
        )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.count("cannot write to standard output: No space left on device\n")


def test_what_turns_the_reading_order_is_in_no_page_and_no_card(tmp_path: Path, bundle: Bundle) -> None:
    assert escape("a\u202egpj.exe\u2066") == "a\ufffdgpj.exe\ufffd"
    rows = [row("a\u202eb.jpg", 1, 0.1, infant="i1"), row("c.jpg", 0, 0.1, infant="i2")]
    table, readings = write_table(tmp_path / "t.csv", rows), write_readings(tmp_path / "r.jsonl", rows, bundle)
    call = ["evaluate", str(bundle.path), "--data", str(table), "--readings", str(readings), "--draws", "100"]
    assert main([*call, "--out", str(tmp_path / "out")]) == 0
    for name in ("evaluation.html", "evaluation.md"):
        assert "\u202e" not in (tmp_path / "out" / name).read_text(encoding="utf-8")
    odd = "turned \u202e\u2066 text"
    stated = bundle.manifest.stated.model_copy(update={"preparation": odd, "licence": odd, "limitations": odd})
    changed = {"stated": stated, "intended_use": odd, "name": odd}
    card = hugging_face_card(bundle.manifest.model_copy(update=changed))
    assert not {"\u202e", "\u2066"} & set(card)


@pytest.mark.parametrize("name", [r"te\nst", r"te\rst", r"te\u2028st", r"te\u001bst"])
def test_a_bundles_name_is_one_line(bundle: Bundle, name: str) -> None:
    manifest = bundle.path / "manifest.json"
    text = manifest.read_text(encoding="utf-8")
    assert '"name": "test"' in text
    manifest.write_text(text.replace('"name": "test"', f'"name": "{name}"', 1), encoding="utf-8")
    with pytest.raises(ScreeningError, match="name"):
        open_bundle(bundle.path)
