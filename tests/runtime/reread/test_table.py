"""Table, figures and page."""

from __future__ import annotations

import builtins
import csv
import errno
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.errors import OutputError
from runtime.reread import table
from runtime.reread.figures import changes, report_of
from runtime.reread.page import render
from runtime.reread.row import COLUMNS, RereadRow
from runtime.reread.table import place_of_table, write_table
from runtime.shares import wilson
from tests.runtime.reread.making import NONE, REFER, result, stored

ROWS = [
    result(stored(0), NONE, probability=0.1 + 0.2, sha256="a" * 64, gradable=True).row,
    result(stored(1, site='=HYPERLINK("x")', exam=""), REFER, probability=0.9, gradable=True).row,
    result(stored(2, old_outcome=REFER, old_probability=0.8, label=True), NONE, probability=0.2).row,
    result(stored(3, old_outcome=None, old_probability=None, label=False), "RETAKE", gradable=False).row,
    result(stored(4), "NO_RESULT", read=False).row,
    result(stored(5, excluded=True), REFER, probability=0.7).row,
]


def test_csv_gives_back_every_value(tmp_path: Path) -> None:
    write_table(tmp_path / "t.csv", ROWS)
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert list(found[0]) == list(COLUMNS)
    assert float(found[0]["new_probability"]) == 0.1 + 0.2
    assert found[1]["site"].startswith("'=")
    assert [row["label"] for row in found] == ["", "", "true", "false", "", ""]
    assert found[3]["old_outcome"] == ""
    assert found[4]["read"] == "false"


def test_parquet_gives_back_every_value(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow (extra fleet) is not installed")
    write_table(tmp_path / "t.parquet", ROWS)
    found = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert [RereadRow(**row) for row in found] == ROWS


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="pyarrow (extra fleet) is not installed")
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_table(tmp_path / folder / name, ROWS)
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_file_of_any_name_can_be_told(tmp_path: Path, name: str) -> None:
    """A name that is no UTF-8 ended the run with a traceback once all was read."""
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason="pyarrow (extra fleet) is not installed")
    files = ["a\udcff.png", "new\nline.png", "=1+1.png", 'quo"te,.png', "o\u0308.png"]
    told = [result(stored(n, file=file, show_file=True)).row for n, file in enumerate(files)]
    write_table(tmp_path / name, told)
    assert [row.file for row in told] == ["a\\xff.png", *files[1:]]
    assert result(stored(1, file="name.png")).row.file is None


def test_csv_in_place_of_parquet_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_of_table(Path("t.csv")) == (Path("t.csv"), "")
    monkeypatch.setattr(table, "find_spec", lambda _: None)
    path, line = place_of_table(Path("t.parquet"))
    assert path == Path("t.csv")
    assert "pyarrow is not installed" in line
    assert "[fleet]" in line


def test_no_space_is_one_line_and_no_half_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(table, "_csv", full)
    with pytest.raises(OutputError, match="no space left"):
        write_table(tmp_path / "t.csv", ROWS)
    assert list(tmp_path.iterdir()) == []


def test_what_is_counted() -> None:
    report = report_of(ROWS, None)
    assert (report["frames"], report["excluded"], report["unread"], report["without_earlier_reading"]) == (6, 1, 1, 1)
    counts = report["changes"]
    assert (counts["frames"], counts["changed"]["count"], counts["lost"]["count"], counts["found"]["count"]) == (
        3,
        2,
        1,
        1,
    )
    assert report["labels"]["sensitivity"]["count"] == 0
    assert report["labels"]["specificity"]["count"] == 0
    assert report["agreement"]["probability"]["largest_distance"] == pytest.approx(0.65)
    assert {one["value"]: one["frames"] for one in report["by"]["eye"]} == {"OS": 2, "OD": 1}
    json.dumps(report, allow_nan=False)


def test_an_interval_over_exams_is_wider_than_over_frames() -> None:
    rows = [result(stored(n), REFER if n < 20 else NONE).row for n in range(200)]
    changed = changes(rows).changed
    low, high = wilson(0.1, 200)
    assert changed.value == 0.1
    assert changed.low is not None
    assert changed.high is not None
    assert changed.low < low
    assert changed.high > high


def test_a_retake_now_is_no_lost_referral() -> None:
    rows = [result(stored(n, old_outcome=REFER), outcome).row for n, outcome in enumerate([NONE, "RETAKE", REFER])]
    assert changes(rows).lost.count == 1
    assert changes(rows).changed.count == 2


@pytest.mark.parametrize("rows", [[], ROWS[:1], ROWS], ids=["none", "one", "all"])
def test_the_page_shows_what_was_counted(rows: list[RereadRow], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builtins, "open", _never)
    reader = {"backend": "fake", "precision": "fp32", "device": "none", "threshold": 0.5}
    bundle = {"name": "<b>", "version": "1", "sha256": "b" * 64}
    run = {"notice": "Aid & no more", "bundle": bundle, "reader": reader, "frames_per_second": 1.0, "workers": 2}
    page = render({"run": run, "told": ["exam <x> left out"], **report_of(rows, None)}, [])
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "Aid &amp; no more" in page
    assert "exam &lt;x&gt; left out" in page


def _never(*_: object, **__: object) -> Callable[[], None]:
    raise AssertionError("the page is made of nothing but the report")
