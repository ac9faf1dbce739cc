"""What the software may never say: scanned in every text of the exam's package and in what it prints."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import runtime.exam
from runtime.exam.errors import ExamRefused
from runtime.exam.icrop3 import PLUS, STAGES, ZONES, EyeFindings
from runtime.outcome import EXAM_REASONS
from runtime.views import Eye

NEVER = re.compile(r"\b(normal|healthy|diagnos\w*|stage|zone|plus|discharge)\b", re.IGNORECASE)
ROOT = Path(runtime.exam.__path__[0])
CLINICIANS = {"icrop3.py"}
"""Holds the words that clinicians may type."""
OPTIONS = {"--zone", "--stage", "--plus"}
"""The clinician's options, by which they are typed."""


def spoken(path: Path) -> list[str]:
    """Every text of a module but its docstrings."""
    tree = ast.parse(path.read_text())
    bodies = (node.body for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)))
    docs = {id(node.value) for body in bodies for node in body if isinstance(node, ast.Expr)}
    texts = (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return [str(node.value) for node in texts if id(node) not in docs]


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_but_the_clinicians_holds_a_word_that_may_not_be_said(path: Path) -> None:
    said = [t for t in spoken(path) if NEVER.search(t) and t not in OPTIONS and not t.startswith("born_at")]
    assert bool(said) == (path.name in CLINICIANS), said


@pytest.mark.parametrize("reason", EXAM_REASONS)
def test_reasons_say_nothing_forbidden(reason: str) -> None:
    assert not NEVER.search(reason)


def test_the_clinicians_words_are_those_of_icrop3() -> None:
    assert ZONES == ("I", "II posterior", "II", "III")
    assert STAGES == ("0", "1", "2", "3", "4A", "4B", "5A", "5B", "5C")
    assert PLUS == ("none", "pre-plus", "plus")
    found = EyeFindings(Eye.OD, "II posterior", True, "2", "pre-plus", False, "seen by indirect ophthalmoscopy")
    assert found.words() == ("zone II posterior, notch, stage 2, pre-plus disease, seen by indirect ophthalmoscopy")
    assert EyeFindings.from_dict(found.to_dict()) == found
    assert EyeFindings(Eye.OS, a_rop=True).words() == "A-ROP"


@pytest.mark.parametrize(
    "wrong", [{"zone": "IV"}, {"stage": "4"}, {"plus": "severe"}, {"notch": True}, {"stage": "AP-ROP"}]
)
def test_other_words_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ExamRefused):
        EyeFindings(Eye.OD, **wrong)  # type: ignore[arg-type]
