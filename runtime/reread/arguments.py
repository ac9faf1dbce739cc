"""The command line of `python -m runtime.reread`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from device.command_parser import CommandParser
from device.version import add_version
from runtime.commands.numbers import whole
from runtime.commands.site import add_site_options
from runtime.config import parse_with_config
from runtime.engines.options import add_engine_options

EXAMPLES = """\
examples:
  python -m runtime.reread --bundle NEW exams/ --out again.parquet
  python -m runtime.reread --bundle NEW site-a/ site-b/ pictures/ --out again.csv --workers 4
  python -m runtime.reread --bundle NEW /mnt/exams --out again.parquet --ray ray://head:10001

A SOURCE is an exam journal, a folder of journals, or a folder of pictures or DICOM objects, with labels.csv or without;
these also in an object storage that pyarrow knows (s3://, gs://, abfs://; extra fleet).
Journals are only read. A run that was cut off goes on where it was when the same command is given again.

exit codes:
  0    done; single frames may have no result, each with its reason
  1    done, and a source or an exam was left out; or the work broke off, and what was read is kept
  2    the call is wrong, or bundle, engine, output or every source is unusable
  130, 143    stopped by Ctrl-C, by SIGTERM; what was read until then is kept
"""


@dataclass(frozen=True)
class RereadOptions:
    """What the user asked for."""

    sources: list[str]
    bundle: Path | None
    engine: str
    precision: str
    site_profile: Path | None
    trusted_keys: Path | None
    station: str
    out: Path
    workers: int | None
    ray: str | None
    file_names: bool
    key_files: list[Path]


def parse(argv: Sequence[str] | None = None) -> RereadOptions:
    """The options in `argv`; ends the program with code 2 and a line that says why when they are wrong."""
    parser = _parser()
    found = vars(parse_with_config(parser, argv))
    found.pop("config", None)
    options = RereadOptions(**found)
    if options.out.suffix.lower() not in (".parquet", ".csv"):
        parser.error(f"--out: got {options.out.name!r}, expected a name that ends in .parquet or .csv")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m runtime.reread",
        description="Read stored frames again with another bundle, and tell what that changes.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_version(parser)
    parser.add_argument(
        "sources", nargs="+", metavar="SOURCE", help="journal, folder of journals or pictures, or s3://..."
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="TABLE",
        help="TABLE.parquet or TABLE.csv; the report goes into TABLE.report/, an earlier one's is replaced",
    )
    parser.add_argument(
        "--file-names", action="store_true", help="name pictures' files in the table; only where no name is a person's"
    )
    parser.add_argument(
        "--key-file",
        dest="key_files",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="key of a journal, several where journals have several (default: $ROP_JOURNAL_KEY)",
    )
    add_engine_options(parser, threads=False)
    add_site_options(parser)
    where = parser.add_argument_group("where it runs")
    where.add_argument(
        "--workers", type=whole(1, 4096), metavar="N", help="readers of one thread each (default: one for each CPU)"
    )
    where.add_argument(
        "--ray",
        nargs="?",
        const="auto",
        metavar="ADDRESS",
        help="on a Ray cluster (extra fleet): its address, or without one the cluster of this machine",
    )
    return parser
