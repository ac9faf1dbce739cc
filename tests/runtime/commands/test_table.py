"""Tables show every figure whole, however narrow the terminal is."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from runtime.commands.table import console_for, print_table

HEADS = ("run", "p50", "p99", "a heading longer than what is under it", "verdict")
ROWS = [
    ("threads 1, precision fp16+int8, size 2040x2040", "13.25", "1042.75", "0.69 (0.61-4.67)", Text("INVALID", "bold")),
    ("[b]", "104.5", "-", "1", Text("PASS")),
]


def printed(width: int | None) -> str:
    out = io.StringIO()
    console = console_for(out) if width is None else Console(file=out, width=width, highlight=False)
    print_table(console, HEADS, ROWS, left=("verdict",))
    return out.getvalue()


@pytest.mark.parametrize("width", [None, 200, 120, 80, 60, 40, 20, 1])
def test_no_heading_and_no_figure_is_cut_at_any_width(width: int | None) -> None:
    text = printed(width)
    assert "\u2026" not in text
    for cell in (*HEADS, *(str(cell) for row in ROWS for cell in row)):
        assert cell in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_what_has_no_room_beside_stands_below_with_the_rows_name(width: int) -> None:
    text = printed(width)
    lines = text.splitlines()
    longest = len(ROWS[0][0])
    assert max(map(len, lines)) <= max(width, longest + 3 + max(map(len, HEADS[1:])) + 2)
    assert text.count(ROWS[0][0]) == sum(line.split()[:1] == ["run"] for line in lines) >= 1


def test_a_pipe_takes_the_table_in_one_part() -> None:
    assert sum(line.split()[:1] == ["run"] for line in printed(None).splitlines()) == 1


def test_a_terminal_of_any_width_is_told_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert "\u2026" not in printed(None)
    assert printed(None) == printed(200)
