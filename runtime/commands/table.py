"""Tables for people in which no figure is ever cut: what a terminal has no room for stands in a further part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

WIDE = 10_000
"""Columns of a pipe or a file, which are of any width."""


def console_for(stream: TextIO) -> Console:
    """A console that wraps nothing in a pipe, and says what it says without colours there."""
    from rich.console import Console

    wide = not stream.isatty()
    return Console(file=stream, highlight=False, markup=False, width=WIDE if wide else None, soft_wrap=wide)


def print_table(
    console: Console,
    heads: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    *,
    left: Sequence[str] = (),
    styles: Sequence[str] = (),
    title: str = "",
) -> None:
    """Print a table; where it is wider than the console in parts, each with the first column, which names the row.

    left: heads of columns of words, beside the first; all others are figures and stand to the right. styles: of the
    rows.
    """
    from rich.console import Console
    from rich.text import Text

    if title:
        console.print(Text(title))
    for columns in _parts(console, heads, rows):
        table = _table(heads, rows, columns, left, styles)
        needed = _width(table)
        if needed <= console.width:
            console.print(table)
        else:  # the name and one column are too wide already: the terminal breaks the line, and nothing is lost
            Console(file=console.file, width=needed, highlight=False).print(table)


def _parts(console: Console, heads: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> Iterator[list[int]]:
    """The columns of each part."""
    part = [0]
    for column in range(1, len(heads)):
        if len(part) > 1 and _width(_table(heads, rows, [*part, column])) > console.width:
            yield part
            part = [0]
        part.append(column)
    yield part


def _table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str | Text]],
    columns: Sequence[int],
    left: Sequence[str] = (),
    styles: Sequence[str] = (),
) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        words = column == 0 or heads[column] in left
        table.add_column(Text(heads[column]), justify="left" if words else "right", no_wrap=True)
    for number, row in enumerate(rows):
        cells = [cell if isinstance(cell, Text) else Text(cell) for cell in (row[column] for column in columns)]
        table.add_row(*cells, style=styles[number] if styles else "")
    return table


def _width(table: Table) -> int:
    """What it takes to be shown whole."""
    from rich.console import Console
    from rich.measure import Measurement

    console = Console(width=WIDE)
    return Measurement.get(console, console.options, table).maximum
