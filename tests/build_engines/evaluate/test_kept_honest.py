"""Stored readings that contradict themselves, and sets that share frames: refused, found, or said to be unchecked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

from build_engines.__main__ import main
from build_engines.evaluate.cases import read_cases
from build_engines.evaluate.errors import EvaluationError
from build_engines.evaluate.overlap import Seen, alike_within
from device.cameras.files.folder import read_picture
from runtime.bundle import Bundle
from tests.build_engines.evaluate.studies import row, study, write_readings, write_table
from tests.pictures import retina

pytestmark = pytest.mark.usefixtures("no_charts")
Change = Callable[[dict[str, Any]], object]


def changed(path: Path, change: Change, *, line: int = 0) -> Path:
    """The readings with one of them changed."""
    lines = [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]
    change(lines[line])
    path.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    return path


def call(bundle: Bundle, table: Path, readings: Path, *words: str) -> int:
    out = readings.parent / "out"
    fixed = ["--data", str(table), "--readings", str(readings), "--draws", "100", "--out", str(out)]
    return main(["evaluate", str(bundle.path), *fixed, *words])


def found(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "out" / "evaluation.json").read_text(encoding="utf-8"))
    return result


def saved(path: Path, number: int) -> str:
    """A picture, and the SHA-256 of its pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), retina(number)[..., ::-1])
    return read_picture(path, 0).sha256


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda r: r["frame"].update(sha256=None), "without the SHA-256 of the frame's pixels, frame.sha256"),
        (lambda r: r["frame"].update(sha256=5), "frame.sha256 is '5', not the 64 hex digits"),
        (lambda r: r["frame"].update(sha256=""), "frame.sha256 is '', not the 64 hex digits"),
        (lambda r: r["frame"].update(sha256=["a" * 64]), "not the 64 hex digits"),
        (lambda r: r["frame"].update(changes="x"), "frame.changes is no list of texts"),
        (lambda r: r["frame"].update(changes=[1]), "frame.changes is no list of texts"),
        (lambda r: r.update(outcome="RETAKE"), "RETAKE with probabilities, which only an answer has"),
        (lambda r: r.update(outcome="NO_RESULT"), "NO_RESULT with probabilities, which only an answer has"),
        (
            lambda r: r.update(outcome="RETAKE", probabilities=None, quality={"gradable": True}),
            "RETAKE of a frame that is gradable",
        ),
        (lambda r: r.update(trust={"self_test": {"state": "failed"}}), "while the self-test had failed"),
        (lambda r: r.update(reason="ridge 0.99, threshold 0.50"), "reason is 'ridge 0.99, threshold 0.50', its prob"),
        (lambda r: r.update(reason="ridge 0.01, threshold 0.001"), "its probabilities make it 'ridge 0."),
        (lambda r: r.update(reason=r["reason"].replace("ridge", "plus")), "reason is 'plus 0."),
        (lambda r: r.update(reason="as scored"), "reason is 'as scored', its probabilities make it 'ridge 0."),
        (lambda r: r.update(reason=""), "reason is '', its"),
        (lambda r: r["probabilities"].update(plus=0.0), "probabilities are of no_ridge, ridge, plus, the bundle's cl"),
        (lambda r: r["probabilities"].update(other=r["probabilities"].pop("no_ridge")), "are of ridge, other, the b"),
    ],
)
def test_a_reading_that_contradicts_itself_is_refused(
    tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], change: Change, said: str
) -> None:
    rows = study(infants=4, silent=0)
    table = write_table(tmp_path / "t.csv", rows)
    readings = changed(write_readings(tmp_path / "r.jsonl", rows, bundle), change, line=2)
    assert call(bundle, table, readings) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "line 3: not a reading" in error
    assert said in error
    assert "expected rop.reading/1" in error


def test_what_a_runtime_writes_of_frames_without_an_answer_is_taken(tmp_path: Path, bundle: Bundle) -> None:
    rows = study(infants=4, silent=0)
    rows[0]["score"] = rows[1]["score"] = None
    readings = write_readings(tmp_path / "r.jsonl", rows, bundle)
    changed(readings, lambda r: r["frame"].update(sha256=None))  # could not be decoded
    late = {"outcome": "NO_RESULT", "late": True, "quality": {"gradable": True}}
    changed(readings, lambda r: r.update(late, trust={"self_test": {"state": "failed"}}), line=1)
    changed(readings, lambda r: r.update(trust={"self_test": {"state": "none"}}), line=2)
    assert call(bundle, write_table(tmp_path / "t.csv", rows), readings) == 0


