"""The table, as Parquet where pyarrow is there, else as CSV; the same rows in the same order either way."""

from __future__ import annotations

import csv
import errno
import io
from collections.abc import Sequence
from dataclasses import astuple
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from device.extras import how_to_install
from device.outputs import writing
from runtime.csv_rows import no_formula
from runtime.errors import OutputError
from runtime.reread.row import COLUMNS, RereadRow

PARQUET, CSV = ".parquet", ".csv"
ROW_GROUP = 1 << 16


def place_of_table(out: Path) -> tuple[Path, str]:
    """Where the table will be, and a line for the user when that is not what was asked: CSV, where pyarrow lacks."""
    if out.suffix.lower() == PARQUET and find_spec("pyarrow") is None:
        instead = out.with_suffix(CSV)
        return instead, f"pyarrow is not installed: writing {instead.name} in its place; {how_to_install('fleet')}"
    return out, ""


def write_table(path: Path, rows: Sequence[RereadRow]) -> None:
    """Write the rows, whole or not at all. Raises `OutputError`."""
    try:
        with writing(path) as file:
            if path.suffix.lower() == PARQUET:
                _parquet(file, rows)
            else:
                _csv(file, rows)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        why = "no space left; free some and run again, what was read is kept" if full else error.strerror or error
        raise OutputError(f"{path}: {why}") from None


def _parquet(file: Any, rows: Sequence[RereadRow]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"str": pa.string(), "int": pa.int32(), "bool": pa.bool_(), "float": pa.float64()}
    schema = pa.schema([(name, kinds[kind.removesuffix(" | None")]) for name, kind in COLUMNS.items()])
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for start in range(0, len(rows), ROW_GROUP):
            group = [astuple(row) for row in rows[start : start + ROW_GROUP]]
            columns = [list(column) for column in zip(*group, strict=True)]
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _csv(file: Any, rows: Sequence[RereadRow]) -> None:
    text = io.TextIOWrapper(file, "utf-8", newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([_cell(value) for value in astuple(row)] for row in rows)
    text.flush()
    text.detach()


def _cell(value: object) -> str:
    """As text that gives the same value again; a spreadsheet must take no cell for a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return no_formula(value) if isinstance(value, str) else str(value)
