"""What the product may never say: scanned in every text of the sinks and the command, and in a page."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import runtime.commands
import runtime.screen
import runtime.sinks
from runtime.outcome import Outcome
from runtime.screen.progress import end_lines, frame_line
from runtime.sinks.summary import SummarySink
from runtime.sinks.tally import Tally
from tests.runtime.sinks.readings import make_frame, make_reading

NEVER = re.compile(r"\b(normal|healthy|diagnos\w*|stage|zone|plus|discharge)\b", re.IGNORECASE)
FOLDERS = [Path(package.__path__[0]) for package in (runtime.commands, runtime.sinks, runtime.screen)]
MODULES = sorted(path for folder in FOLDERS for path in folder.glob("*.py"))


def spoken(tree: ast.Module) -> list[str]:
    """Every text of a module but its docstrings."""
    bodies = (node.body for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)))
    docs = {id(node.value) for body in bodies for node in body if isinstance(node, ast.Expr)}
    texts = (n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return [str(node.value) for node in texts if id(node) not in docs]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_no_module_holds_a_word_that_may_not_be_said(path: Path) -> None:
    said = [text for text in spoken(ast.parse(path.read_text())) if NEVER.search(text)]
    assert said == []


def test_no_page_and_no_line_says_one(tmp_path: Path) -> None:
    tally = Tally()
    sink = SummarySink(tmp_path / "summary.html", tally)
    lines = []
    for i, outcome in enumerate(Outcome):
        reading = make_reading(f"{i}.jpg", i, outcome, "too dark")
        sink.write(make_frame(f"{i}.jpg", i), reading)
        lines.append(frame_line(reading, i, 4, ["ridge"]))
    sink.close()
    page = re.sub(r"base64,[^\"]*", "", (tmp_path / "summary.html").read_text())
    assert not NEVER.search(page)
    assert not NEVER.search("\n".join([*lines, *end_lines(tally, ["out"], "")]))