def test_changes_that_are_stated_hide_no_other_picture(
    tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    hashes = [saved(tmp_path / f"{n}.png", n) for n in range(3)]
    rows = [row(f"{n}.png", n % 2, 0.1, infant=f"i{n}", pixels=hashes[n]) for n in range(3)]
    table, readings = write_table(tmp_path / "t.csv", rows), write_readings(tmp_path / "r.jsonl", rows, bundle)
    changed(readings, lambda r: r["frame"].update(changes=["x"]))
    assert call(bundle, table, readings) == 0
    assert "Not compared" not in capsys.readouterr().out, "the pixels are the same all the same"
    changed(readings, lambda r: r["frame"].update(sha256="0" * 64))
    assert call(bundle, table, readings) == 0
    assert "note: Not compared: 1 pictures that are there have other pixels than were read" in capsys.readouterr().out
    changed(readings, lambda r: r["frame"].pop("changes"))
    assert call(bundle, table, readings) == 2


@pytest.mark.parametrize("how", ["hash", "path", "neither"])
def test_a_set_chosen_on_the_same_frames_is_found_without_infants_and_pictures(
    tmp_path: Path, bundle: Bundle, how: str
) -> None:
    rows = [row(f"p/{n}.png", n % 2, 0.9 if n % 3 else 0.1) for n in range(12)]
    if how == "hash":
        theirs, place = [{**of, "image": f"q{of['image']}", "pixels": f"{n:064X}"} for n, of in enumerate(rows)], "b"
    elif how == "path":
        theirs = [{**of, "image": of["image"][2:], "pixels": f"{n + 50:064x}"} for n, of in enumerate(rows)]
        place = "a/p"
    else:
        theirs, place = [{**of, "pixels": f"{n + 50:064x}"} for n, of in enumerate(rows)], "b"
    table, choose = write_table(tmp_path / "a" / "t.csv", rows), write_table(tmp_path / place / "c.csv", theirs[:6])
    readings = write_readings(tmp_path / "r.jsonl", rows, bundle)
    chosen = write_readings(tmp_path / "c.jsonl", theirs[:6], bundle)
    assert call(bundle, table, readings, "--choose-on", str(choose), "--choose-readings", str(chosen)) == 0
    result = found(tmp_path)
    (each,) = result["overlaps"]
    assert (len(each["by_hash"]), len(each["by_path"])) == {"hash": (6, 0), "path": (0, 6), "neither": (0, 0)}[how]
    assert any("6 of 12 frames are among the set that" in words for words in result["warnings"]) is (how != "neither")
    points = [p for p in result["readers"][0]["levels"][0]["points"] if p["name"].endswith("elsewhere")]
    assert {"so it flatters" in p["chosen_on"] for p in points} == {how != "neither"}
    for whose in ("12 of 12 pictures of the table", "6 of 6 pictures of the set that"):
        assert any(words.startswith(whose) and "none by look" in words for words in result["not_checked"])


def test_pictures_that_cannot_be_read_are_compared_by_their_readings_and_counted(
    tmp_path: Path, bundle: Bundle
) -> None:
    hashes = [saved(tmp_path / "a" / f"{n}.png", n) for n in range(4)]
    rows = [row(f"{n}.png", n % 2, 0.9, infant=f"i{n}", pixels=hashes[n]) for n in range(4)]
    saved(tmp_path / "seen" / "x.png", 1)
    rows[2] = {**rows[2], "score": None, "pixels": None}
    for n in (1, 2):
        (tmp_path / "a" / f"{n}.png").write_bytes(b"no picture")
    gone = [{**of, "image": f"gone/{n}.png"} for n, of in enumerate(rows[:1])]
    choose = write_table(tmp_path / "c.csv", gone)
    words = ["--choose-on", str(choose), "--choose-readings", str(write_readings(tmp_path / "c.jsonl", gone, bundle))]
    table, readings = write_table(tmp_path / "a" / "t.csv", rows), write_readings(tmp_path / "r.jsonl", rows, bundle)
    assert call(bundle, table, readings, "--training", str(tmp_path / "seen"), *words) == 0
    result = found(tmp_path)
    training, chosen = result["overlaps"]
    assert training["by_hash"] == ["1.png"]
    assert (chosen["by_hash"], chosen["frames"]) == (["0.png"], 1)
    said = [words for words in result["not_checked"] if "which cannot be read" in words]
    assert said[0].startswith("2 of 4 pictures of the table, which cannot be read (1.png, 2.png): 1 at most by the")
    assert said[1].startswith("1 of 1 pictures of the set that")
    assert any(words.startswith("Not checked: 2 of 4 pictures of the table") for words in result["warnings"])


def test_the_area_says_of_how_many_it_is(tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    rows = study(infants=9, silent=0)
    rows[0]["score"] = None
    table, readings = write_table(tmp_path / "t.csv", rows), write_readings(tmp_path / "r.jsonl", rows, bundle)
    assert call(bundle, table, readings) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "36 frames" in line]
    assert re.search(r"ROC area 0\.\d+ \[[^]]+\] of 35 answered; no answer 1$", line)


NO_CODES = (
    "nan",
    "NA",
    "N/a",
    "<NA>",
    "unknown",
    "None",
    "null",
    "-",
    "\u2013",
    "?",
    "#N/A",
    "TBD",
    "todo",
    "xxx",
    "pending",
    "unbekannt",
    "keine Angabe",
    "\u4e0d\u660e",
    "\u043d\u0435 \u0443\u043a\u0430\u0437\u0430\u043d\u043e",
)


@pytest.mark.parametrize("word", [*NO_CODES, "\uff2e\uff0f\uff21", "unk\u200bnown", "\u3164-"])
def test_no_code_is_no_infants_code(tmp_path: Path, word: str) -> None:
    rows = [row("a.jpg", 1, 0.9, infant="i1"), row("b.jpg", 0, 0.1, infant=word)]
    with pytest.raises(EvaluationError, match=r"line 3: infant is .* which says that none is known; expected a code"):
        read_cases(write_table(tmp_path / "t.csv", rows))


@pytest.mark.parametrize("code", ["Nan1", "NA-1", "0", "-1", "unknown 7", "nona"])
def test_codes_with_such_words_in_them_are_codes(tmp_path: Path, code: str) -> None:
    rows = [row("a.jpg", 1, 0.9, infant=code), row("b.jpg", 0, 0.1, infant="i1")]
    assert {case.infant for case in read_cases(write_table(tmp_path / "t.csv", rows)).cases} == {code, "i1"}


@pytest.mark.parametrize("name", ["pictures", "charts", "chosen"])
def test_no_picture_of_an_infant_goes_where_a_link_leads(
    tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    saved(tmp_path / "0.png", 0)
    rows = [row("0.png", 1, 0.1, infant="i0", pixels=read_picture(tmp_path / "0.png", 0).sha256)]
    table, readings = write_table(tmp_path / "t.csv", rows), write_readings(tmp_path / "r.jsonl", rows, bundle)
    target, out = tmp_path / "target", tmp_path / "out"
    target.mkdir()
    out.mkdir()
    (out / name).symlink_to(target)
    assert call(bundle, table, readings) == 2
    assert f"{name} is a link, expected a folder" in capsys.readouterr().err
    assert list(target.iterdir()) == []
    (out / name).unlink()
    (out / "pictures").mkdir()
    (out / "pictures" / "0001.jpg").symlink_to(target / "x.jpg")  # of a run that was broken off
    assert call(bundle, table, readings) == 0
    assert (out / "pictures" / "0001.jpg").is_file()
    assert list(target.iterdir()) == []


def test_a_reason_by_a_sites_threshold_is_taken_where_its_outcome_follows(tmp_path: Path, bundle: Bundle) -> None:
    rows = [row("a.jpg", 1, 0.9, infant="i0"), row("b.jpg", 0, 0.3, infant="i1")]
    table, readings = write_table(tmp_path / "t.csv", rows), write_readings(tmp_path / "r.jsonl", rows, bundle)
    changed(readings, lambda r: r.update(reason="ridge 0.90, threshold 0.45"))
    assert call(bundle, table, readings) == 0
    changed(readings, lambda r: r.update(reason="ridge 0.90, threshold 0.95"))
    assert call(bundle, table, readings) == 2


@pytest.mark.parametrize("untold", [False, True], ids=["rows taken out", "rows that state no truth"])
def test_readings_whose_rows_were_taken_out_are_among_the_first_lines(
    tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], untold: bool
) -> None:
    rows = study(infants=9, silent=0)
    rows[0]["score"] = rows[1]["score"] = None
    readings = write_readings(tmp_path / "r.jsonl", rows, bundle)
    truth = ["" if n < 5 else of["refer"] for n, of in enumerate(rows)]
    kept = [{**of, "refer": truth[n]} for n, of in enumerate(rows)] if untold else rows[5:]
    assert call(bundle, write_table(tmp_path / "t.csv", kept), readings) == 0
    first, result = capsys.readouterr().out.splitlines()[0], found(tmp_path)
    refers = sum(of["score"] is not None and of["score"] >= 0.5 for of in rows[:5])
    counts = {"NO_REFERRAL_FINDINGS": 3 - refers, "REFER": refers, "RETAKE": 2}
    counts = {} if untold else {word: count for word, count in counts.items() if count}
    assert result["readers"][0]["readings_without_row"] == counts
    told = ", ".join(f"{count} {word}" for word, count in counts.items())
    assert first.startswith(f"note: 5 readings have no row in the table ({told})") is not untold
    assert any("rows state no truth" in words for words in result["warnings"]) is untold


@pytest.mark.parametrize("there", [0, 2, 3])
def test_how_many_pictures_were_held_against_their_readings_is_said(tmp_path: Path, bundle: Bundle, there: int) -> None:
    hashes = [saved(tmp_path / f"{n}.png", n) for n in range(3)]
    rows = [row(f"{n}.png", n % 2, 0.1, infant=f"i{n}", pixels=hashes[n]) for n in range(3)]
    for n in range(there, 3):
        (tmp_path / f"{n}.png").unlink()
    table, readings = write_table(tmp_path / "t.csv", rows), write_readings(tmp_path / "r.jsonl", rows, bundle)
    assert call(bundle, table, readings) == 0
    result = found(tmp_path)
    assert result["readers"][0]["pixels_compared"] == there
    said = [words for words in result["warnings"] if f"pixels of {there} of 3 pictures were held" in words]
    assert len(said) == (there < 3)


def saved_copy(path: Path, of: Path, how: str) -> str:
    """Another file of what a file shows, and the SHA-256 of its pixels."""
    picture = read_picture(of, 0).pixels[..., ::-1].copy()
    if how == "mirrored":
        picture = picture[:, ::-1]
    elif how == "one bit":
        picture[7, 7, 1] ^= 1
    elif how == "turned":
        picture = picture[::-1, ::-1]
    assert cv2.imwrite(str(path), picture)
    return read_picture(path, 0).sha256


@pytest.mark.parametrize("codes", ["others", "the same", "none"])
def test_copies_under_other_names_and_infants_are_among_the_first_lines(
    tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], codes: str
) -> None:
    ways = {"recompressed": "jpg", "mirrored": "png", "one bit": "png", "turned": "png"}
    rows = [row(f"{n}.png", n % 2, 0.1, pixels=saved(tmp_path / f"{n}.png", n)) for n in range(4)]
    for n, (how, kind) in enumerate(ways.items(), 4):
        rows.append(row(f"{n}.{kind}", 0, 0.1, pixels=saved_copy(tmp_path / f"{n}.{kind}", tmp_path / "0.png", how)))
    if codes != "none":
        for n, of in enumerate(rows):
            of["infant"] = f"i{n}" if codes == "others" or n < 4 else "i0"
    table, readings = write_table(tmp_path / "t.csv", rows), write_readings(tmp_path / "r.jsonl", rows, bundle)
    assert call(bundle, table, readings) == 0
    first, alike = capsys.readouterr().out.splitlines()[0], found(tmp_path)["alike"]
    if codes == "the same":
        assert (alike["compared"], alike["pairs"], alike["copies"]) == (8, 0, [])
        return
    assert alike["copies"] == [[of["image"], "0.png"] for of in rows[4:]]
    assert (alike["pairs"], alike["frames"], alike["infants"]) == (10, 5, 5 if codes == "others" else None)
    words = (
        "another infant's (10 pairs, which join 5 infants," if codes == "others" else "another of the table (10 pairs"
    )
    assert first.startswith(f"note: 5 frames look like {words}")
    assert "4.jpg and 0.png, 5.png and 0.png, 6.png and 0.png)" in first


