"""`python -m build_engines evaluate` from the call to what it writes, on stored readings and on tiny networks."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from build_engines.__main__ import main
from runtime.bundle import Bundle
from runtime.shares import wilson
from runtime.sinks.files import own_folder
from tests.build_engines.evaluate.studies import row, study, write_readings, write_table
from tests.pictures import retina


@pytest.fixture(autouse=True)
def _charts_once(request: pytest.FixtureRequest) -> None:
    """Charts take most of the time; one test draws them."""
    if request.function is not test_html_and_markdown_show_what_a_table_says_as_text:
        request.getfixturevalue("no_charts")


def evaluated(tmp_path: Path, bundle: Bundle, rows: list[dict[str, Any]], *words: str) -> dict[str, Any]:
    """The JSON of an evaluation on the stored readings of a study."""
    table = write_table(tmp_path / "data" / "table.csv", rows)
    readings = write_readings(tmp_path / "readings.jsonl", rows, bundle)
    out = tmp_path / "out"
    call = ["evaluate", str(bundle.path), "--data", str(table), "--readings", str(readings), "--out", str(out)]
    assert main([*call, "--draws", "100", *words]) == 0
    found: dict[str, Any] = json.loads((out / "evaluation.json").read_text(encoding="utf-8"))
    return found


def test_a_table_without_infants_states_none(tmp_path: Path, bundle: Bundle) -> None:
    rows = [row(f"{n}.jpg", n % 2, 0.2 + 0.6 * (n % 2), device="neo") for n in range(8)]
    found = evaluated(tmp_path, bundle, rows)
    assert found["data"]["infants"] is None
    reader = found["readers"][0]
    parts = [*reader["groups"], *(level["whole"] for level in reader["levels"])]
    assert {part["infants"] for part in parts} == {None}


def test_a_column_that_is_not_there_is_said_before_anything_is_read(
    tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    table = write_table(tmp_path / "table.csv", [row("gone.jpg", 1, 0.9), row("away.jpg", 0, 0.1)])
    call = ["evaluate", str(bundle.path), "--data", str(table), "--out", str(tmp_path / "out"), "--by", "nosuch"]
    assert main(call) == 2
    assert "--by nosuch: no such column; the table has " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    table = write_table(
        tmp_path / "table.csv", [row("gone.jpg", 1, 0.9, bw="900"), row("away.jpg", 0, 0.1, bw="heavy")]
    )
    assert main([*call[:-1], "bw:1000"]) == 2
    assert "--by bw: got 'heavy' in the table; expected numbers where cuts are named" in capsys.readouterr().err


def level(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = [level for level in found["readers"][0]["levels"] if level["level"] == name]
    return dict(one)


def test_every_unit_is_in_the_flow_and_no_answer_counts_against(tmp_path: Path, bundle: Bundle) -> None:
    rows = study(silent=0.2)
    found = evaluated(tmp_path, bundle, rows)
    for name, count in (("frame", 120), ("eye", 60), ("infant", 30)):
        flow = level(found, name)["whole"]["flow"]
        assert sum(flow["positives"].values()) + sum(flow["negatives"].values()) == count
    frames = level(found, "frame")["whole"]
    ill, silent = [of for of in rows if of["refer"]], [of for of in rows if of["refer"] and of["score"] is None]
    referred = [of for of in ill if (of["score"] or 0) >= 0.5]
    assert silent
    sensitivity, answered = frames["deployed"]["sensitivity"], frames["deployed"]["sensitivity_answered"]
    assert (sensitivity["count"], sensitivity["of"]) == (len(referred), len(ill))
    assert (answered["count"], answered["of"]) == (len(referred), len(ill) - len(silent))
    assert frames["flow"]["positives"]["RETAKE"] == len(silent)
    roc = level(found, "frame")["roc"]
    assert roc["area_against"][0] < roc["area"][0]


def test_an_eye_is_its_worst_view_and_an_infant_the_worst_eye(tmp_path: Path, bundle: Bundle) -> None:
    rows = [
        row("a/1.jpg", 1, 0.9, infant="a", eye="right", view="nasal"),
        row("a/2.jpg", 1, 0.1, infant="a", eye="right", view="temporal"),
        row("a/3.jpg", 1, None, infant="a", eye="left", view="nasal"),
        row("a/4.jpg", 1, 0.2, infant="a", eye="left", view="nasal"),  # taken again: this one counts
        row("b/1.jpg", 0, 0.1, infant="b", eye="right", view="nasal"),
        row("b/2.jpg", 0, None, infant="b", eye="left", view="nasal"),
        row("c/1.jpg", 0, 0.1, infant="c", eye="right", view="nasal"),
        row("c/2.jpg", 0, 0.3, infant="c", eye="left", view="nasal"),
    ]
    found = evaluated(tmp_path, bundle, rows)
    eyes, infants = (level(found, name)["whole"]["flow"] for name in ("eye", "infant"))
    assert {key: count for key, count in eyes["positives"].items() if count} == {"REFER": 1, "NO_REFERRAL_FINDINGS": 1}
    assert {key: count for key, count in infants["positives"].items() if count} == {"REFER": 1}
    assert {key: n for key, n in infants["negatives"].items() if n} == {"RETAKE": 1, "NO_REFERRAL_FINDINGS": 1}


def right_at(rows: list[dict[str, Any]], threshold: float, unit: tuple[str, ...]) -> dict[int, tuple[int, int]]:
    """By truth how many units are right and how many there are, each frame decided anew at a threshold."""
    views: dict[tuple[str, ...], dict[tuple[str, str], str]] = {}
    truth: dict[tuple[str, ...], int] = {}
    for of in rows:
        key, view = tuple(of[name] for name in unit), (of["eye"], of["view"])
        truth[key] = max(truth.get(key, 0), of["refer"])
        said = "RETAKE" if of["score"] is None else "REFER" if of["score"] >= threshold else "NO"
        if views.setdefault(key, {}).get(view) != "REFER":
            views[key][view] = said
    worst = {key: next(word for word in ("REFER", "RETAKE", "NO") if word in of.values()) for key, of in views.items()}
    return {
        of: (sum(worst[key] == ("NO", "REFER")[of] for key in keys), len(keys))
        for of in (0, 1)
        if (keys := [key for key, is_ill in truth.items() if is_ill == of])
    }


@pytest.mark.parametrize("seed", range(3))
def test_at_another_threshold_eyes_and_infants_are_what_the_cart_would_say_there(
    tmp_path: Path, bundle: Bundle, seed: int
) -> None:
    rows = study(seed=seed, silent=0.15)
    again = [{**of, "image": f"again/{of['image']}", "score": None} for of in rows[seed::7]]  # views taken twice
    found = evaluated(tmp_path, bundle, [*rows, *again], "--specificity", "0.3,0.6", "--sensitivity", "0.5,0.8")
    for name, unit in (("eye", ("infant", "eye")), ("infant", ("infant",))):
        reached = [point for point in level(found, name)["points"] if point["threshold"] is not None]
        assert reached
        for point in reached:
            wanted = right_at([*rows, *again], point["threshold"], unit)
            got = {of: point["accuracy"][part] for of, part in ((1, "sensitivity"), (0, "specificity"))}
            assert {of: (share["count"], share["of"]) for of, share in got.items()} == wanted


def test_identical_readers_flip_nothing_and_planted_flips_are_all_found(tmp_path: Path, bundle: Bundle) -> None:
    rows = study()
    answered = [number for number, of in enumerate(rows) if of["score"] is not None]
    high = [n for n in answered if rows[n]["score"] >= 0.5]
    low = [n for n in answered if rows[n]["score"] < 0.5]
    planted = dict.fromkeys(high[:7], 0.01) | dict.fromkeys(low[:4], 0.99) | {low[5]: None}
    changed = [{**of, "score": planted.get(number, of["score"])} for number, of in enumerate(rows)]
    same = write_readings(tmp_path / "same.jsonl", rows, bundle, "fp16")
    other = write_readings(tmp_path / "other.jsonl", changed, bundle, "int8")
    found = evaluated(tmp_path, bundle, rows, "--readings", str(same), "--readings", str(other))
    assert [reader["reader"] for reader in found["readers"]] == ["test 3, fp32", "test 3, fp16", "test 3, int8"]
    alike, apart, _ = found["comparisons"]
    assert alike["flips"] == []
    assert all(pairing["p"] == 1 and pairing["flips"] == {} for pairing in alike["levels"])
    assert {flip["image"] for flip in apart["flips"]} == {rows[number]["image"] for number in planted}
    assert apart["levels"][0]["flips"] == {"lost REFER": 7, "gained REFER": 4, "answer lost": 1}
    kinds = [flip["kind"] for flip in apart["flips"]]
    assert kinds == ["lost REFER"] * 7 + ["answer lost"] + ["gained REFER"] * 4
    lost = [flip["refer"] for flip in apart["flips"][:7]]
    assert lost == sorted(lost, reverse=True), "lost REFERs of the ill come first"


def test_five_differing_pairs_are_said_to_decide_nothing(tmp_path: Path, bundle: Bundle) -> None:
    rows = study(silent=0)
    ill = [n for n, of in enumerate(rows) if of["refer"] and of["score"] >= 0.5][:5]
    changed = [{**of, "score": 0.1 if number in ill else of["score"]} for number, of in enumerate(rows)]
    other = write_readings(tmp_path / "other.jsonl", changed, bundle, "int8")
    found = evaluated(tmp_path, bundle, rows, "--readings", str(other))
    (pair,) = found["comparisons"]
    assert pair["levels"][0]["verdict"] == (
        "undecided: 5 differing pairs of 2 infants that fall one way cannot decide whichever way they fall; "
        "6 infants that differ can at the least"
    )


def test_groups_are_by_camera_age_and_any_column_and_miss_nobody(tmp_path: Path, bundle: Bundle) -> None:
    rows = study()
    for number, of in enumerate(rows):
        of["grams"] = "" if number % 10 == 0 else 700 + 10 * number
    found = evaluated(tmp_path, bundle, rows, "--by", "grams:1000,1500")
    groups = [group for group in found["readers"][0]["groups"] if group["level"] == "frame"]
    by = {
        column: {group["value"]: group["units"] for group in groups if group["column"] == column}
        for column in ("device", "gestational_age", "grams")
    }
    assert by["device"] == {"Neo": 60, "RetCam": 60}
    assert list(by["gestational_age"]) == ["under 28", "28 to under 32", "32 and over"]
    assert list(by["grams"]) == ["under 1000", "1000 to under 1500", "1500 and over", "not stated"]
    assert all(sum(values.values()) == 120 for values in by.values())


def test_ages_in_weeks_and_days_are_cut_as_numbers_and_the_unknown_stand_beside(tmp_path: Path, bundle: Bundle) -> None:
    ages = ("27w6d", "27+6", "28w", "28", "31.9", "32w0d", "unknown", "")
    rows = [row(f"{n}.jpg", n % 2, 0.9, infant=f"i{n}", gestational_age=age) for n, age in enumerate(ages)]
    found = evaluated(tmp_path, bundle, rows)["readers"][0]["groups"]
    by = {group["value"]: group["units"] for group in found if group["level"] == "frame"}
    assert list(by.items()) == [
        ("under 28", 2),
        ("28 to under 32", 3),
        ("32 and over", 1),
        ("unknown", 1),
        ("not stated", 1),
    ]


def test_a_threshold_is_chosen_on_one_set_and_tested_on_the_other(tmp_path: Path, bundle: Bundle) -> None:
    first = study(seed=5, silent=0)
    for of in first:
        of["infant"], of["image"] = f"other-{of['infant']}", f"other/{of['image']}"
    table = write_table(tmp_path / "other" / "choose.csv", first)
    readings = write_readings(tmp_path / "choose.jsonl", first, bundle)
    words = ["--choose-on", str(table), "--choose-readings", str(readings), "--specificity", "0.9"]
    found = evaluated(tmp_path, bundle, study(seed=6, silent=0), *words)
    (point,) = [p for p in level(found, "frame")["points"] if p["name"] == "specificity 0.9 elsewhere"]
    healthy = sorted(of["score"] for of in first if not of["refer"])
    assert np.mean(np.array(healthy) < point["threshold"]) >= 0.9
    assert np.mean(np.array(healthy) < healthy[int(0.9 * len(healthy)) - 1]) < 0.9
    tested = [of["score"] for of in study(seed=6, silent=0) if not of["refer"]]
    assert point["accuracy"]["specificity"]["count"] == sum(score < point["threshold"] for score in tested)
    assert not any(each["infants"] or each["same_file"] for each in found["overlaps"])


def test_the_same_set_for_both_is_flagged(tmp_path: Path, bundle: Bundle) -> None:
    rows = study()
    table = write_table(tmp_path / "data" / "copy.csv", rows)
    readings = write_readings(tmp_path / "copy.jsonl", rows, bundle)
    found = evaluated(tmp_path, bundle, rows, "--choose-on", str(table), "--choose-readings", str(readings))
    (each,) = found["overlaps"]
    assert (each["same_file"], len(each["infants"])) == (True, 30)
    assert "same file" in found["warnings"][0]
    there = [p["chosen_on"] for p in level(found, "frame")["points"] if p["name"].endswith("elsewhere")]
    assert there
    assert all(words.endswith("of these same units, so it flatters") for words in there)


@pytest.mark.parametrize(
    ("text", "infants", "devices"),
    [
        ("\ufeffimage,refer,infant,device\na.jpg,1,i,Neo\nb.jpg,0,j,Neo\n", 2, ["Neo"]),
        ('\ufeff"\ufeffimage",refer,infant,device\na.jpg,1,i,Neo\nb.jpg,0,j,Neo\n', 2, ["Neo"]),
        ("Image, REFER , Patient,Device\r\na.jpg,1,i,Neo\r\nb.jpg,no,j,Neo\r\n", 2, ["Neo"]),
        ("image,refer,infant,device\na.jpg,1.0,1.0,Neo\nb.jpg,0.0,2.0,Neo\nc.jpg,,3.0,Neo\n", 2, ["Neo"]),
        ('image,refer,subject,device,,\n"a.jpg",1,"i\nj",Neo,,\n\nb.jpg,0,k\n', 2, ["Neo", "not stated"]),
    ],
    ids=[
        "mark of UTF-8",
        "two of them",
        "spaces, capitals and CRLF",
        "whole numbers of columns with gaps",
        "a field of two lines, empty columns, a short line",
    ],
)
def test_tables_as_programs_write_them_are_read(
    tmp_path: Path, bundle: Bundle, text: str, infants: int, devices: list[str]
) -> None:
    rows = [row("a.jpg", 1, 0.9), row("b.jpg", 0, 0.2)]
    (tmp_path / "table.csv").write_bytes(text.encode())
    call = ["evaluate", str(bundle.path), "--data", str(tmp_path / "table.csv"), "--out", str(tmp_path / "out")]
    assert main([*call, "--readings", str(write_readings(tmp_path / "r.jsonl", rows, bundle)), "--draws", "100"]) == 0
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert found["data"]["infants"] == infants
    assert [one["value"] for one in found["readers"][0]["groups"] if one["level"] == "frame"] == devices


def test_predictive_values_are_at_the_stated_prevalence(tmp_path: Path, bundle: Bundle) -> None:
    found = evaluated(tmp_path, bundle, study(), "--prevalence", "0.05")
    deployed = level(found, "infant")["points"][0]
    stated, own = deployed["predictive"]
    hit, clear = (deployed["accuracy"][name]["value"] for name in ("sensitivity", "specificity"))
    assert stated["stated"]
    assert not own["stated"]
    assert stated["positive"][0] == pytest.approx(0.05 * hit / (0.05 * hit + 0.95 * (1 - clear)))


def test_without_infants_frames_are_independent_and_it_says_so(tmp_path: Path, bundle: Bundle) -> None:
    rows = [row(f"{n}.jpg", n % 2, 0.9 if n % 4 else 0.1) for n in range(40)]
    found = evaluated(tmp_path, bundle, rows)
    assert [one["level"] for one in found["readers"][0]["levels"]] == ["frame"]
    share = level(found, "frame")["whole"]["deployed"]["sensitivity"]
    assert (share["low"], share["high"]) == wilson(share["value"], share["of"])
    assert any("does not tell infants apart" in words for words in found["warnings"])


def test_one_picture_twice_with_other_words_of_it_is_said(tmp_path: Path, bundle: Bundle) -> None:
    rows = [row(f"{n}.jpg", n % 2, 0.9 if n % 4 else 0.1, infant=f"i{n}", eye="OD") for n in range(10)]
    rows += [
        row("a.jpg", 0, 0.9, infant="i1", eye="right", pixels=f"{1:064x}"),  # the same eye, by another word
        row("b.jpg", 0, 0.1, infant="i2", eye="L", pixels=f"{2:064x}"),
        row("c.jpg", 1, 0.9, infant="i3", eye="od", pixels=f"{3:064x}"),
    ]
    warnings = evaluated(tmp_path, bundle, rows)["warnings"]
    assert any("1 pictures stand in the table with the other truth" in words and "a.jpg" in words for words in warnings)
    assert any("1 pictures stand in the table as another infant's" in words and "b.jpg" in words for words in warnings)
    assert "3 pictures are in the table twice under other names; each counts." in warnings


def test_eyes_are_known_by_any_of_their_words(tmp_path: Path, bundle: Bundle) -> None:
    words = ("OD", "right", "R", "re", "Right eye", "left", "OS", "le")
    rows = [row(f"{n}.jpg", 0, 0.1, infant="i", eye=word) for n, word in enumerate(words)]
    assert evaluated(tmp_path, bundle, rows)["data"]["eyes"] == 2


def test_html_and_markdown_show_what_a_table_says_as_text(tmp_path: Path, bundle: Bundle) -> None:
    rows = study()
    rows[1] = {**rows[1], "image": "<script>|x.jpg", "score": 0.99, "refer": 0}
    evaluated(tmp_path, bundle, rows)
    page = (tmp_path / "out" / "evaluation.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;|x.jpg" in page
    assert (tmp_path / "out" / "charts" / "1.svg").stat().st_size > 1000
    assert "NO_RESULT count against" in (tmp_path / "out" / "evaluation.md").read_text(encoding="utf-8").replace(
        "\\", ""
    )


SPOILT = [
    ("", "got no rows"),
    ("image,refer\n", "got no rows"),
    ("image\na.jpg\n", "expected image and refer"),
    ("image;refer\na.jpg;1\n", "expected commas between columns"),
    (f"image,refer,{','.join(map(str, range(200_000)))}\na.jpg,1\n", "names 200,002 columns, expected 10,000 at most"),
    ("image,refer, Refer\na.jpg,1,0\n", "named twice"),
    ("image,refer\na.jpg,maybe\n", "line 2: refer is 'maybe'"),
    ("image,refer\na.jpg,1\na.jpg,0\n", "line 3: a.jpg stands in line 2 already"),
    ("image,refer\n../a.jpg,1\n", "expected a path below"),
    ("image,refer\n/a.jpg,1\n", "expected a path below"),
    ("image,refer\n,1\n", "expected a path below"),
    ("image,refer\na\0.jpg,1\n", "expected a path below" if sys.version_info >= (3, 11) else "NUL"),
    ("image,refer,infant\na.jpg,1,\n", "infant is empty"),
    ("image,refer\na.jpg,\n", "no row states refer"),
    ("image,refer\na.jpg,1,2\n", "line 2 has 3 fields, the first line 2"),
    ("image,refer,refer\na.jpg,1,0\n", "named twice"),
    ("image,refer,infant,eye\na.jpg,1,i,L\nb.jpg,1,i,R\nc.jpg,1,i,other\n", "infant i has 3 eyes"),
    ("image,refer\nnowhere.jpg,1\n", "1 of 1 pictures are not there (nowhere.jpg)"),
]


@pytest.mark.parametrize(("text", "said"), SPOILT, ids=[said for _, said in SPOILT])
def test_a_table_that_cannot_be_used_is_one_line(
    tmp_path: Path, bundle: Bundle, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table.csv"
    table.write_text(text, encoding="utf-8")
    assert main(["evaluate", str(bundle.path), "--data", str(table), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_readings_that_leave_a_frame_out_or_are_by_another_bundle_are_refused(
    tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = study()
    table = write_table(tmp_path / "table.csv", rows)
    short = write_readings(tmp_path / "short.jsonl", rows[1:], bundle)
    twice = write_readings(tmp_path / "twice.jsonl", [rows[0], *rows], bundle)
    call = ["evaluate", str(bundle.path), "--data", str(table), "--out", str(tmp_path / "out"), "--readings"]
    other = tmp_path / "other.jsonl"
    other.write_text(short.read_text(encoding="utf-8").replace(bundle.sha256, "0" * 64), encoding="utf-8")
    for path, said in (
        (short, f"1 of {len(rows)} pictures"),
        (other, "which was not named"),
        (twice, "a second reading"),
    ):
        assert main([*call, str(path)]) == 2
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text.replace('"ridge": ', '"ridge": NaN, "x": ', 1), "line 1: not JSON"),
        (lambda text: text.replace('"ridge": ', '"ridge": "0.5", "x": ', 1), "without a probability of ridge"),
        (
            lambda text: text.replace('"ridge": ', '"ridge": 1.5, "x": ', 1),
            "line 1: not a reading (",
        ),
        (lambda text: text.replace('"ridge": ', '"ridge": false, "x": ', 1), "without a probability of ridge"),
        (lambda text: text.replace('"ridge": ', '"ridge": -0.1, "x": ', 1), "without a probability of ridge"),
        (
            lambda text: text.replace('"probabilities": {', '"probabilities": {"y": 0.9, ', 1),
            "without a probability of",
        ),
        (lambda text: text.replace('"ridge"', '"other"', 1), "without a probability of ridge"),
        (lambda text: text.replace("NO_REFERRAL_FINDINGS", "REFER", 1), "read under another threshold, as by a site's"),
        (
            lambda text: text.replace('"REFER"', '"NO_REFERRAL_FINDINGS"', 1),
            "the bundle refers at 0.5; it was read under",
        ),
        (
            lambda text: re.sub(r'"probabilities": {[^}]*}', '"probabilities": null', text, count=1),
            "without a probability",
        ),
        (lambda text: text.replace("rop.reading/1", "rop.reading/0"), "line 1: not a reading; expected rop.reading/1"),
        (lambda text: text[: len(text) // 2], "is it whole?"),
        (lambda text: "", "no reading is of a picture"),
        (lambda text: text.replace('"REFER"', '"MAYBE"', 1), "'MAYBE' is not a valid Outcome"),
    ],
    ids=[
        "NaN",
        "text",
        "over 1",
        "false",
        "negative",
        "too much",
        "no class",
        "laxer",
        "stricter",
        "null",
        "older",
        "cut",
        "empty",
        "unknown",
    ],
)
def test_spoilt_readings_are_one_line_that_says_where(
    tmp_path: Path, bundle: Bundle, spoil: Callable[[str], str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = study(infants=4, silent=0)
    readings = write_readings(tmp_path / "r.jsonl", rows, bundle)
    readings.write_text(spoil(readings.read_text(encoding="utf-8")), encoding="utf-8")
    call = ["evaluate", str(bundle.path), "--data", str(write_table(tmp_path / "t.csv", rows))]
    assert main([*call, "--out", str(tmp_path / "out"), "--readings", str(readings)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_what_is_written_of_infants_is_private_and_of_one_run_at_a_time(
    tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, out = study(infants=4, silent=0), tmp_path / "out"
    call = ["evaluate", str(bundle.path), "--data", str(write_table(tmp_path / "t.csv", rows)), "--out", str(out)]
    call += ["--readings", str(write_readings(tmp_path / "r.jsonl", rows, bundle))]
    with own_folder(out):
        assert main(call) == 2
    assert "another run writes its results there" in capsys.readouterr().err
    out.chmod(0o755)
    assert main(call) == 0
    open_ones = [path.name for path in out.iterdir() if path.stat().st_mode & 0o077]
    assert open_ones == []


def test_a_bundle_that_reads_nothing_and_tables_of_one_class_have_figures(tmp_path: Path, bundle: Bundle) -> None:
    rows = study(infants=6, silent=0)
    nothing = level(evaluated(tmp_path / "a", bundle, [{**of, "score": None} for of in rows]), "frame")
    assert [nothing["whole"]["deployed"][name]["value"] for name in ("sensitivity", "specificity")] == [0, 0]
    assert nothing["whole"]["flow"]["no_answer"]["count"] == len(rows)
    assert nothing["roc"]["area"] is None
    for truth in (0, 1):
        some = [of for of in rows if of["refer"] == truth]
        found = evaluated(tmp_path / str(truth), bundle, some)
        assert any("of one class" in words for words in found["warnings"])
        assert level(found, "frame")["whole"]["deployed"]["specificity" if truth else "sensitivity"]["value"] is None


def test_readings_of_two_folders_with_equal_names_are_told_apart(tmp_path: Path, bundle: Bundle) -> None:
    rows = [row(f"p{n}/001.jpg", n, 0.9 if n else 0.2, infant=n) for n in (0, 1)]
    names = [{**of, "image": "001.jpg"} for of in rows]
    files = [write_readings(tmp_path / f"{n}.jsonl", [names[n]], bundle) for n in (0, 1)]
    table = write_table(tmp_path / "table.csv", rows)
    call = ["evaluate", str(bundle.path), "--data", str(table), "--out", str(tmp_path / "out"), "--draws", "100"]
    assert main([*call, "--readings", f"p0={files[0]}", "--readings", f"p1={files[1]}"]) == 0
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert found["readers"][0]["failures"] == []


def test_tiny_networks_are_asked_and_overlap_is_found_by_hash_and_look(
    tmp_path: Path, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures of equal names in two folders; two of six were trained on, one of them saved anew."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = []
    for number in range(6):
        image = f"p{number % 2}/{number // 2}.png"
        path = tmp_path / "data" / image
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = retina(number) if number < 5 else np.zeros((240, 320, 3), np.uint8)
        assert cv2.imwrite(str(path), picture[..., ::-1])
        rows.append(row(image, number % 2, None, infant=number))
    seen = tmp_path / "seen"
    (seen / "of" / "one").mkdir(parents=True)
    assert cv2.imwrite(str(seen / "same.png"), retina(0)[..., ::-1])
    assert cv2.imwrite(str(seen / "of" / "one" / "near.jpg"), retina(3)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    write_table(seen / "table.csv", [row("same.png", 0, None, infant=5), row("of/one/near.jpg", 0, None, infant=9)])
    table = write_table(tmp_path / "data" / "table.csv", rows)
    call = ["evaluate", str(bundle.path), str(bundle.path), "--data", str(table), "--out", str(tmp_path / "out")]
    assert main([*call, "--training", str(seen), "--training", str(seen / "table.csv"), "--draws", "100"]) == 0
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert [each["by_hash"] for each in found["overlaps"]] == [["p0/0.png"]] * 2
    assert [each["by_look"] for each in found["overlaps"]] == [["p1/1.png"]] * 2
    assert [each["infants"] for each in found["overlaps"]] == [[], ["5"]], "a table tells infants, a folder does not"
    assert "2 of 6 frames are among the training frames" in found["warnings"][0]
    assert any("1 infants stand in both the table and the training frames" in words for words in found["warnings"])
    assert found["comparisons"][0]["flips"] == []
    dark = [failure for failure in found["readers"][0]["failures"] if failure["image"] == "p1/2.png"]
    assert [failure["kind"] for failure in dark] == ["no answer"]
    assert (tmp_path / "out" / dark[0]["picture"]).is_file()
    lines = (tmp_path / "out" / "readings.1.jsonl").read_text().splitlines()
    assert [json.loads(line)["frame"]["source"] for line in lines] == [of["image"] for of in rows]
    again = ["--readings", str(tmp_path / "out" / "readings.1.jsonl"), "--draws", "100"]
    assert main([*call[:2], *call[3:-1], str(tmp_path / "again"), *again]) == 0
    stored = json.loads((tmp_path / "again" / "evaluation.json").read_text())
    assert stored["readers"][0]["levels"] == found["readers"][0]["levels"]


def test_every_frame_of_the_calibration_set_is_found(tmp_path: Path, bundle: Bundle) -> None:
    from build_engines.evaluate.overlap import Seen, overlap
    from runtime.preprocess import network_input

    ours, theirs = Seen(), Seen()
    for number in range(24):
        ours.add(f"{number}.png", retina(number))
    for number in range(8, 16):
        theirs.add(str(number), None, network_input(retina(number))[0])
    found = overlap(ours, theirs, "the calibration set")
    assert found.by_hash == tuple(f"{number}.png" for number in range(8, 16))
    assert set(found.by_look).isdisjoint(found.by_hash)
