"""The prepared script for a slot on a GPU, with programs that stand in: limits, order, what is skipped, the table."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "gpu" / "slot.sh"
STAND_IN = """#!/bin/sh
echo "$*" >> "$CALLS"
case "$*" in
*import\\ tensorrt*) exit 1 ;;
*test_cuda.py*) echo "$CUDA"; exit 0 ;;
*build_engines*fp16*) sleep "$BUILD"; echo "built | one"; exit 0 ;;
*runtime.bench*) echo "no GPU"; exit 2 ;;
*) echo done ;;
esac
"""


def slot(tmp_path: Path, *, seconds: int = 840, cuda: str = "7 passed", build: float = 0) -> tuple[int, str, list[str]]:
    """Its exit code, its table and the calls that it made."""
    python = tmp_path / "python"
    python.write_text(STAND_IN)
    python.chmod(0o755)
    calls = tmp_path / "calls"
    told = {"PYTHON": str(python), "SLOT_S": str(seconds), "CALLS": str(calls), "CUDA": cuda, "BUILD": str(build)}
    ran = subprocess.run(
        ["bash", str(SCRIPT), str(tmp_path / "out")],
        cwd=ROOT,
        env=os.environ | told,
        capture_output=True,
        text=True,
    )
    return ran.returncode, ran.stdout, calls.read_text().splitlines() if calls.exists() else []


@pytest.mark.system
def test_the_pieces_in_their_order_and_what_became_of_each(tmp_path: Path) -> None:
    code, table, calls = slot(tmp_path)
    assert code == 1, "a piece failed"
    assert (tmp_path / "out" / "table.md").read_text() == table
    rows = [
        line.split(" | ") for line in table.splitlines() if line.startswith("| ") and not line.startswith("| piece")
    ]
    assert [row[0][2:] for row in rows] == [
        *("cuda", "plan fp16", "fp16", "results beside the cpu", "plan int8", "int8", "ways"),
        *("plan fp32", "default", "layers", "whole"),
    ]
    results = {row[0][2:]: row[2] for row in rows}
    assert results["plan fp16"] == "passed: built / one |", "a bar in the words would be a column more"
    assert results["fp16"] == "failed (exit code 2): no GPU |"
    assert any("--target tensorrt-rtx --precision fp16" in call for call in calls)


@pytest.mark.system
@pytest.mark.parametrize("cuda", ["7 skipped in 1 s", "7 skipped, 1 warning"])
def test_without_a_gpu_it_ends_after_the_first(tmp_path: Path, cuda: str) -> None:
    code, table, calls = slot(tmp_path, cuda=cuda)
    assert (code, len(calls)) == (1, 1)
    assert f"nothing ran: {cuda}" in table
    assert "not every piece passed" in table


@pytest.mark.system
def test_what_has_too_little_time_is_skipped_and_wrong_calls_are_refused(tmp_path: Path) -> None:
    code, table, calls = slot(tmp_path, seconds=110)
    assert code == 1
    assert "plan fp16 | - | skipped" in table, "at most 240 s are meant for it"
    assert not any("build_engines" in call and "fp16" in call for call in calls)
    assert table.splitlines()[-1].startswith("| whole |")
    for words in ([], ["out", "tests"], ["a", "b", "c"]):
        ran = subprocess.run(["bash", str(SCRIPT), *words], cwd=tmp_path, capture_output=True, text=True)
        assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (2, "", 1)
