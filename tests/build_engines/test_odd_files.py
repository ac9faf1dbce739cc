"""What is named in a file's place, or no JSON, is refused in one line by the build side: nothing endless is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from build_engines.describe.command import main as describe
from build_engines.description import load_description
from build_engines.errors import BuildError
from build_engines.evaluate.cases import read_cases as cases
from build_engines.evaluate.errors import EvaluationError
from build_engines.evaluate.readings import _lines
from build_engines.train.folds import read_scores
from calibration.errors import CalibrationError
from calibration.sources import _readings
from calibration.tables import read_table
from runtime.bench.errors import BenchError
from runtime.bench.measure.labels import read_labels

REFUSED = (BuildError, EvaluationError, CalibrationError, BenchError)
READERS: dict[str, Callable[[Path], Any]] = {
    "description": load_description,
    "cases": cases,
    "readings": lambda path: list(_lines([str(path)])),
    "calibration's readings": lambda path: list(_readings(path)),
    "table": read_table,
    "bench's labels": read_labels,
}

SCORES: Callable[[Path], Any] = partial(read_scores, recipe={})


@pytest.mark.parametrize("name", READERS)
def test_a_device_is_no_file(name: str) -> None:
    with pytest.raises(REFUSED, match="not a regular file"):
        READERS[name](Path("/dev/zero"))


@pytest.mark.parametrize("name", ["description", "readings", "calibration's readings", "scores"])
@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a": 1, "a": 2}', '{"a": NaN}'], ids=["deep", "a key twice", "not a number"]
)
def test_json_that_is_none(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "odd").write_text(text)
    with pytest.raises(REFUSED):
        ({**READERS, "scores": SCORES}[name])(tmp_path / "odd")


def test_what_is_added_to_a_description_is_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from build_engines.description import plain_description

    plain_description("eye", 2).save(tmp_path / "d.json")
    assert describe([str(tmp_path / "d.json"), "--add", "/dev/zero"]) == 2
    assert "not a regular file" in capsys.readouterr().err