def test_pictures_that_are_not_there_are_not_compared_by_look(tmp_path: Path, bundle: Bundle) -> None:
    rows = study(infants=3, silent=0)
    table, readings = write_table(tmp_path / "t.csv", rows), write_readings(tmp_path / "r.jsonl", rows, bundle)
    assert call(bundle, table, readings) == 0
    result = found(tmp_path)
    assert result["alike"] is None
    assert any(
        "are copies of each other: 12 of 12 are not compared by look" in words for words in result["not_checked"]
    )


def test_pairs_of_a_large_table_are_found_over_the_edges_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("build_engines.evaluate.overlap.AT_ONCE", 3)
    seen = Seen()
    for n in (0, 1, 2, 3, 0, 4, 5, 0, 6, 1):
        picture = retina(n)
        picture[5, len(seen.names), 1] ^= 1
        seen.add(str(len(seen.names)), picture)
    result = alike_within(seen, {name: f"i{name}" for name in seen.names})
    assert (result.pairs, result.frames, result.infants) == (4, 5, 5)
    assert result.copies == (("4", "0"), ("7", "0"), ("9", "1"))
    assert alike_within(seen, dict.fromkeys(seen.names, "one")).pairs == 0


@pytest.mark.parametrize(
    ("moments", "refused", "by_row"),
    [
        (("2026-11-01T10:05:00+00:00", "2026-11-01T10:00:00+00:00"), True, 0),  # the row above was taken later
        (("2026-11-01T10:00:00+00:00", "2026-11-01T10:05:00+00:00"), False, 0),
        (("2026-11-01T10:00:00-01:00", "2026-11-01T10:05:00+00:00"), True, 0),  # 11:00 there
        (("2026-11-01T10:05:00Z", "2026-11-01T10:05:00+00:00"), False, 0),  # at once: the last row
        ((None, "2026-11-01T10:00:00+00:00"), False, 1),
    ],
)
def test_of_a_view_taken_again_the_latest_captured_counts(
    tmp_path: Path,
    bundle: Bundle,
    capsys: pytest.CaptureFixture[str],
    moments: tuple[str | None, str],
    refused: bool,
    by_row: int,
) -> None:
    of_view = {"infant": "i1", "eye": "right", "view": "nasal"}
    rows = [
        row("a.jpg", 0, None, **of_view),
        row("b.jpg", 0, 0.1, **of_view),
        row("c.jpg", 1, 0.9, infant="i2", eye="left", view="nasal"),
    ]
    for of, moment in zip(rows, moments, strict=False):
        if moment is not None:
            of["at"] = moment
    table, readings = write_table(tmp_path / "t.csv", rows), write_readings(tmp_path / "r.jsonl", rows, bundle)
    assert call(bundle, table, readings) == 0
    (reader,) = found(tmp_path)["readers"]
    (eyes,) = [level for level in reader["levels"] if level["level"] == "eye"]
    assert eyes["whole"]["flow"]["no_answer"]["count"] == refused
    assert (reader["superseded"], reader["superseded_by_row"]) == (1, by_row)
    said = "1 readings are of views taken again and state no captured_at: the last row of a view counts"
    assert (said in capsys.readouterr().out) is bool(by_row)


