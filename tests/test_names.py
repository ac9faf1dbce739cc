"""One name has one meaning: no public class's name is given twice in the software."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
TWICE = {
    "Event": "CUDA's word in runtime.cuda, and a message of the board's protocol, whose golden frames name it",
    "Stop": "what ends a program in order, and a message of the board's protocol, whose golden frames name it",
}
"""Names that two classes keep, and why."""


def test_no_public_name_is_given_to_two_classes() -> None:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for package in ("device", "runtime", "build_engines", "calibration"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    found[node.name].append(str(path.relative_to(ROOT)))
    assert len(found) > 500
    twice = {name: places for name, places in found.items() if len(places) > 1}
    assert {name: places for name, places in twice.items() if name not in TWICE} == {}
    assert twice.keys() == TWICE.keys(), "what is listed is still needed"
