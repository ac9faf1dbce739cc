"""What was forgotten: for a new quality reason, a field of a reading, a wording (docs/recipes.md)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from runtime import outcome, quality, reading
from runtime.explanation import Explanation
from runtime.outcome import Outcome

ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "reading.md").read_text(encoding="utf-8")
CATALOGUES = sorted((ROOT / "runtime" / "cart" / "catalogues").glob("*.po"))
NOT_IN_JSON = {"vessels"}


def constants(module: object) -> dict[str, str]:
    return {name: value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}


def test_every_reason_of_the_gate_is_in_its_list() -> None:
    assert set(constants(quality).values()) == set(quality.REASONS), "put it into REASONS of runtime/quality.py"


@pytest.mark.parametrize("reason", quality.REASONS)
def test_a_reason_has_its_picture_its_advice_and_its_translations(reason: str) -> None:
    name = next(name for name, value in constants(quality).items() if value == reason)
    # What the gate cannot tell by itself is told, and tried, elsewhere.
    where = {
        quality.REPEATED: "test_screener.py",
        quality.UNFAMILIAR: "test_familiar.py",
        quality.TORN: "test_structure.py",
        quality.DRAWN_OVER: "test_structure.py",
        quality.COLOURS: "test_structure.py",
    }.get(reason, "test_quality.py")
    tests = (ROOT / "tests" / "runtime" / where).read_text(encoding="utf-8")
    assert re.search(rf"\b{name}\b|{re.escape(reason)}", tests), f"no test in {where} gives a frame that is {reason!r}"
    assert f"\n| {reason} | " in DOCUMENT, f"docs/reading.md says nothing of {reason!r}"
    assert CATALOGUES
    missing = [path.name for path in CATALOGUES if f'msgid "{reason}"' not in path.read_text(encoding="utf-8")]
    assert missing == [], f"{reason!r} is not translated there"


EXPLAINED = Explanation((np.ones((2, 2), np.float32),), 0.1, 0.2, 0.3, 0.4, np.zeros((8, 8), np.float32))


def paths(kind: Any, before: str = "") -> Iterator[str]:
    """Every field of a reading that is no record itself, `frame.sha256`."""
    if kind is Explanation:  # its JSON says less than it holds, by other names
        yield from (before + name for name in EXPLAINED.to_dict())
        return
    hints = get_type_hints(kind, {**vars(reading), "UInt8Array": object, "Explanation": Explanation})
    for field in fields(kind):
        parts = [part for part in (get_args(hints[field.name]) or (hints[field.name],)) if is_dataclass(part)]
        if parts:
            yield from paths(parts[0], f"{before}{field.name}.")
        else:
            yield before + field.name


@pytest.mark.parametrize("path", list(paths(reading.Reading)))
def test_a_field_of_a_reading_is_documented(path: str) -> None:
    assert f"`{path}`" in DOCUMENT, f"docs/reading.md has no row for `{path}`"


def test_no_field_is_documented_that_is_none() -> None:
    rows = re.findall(
        r"`([a-z_]+(?:\.[a-z_0-9]+)*)`", "\n".join(re.findall(r"^\| (`[^|]*) \|", DOCUMENT, re.MULTILINE))
    )
    assert set(rows) - set(paths(reading.Reading)) == {"schema", "quality.strangeness"}  # one of the measures


def whole_reading() -> reading.Reading:
    """A reading with everything that one can have."""
    signed = reading.Signature("signed", "maker", "ab")
    return reading.Reading(
        frame=reading.FrameFacts("sim:1", 1, datetime.now(timezone.utc), "cd", 640, 480, ("turned by EXIF",)),
        outcome=Outcome.REFER,
        reason="ridge 0.8",
        bundle=reading.BundleFacts("b", "1", "ef", "notice"),
        engine=reading.EngineFacts("fake", "fp32", "none", "why", "01"),
        probabilities={"ridge": 0.8},
        quality=reading.Quality(True, (), {"brightness": 1.0}),
        vessel_fraction=0.1,
        timings_ms=reading.Timings(1, 1, 1, 1, 1, 1, 1),
        budget_ms=100,
        trust=reading.TrustFacts(
            signed,
            signed,
            reading.SiteFacts("ward", "23", "site"),
            reading.SelfTestFacts("passed", "now", "none"),
            reading.DriftFacts("steady", 1, ("none",)),
        ),
        light={"kind": "flash"},
        view_like=reading.ViewLike(1, "OD", "nasal", 0.9),
        explanation=EXPLAINED,
    )


@pytest.mark.parametrize("path", sorted(set(paths(reading.Reading)) - NOT_IN_JSON - {"quality.measures"}))
def test_a_field_of_a_reading_is_in_its_json(path: str) -> None:
    content: Any = whole_reading().to_dict()
    for name in path.split("."):
        assert isinstance(content, Mapping)
        assert name in content, f"`{path}` is not in Reading.to_dict()"
        content = content[name]
    assert content is not None, f"tests/test_recipes.py: whole_reading() has no `{path}`"


def test_measures_stand_beside_the_gates_word() -> None:
    found = whole_reading()
    assert found.to_dict()["quality"]["brightness"] == 1.0
    assert replace(found, quality=None).to_dict()["quality"] is None


def test_only_what_speaks_of_a_whole_exam_may_say_a_whole_exams_sentence() -> None:
    of_exams = {"outcome.py", "exam/result.py", "dicom/codes.py", "dicom/page.py"}
    runtime = Path(outcome.__file__).parent
    words = re.compile(r"\bBANNERS\b|\bbanner\(|import .*\bbanner\b")
    found = {str(path.relative_to(runtime)) for path in runtime.rglob("*.py") if words.search(path.read_text())}
    said = {name for name in found if "runtime.outcome" in (runtime / name).read_text()} | {"outcome.py"}
    assert said - of_exams == set(), "beside a single picture stands outcome.picture_banner"
    assert outcome.picture_banner(Outcome.NO_REFERRAL_FINDINGS) == outcome.ONE_PICTURE
    assert all(outcome.picture_banner(o, "why") == outcome.banner(o, "why") for o in Outcome if "NO_REF" not in o.name)


def test_every_wording_is_in_a_list() -> None:
    listed = {*outcome.BANNERS.values(), outcome.ONE_PICTURE, outcome.ONE_EYE, *outcome.EXAM_REASONS, *outcome.NOTICES}
    said = set(constants(outcome).values()) | set(outcome.STOPPED.values())
    assert said - listed == set(), "put the new wording into a list of runtime/outcome.py"
    assert set(outcome.BANNERS) == set(Outcome)