@pytest.mark.parametrize("moment", ["yesterday", "2026-11-01T10:00:00", 5])
def test_a_moment_that_is_none_is_refused(
    tmp_path: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], moment: object
) -> None:
    rows = study(infants=3, silent=0)
    table, readings = write_table(tmp_path / "t.csv", rows), write_readings(tmp_path / "r.jsonl", rows, bundle)
    changed(readings, lambda r: r["frame"].update(captured_at=moment))
    assert call(bundle, table, readings) == 2
    assert "no moment of ISO 8601 with an offset" in capsys.readouterr().err


def test_what_is_odd_about_the_set_of_the_thresholds_is_said(tmp_path: Path, bundle: Bundle) -> None:
    rows = [row(f"{n}.png", n % 2, 0.9 if n % 2 else 0.1, infant=f"i{n}") for n in range(6)]
    theirs = [
        row(f"q/{n}.png", 0, 0.1, infant=f"x{'0' * (n % 2)}1", pixels="a" * 64) | ({"refer": ""} if n == 5 else {})
        for n in range(6)
    ]
    table, choose = write_table(tmp_path / "t.csv", rows), write_table(tmp_path / "c.csv", theirs)
    readings = write_readings(tmp_path / "r.jsonl", rows, bundle)
    alone = row("q/alone.png", 1, 0.7, pixels="b" * 64)
    chosen = write_readings(tmp_path / "c.jsonl", [*theirs, alone], bundle)
    assert call(bundle, table, readings, "--choose-on", str(choose), "--choose-readings", str(chosen)) == 0
    result = found(tmp_path)
    begins = "Of the set that thresholds are chosen on, c.csv: "
    said = [words.removeprefix(begins) for words in result["warnings"] if words.startswith(begins)]
    for words in (
        "1 readings have no row in the table (1 REFER)",
        "2 codes of infants differ by",
        "4 pictures are in the table twice",
        "2 pictures stand in the table as another infant's",
        "All frames are of one class.",
        "1 rows state no truth and are not used.",
        "The pixels of 0 of 5 pictures were held against",
    ):
        assert any(each.startswith(words) for each in said), (words, said)
    points = [p for p in result["readers"][0]["levels"][0]["points"] if p["name"].endswith("elsewhere")]
    assert {p["chosen_on"].split(":")[0] for p in points} == {"chosen on c.csv (5 frames of 2 infants, 0 positive)"}


