"""What a table, readings and a bundle may say that is not so: told or refused, never counted as if it were."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from build_engines.__main__ import main
from build_engines.evaluate.cases import read_cases
from build_engines.evaluate.columns import parse_by
from build_engines.evaluate.command import write
from build_engines.evaluate.errors import EvaluationError
from build_engines.evaluate.measure import Asked
from build_engines.evaluate.others import Others
from build_engines.evaluate.overlap import Seen, overlap
from build_engines.evaluate.readings import stored
from build_engines.evaluate.result import Evaluation
from build_engines.evaluate.study import evaluate
from runtime.bundle import Bundle
from tests.build_engines.evaluate.studies import row, study, write_readings, write_table
from tests.pictures import retina

pytestmark = pytest.mark.usefixtures("no_charts")


def evaluated(
    tmp_path: Path,
    bundle: Bundle,
    rows: list[dict[str, Any]],
    change: Callable[[dict[str, Any]], None] = lambda reading: None,
    **asked: Any,
) -> Evaluation:
    """On the stored readings of a study, of which each is changed."""
    table = read_cases(write_table(tmp_path / "table.csv", rows))
    path = write_readings(tmp_path / "readings.jsonl", rows, bundle)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        change(line)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    readers = stored(table, [bundle], [str(path)])
    return evaluate(table, readers, [bundle], Asked(draws=100, **asked), Others(None, {}))


def groups(found: Evaluation, column: str) -> dict[str, int]:
    return {g.value: g.units for g in found.readers[0].groups if (g.column, g.level) == (column, "frame")}


def test_the_tables_hash_of_a_picture_holds_where_its_path_fits_too(tmp_path: Path, bundle: Bundle) -> None:
    rows = [row(f"{n}.jpg", n % 2, 0.2 + 0.6 * (n % 2), sha256=f"{n:064X}") for n in range(4)]
    assert evaluated(tmp_path, bundle, rows).data.frames == 4
    rows[2]["sha256"] = f"{3:064x}"
    with pytest.raises(EvaluationError, match=r"line 3: 2.jpg was read with pixels of SHA-256 0000"):
        evaluated(tmp_path, bundle, rows)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"late": True}, "of a frame that was late"),
        ({"late": "yes"}, "of a frame that was late"),
        ({"quality": {"gradable": False, "reasons": ["blurred"]}}, "of a frame that is not gradable"),
        ({"quality": {"gradable": "false"}}, "of a frame that is not gradable"),
        ({"quality": [1]}, "not a reading"),
        (
            {"bundle": {"name": "Better", "version": "3"}},
            "says it is by Better 3, the bundle of that SHA-256 is test 3",
        ),
        ({"bundle": {"name": "test", "version": "9"}}, "says it is by test 9"),
        ({"engine": {"backend": "openvino", "precision": "fp32, approved", "device": "CPU"}}, "precision is 'fp32, "),
    ],
)
def test_readings_that_no_runtime_writes_are_refused(
    tmp_path: Path, bundle: Bundle, changes: dict[str, Any], said: str
) -> None:
    def change(reading: dict[str, Any]) -> None:
        for name, value in changes.items():
            value = {**value, "sha256": bundle.sha256} if name == "bundle" else value
            reading[name] = value

    rows = study(infants=3, silent=0)
    with pytest.raises(EvaluationError, match="line 1: ") as error:
        evaluated(tmp_path, bundle, rows, change)
    assert said in str(error.value)
    silent = [{**of, "score": None} for of in rows]
    if ("quality" in changes or "late" in changes) and changes != {"quality": [1]}:
        assert evaluated(tmp_path, bundle, silent, change).data.frames == len(rows), "without an answer it may be so"


def test_a_precision_that_the_bundle_has_no_graphs_in_is_said(tmp_path: Path, bundle: Bundle) -> None:
    def change(reading: dict[str, Any]) -> None:
        reading["engine"]["precision"] = "int8"

    found = evaluated(tmp_path, bundle, study(infants=3), change)
    assert any("holds no graphs in int8" in words for words in found.warnings)
    assert not any("holds no graphs" in words for words in evaluated(tmp_path, bundle, study(infants=3)).warnings)


def test_ages_and_weights_that_no_infant_has_are_a_part_by_themselves(tmp_path: Path, bundle: Bundle) -> None:
    ages = ("27w6d", "28", "32+0", "-3", "27w9d", "nan", "inf", "250", "unknown", "")
    rows = [
        row(f"{n}.jpg", n % 2, 0.9, infant=f"i{n}", gestational_age=age, birth_weight=weight)
        for n, (age, weight) in enumerate(zip(ages, ("900", "1.2", "-5", "1600", "1e3", *["1000"] * 5), strict=True))
    ]
    found = evaluated(tmp_path, bundle, rows, by={"birth_weight": ()})
    assert groups(found, "gestational_age") == {
        "under 28": 1, "28 to under 32": 1, "32 and over": 1, "no gestational age": 5, "unknown": 1, "not stated": 1
    }  # fmt: skip
    assert groups(found, "birth_weight") == {
        "under 1000": 1, "1000 to under 1500": 5, "1500 and over": 1, "no birth weight": 3
    }  # fmt: skip
    assert any("5 rows state a gestational_age that none is (-3, 27w9d, nan;" in words for words in found.warnings)
    assert any("3 rows state a birth_weight that none is" in words for words in found.warnings)
    known = [of for of in rows if of["gestational_age"] != "unknown"]
    assert groups(evaluated(tmp_path, bundle, known, by={"gestational_age": (30.0,)}), "gestational_age") == {
        "under 30": 2, "30 and over": 1, "no gestational age": 5, "not stated": 1
    }  # fmt: skip


def test_an_infant_in_two_groups_is_said_with_its_code_and_the_column(tmp_path: Path, bundle: Bundle) -> None:
    rows = [
        row(f"{n}.jpg", n % 2, 0.9, infant=f"i{n // 2}", eye="LR"[n % 2], device="Neo", site="A",
            gestational_age="27+3", birth_weight="900", ward="x")
        for n in range(8)
    ]  # fmt: skip
    by = {"ward": (), "eye": ()}
    assert not any("several" in words for words in evaluated(tmp_path, bundle, rows, by=by).warnings)
    rows[1]["gestational_age"], rows[3]["gestational_age"] = "72", "27w3d"
    rows[3]["device"], rows[5]["site"], rows[7]["birth_weight"], rows[7]["ward"] = "RetCam", "", "901", "y"
    said = [words for words in evaluated(tmp_path, bundle, rows, by=by).warnings if "several" in words]
    assert said == [
        "1 infant in several parts of device (i1: Neo and RetCam): each counts them; mend the table where it errs.",
        "1 infant in several parts of site (i2: A and not stated): each counts them; mend the table where it errs.",
        "1 infant with several values in gestational_age (i0: 27+3 and 72), where an infant has one: mend the table.",
        "1 infant in several parts of ward (i3: x and y): each counts them; mend the table where it errs.",
        "1 infant with several values in birth_weight (i3: 900 and 901), where an infant has one: mend the table.",
    ]
    for of in rows:
        of["gestational_age"] = f"{24 + int(of['image'][0])}.5"
    (words,) = [w for w in evaluated(tmp_path, bundle, rows).warnings if "gestational_age" in w]
    assert words.startswith("4 infants with several values in gestational_age (i0: 24.5 and 25.5; i1: ")


def test_of_one_infant_no_area_is_stated(tmp_path: Path, bundle: Bundle) -> None:
    rows = [row(f"{n}.jpg", int(n > 4), 0.1 * n, infant="one") for n in range(1, 9)]
    found = evaluated(tmp_path, bundle, rows)
    assert {level.roc.area for level in found.readers[0].levels} == {None}
    assert {level.roc.area_against for level in found.readers[0].levels} == {None}
    assert any("All frames are of one infant" in words for words in found.warnings)
    two = [{**of, "infant": of["image"][0] > "4"} for of in rows]
    assert evaluated(tmp_path, bundle, two).readers[0].levels[0].roc.area is not None


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (["refer"], "is the truth itself"),
        (["image"], "is another one in each row"),
        (["bw:1500,1000"], "cuts that do not rise"),
        (["bw:1000,1000"], "cuts that do not rise"),
        (["bw:1000", "bw:2000"], "asked for twice"),
    ],
)
def test_what_parts_nothing_is_refused(by: list[str], said: str) -> None:
    with pytest.raises(EvaluationError, match=said):
        parse_by(by)
    assert parse_by(["bw:-2.5,1000,1500", "site"]) == {"bw": (-2.5, 1000.0, 1500.0), "site": ()}


@pytest.mark.parametrize("column", ["Patient_ID", "infant code", "MRN", "baby", "ID"])
def test_a_column_that_may_tell_infants_apart_is_not_passed_over_in_silence(
    tmp_path: Path, bundle: Bundle, column: str
) -> None:
    rows = [row(f"{n}.jpg", n % 2, 0.9, **{column: f"p{n // 2}"}) for n in range(6)]
    said = f"Column {column} may tell infants apart and is not used"
    assert any(said in words for words in evaluated(tmp_path, bundle, rows).warnings)
    rows = [{**one, "infant": one[column]} for one in rows]
    assert not any("may tell infants" in words for words in evaluated(tmp_path, bundle, rows).warnings)


@pytest.mark.parametrize("other", ["patient", "subject"])
def test_two_columns_for_infants_are_said_or_refused(tmp_path: Path, bundle: Bundle, other: str) -> None:
    rows = [row(f"{n}.jpg", n % 2, 0.9, **{"infant": f"i{n // 2}", other: f"p{n // 2}"}) for n in range(6)]
    assert any(
        f"column {other} holds other codes, not used" in words for words in evaluated(tmp_path, bundle, rows).warnings
    )
    same = [{**of, other: of["infant"]} for of in rows]
    assert not any("other codes" in words for words in evaluated(tmp_path, bundle, same).warnings)
    for change in ({other: "p0"}, {other: "p9"}):
        with pytest.raises(EvaluationError, match=f"columns infant and {other} part the infants otherwise"):
            evaluated(tmp_path, bundle, [*rows[:5], {**rows[5], **change}])


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_training_pictures_mirrored_or_turned_are_found(turns: int, mirrored: bool) -> None:
    ours, theirs = Seen(), Seen()
    for number in range(8):
        ours.add(f"{number}.png", retina(number))
    for number in (2, 5):
        pixels = retina(number)[:, ::-1] if mirrored else retina(number)
        theirs.add(str(number), np.ascontiguousarray(np.rot90(pixels, turns)))
    found = overlap(ours, theirs, "the training frames")
    assert {*found.by_hash, *found.by_look} == {"2.png", "5.png"}


def test_half_a_character_in_a_name_keeps_nothing_from_being_written(tmp_path: Path, bundle: Bundle) -> None:
    import dataclasses

    found = evaluated(tmp_path, bundle, study(infants=3))
    reader = dataclasses.replace(
        found.readers[0], reader="half \ud800", bundle={**found.readers[0].bundle, "name": "\ud800"}
    )
    out = tmp_path / "out"
    out.mkdir()
    write(dataclasses.replace(found, readers=(reader,), machine="\udcff"), out)
    assert json.loads((out / "evaluation.json").read_text())["readers"][0]["bundle"]["name"] == "\ud800"
    assert "half" in (out / "evaluation.html").read_text()


def test_a_bundle_whose_name_is_half_a_character_is_evaluated_or_refused_in_a_line(
    tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = bundle.path / "manifest.json"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace('"name": "test"', r'"name": "te\ud800st"', 1), encoding="utf-8")
    assert manifest.read_text() != text
    rows = study(infants=3)
    table, out = write_table(tmp_path / "t.csv", rows), tmp_path / "out"
    readings = write_readings(tmp_path / "r.jsonl", rows, bundle)
    code = main(["evaluate", str(bundle.path), "--data", str(table), "--readings", str(readings), "--out", str(out)])
    said = capsys.readouterr()
    assert code == 2
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
