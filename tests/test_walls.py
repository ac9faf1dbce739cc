"""The one direction of imports: device knows nobody, runtime knows device, the build side may know both."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_NOT_IMPORT = {
    "device": {"runtime", "build_engines", "calibration", "tests", "torch", "onnx"},
    "runtime": {"build_engines", "calibration", "tests", "torch", "onnx"},
    "build_engines": {"tests"},
    "calibration": {"tests"},
}


def imported(path: Path) -> set[str]:
    """Top-level names that a file imports anywhere, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", MAY_NOT_IMPORT)
def test_imports_go_one_way(package: str) -> None:
    files = list((ROOT / package).rglob("*.py"))
    assert files
    wrong = {str(f.relative_to(ROOT)): imported(f) & MAY_NOT_IMPORT[package] for f in files}
    assert {name: names for name, names in wrong.items() if names} == {}