def test_sets_that_tell_no_infants_apart_are_not_checked_for_them(tmp_path: Path, bundle: Bundle) -> None:
    rows = [row(f"{n}.png", n % 2, 0.9 if n % 2 else 0.1, infant=f"i{n}") for n in range(6)]
    theirs = [row(f"q/{n}.png", n % 2, 0.9 if n % 2 else 0.1, pixels=f"{n + 90:064x}") for n in range(6)]
    table, choose = write_table(tmp_path / "t.csv", rows), write_table(tmp_path / "c.csv", theirs)
    readings, chosen = (
        write_readings(tmp_path / name, of, bundle) for name, of in (("r.jsonl", rows), ("c.jsonl", theirs))
    )
    assert call(bundle, table, readings, "--choose-on", str(choose), "--choose-readings", str(chosen)) == 0
    words = "whether infants of the table are among the set that thresholds are chosen on, c.csv: no codes"
    assert any(each.startswith(words) for each in found(tmp_path)["not_checked"])


def test_one_picture_that_a_reader_answers_in_two_ways_is_said(tmp_path: Path, bundle: Bundle) -> None:
    rows = [row(f"{n}.png", n % 2, 0.9 if n % 2 else 0.1, pixels="a" * 64) for n in range(4)]
    assert call(bundle, write_table(tmp_path / "t.csv", rows), write_readings(tmp_path / "r.jsonl", rows, bundle)) == 0
    words = "2 pictures have the pixels of another and were read otherwise by test 3, fp32 (1.png 0.900, 0.png 0.100; "
    assert any(each.startswith(words) for each in found(tmp_path)["warnings"])
    same = [row(f"{n}.png", n % 2, 0.1, pixels="a" * 64) for n in range(4)]
    assert call(bundle, write_table(tmp_path / "t.csv", same), write_readings(tmp_path / "r.jsonl", same, bundle)) == 0
    assert not any("read otherwise" in each for each in found(tmp_path)["warnings"])


def test_readers_on_two_devices_are_told_apart_by_name(tmp_path: Path, bundle: Bundle) -> None:
    rows = [row(f"{n}.png", n % 2, 0.9 if n % 2 else 0.1) for n in range(4)]
    readings = write_readings(tmp_path / "r.jsonl", rows, bundle)
    readings.write_text(readings.read_text() + readings.read_text().replace('"device": "CPU"', '"device": "GPU"'))
    assert call(bundle, write_table(tmp_path / "t.csv", rows), readings) == 0
    names = [reader["reader"] for reader in found(tmp_path)["readers"]]
    assert names == [f"test 3, fp32 on openvino, {device}" for device in ("CPU", "GPU")]
