"""What several verbs share: the journal, the Screener, the infant's fields, and what is said."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from runtime.budget import Budget
from runtime.bundle import Bundle, open_bundle
from runtime.exam.describe import exam_dict, exam_lines
from runtime.exam.errors import InfantInvalid
from runtime.exam.infant import Infant
from runtime.exam.journal import ExamRecord, Journal
from runtime.exam.journal.crypt import find_key
from runtime.screener import Screener
from runtime.trust.apply import screener_for
from runtime.trust.site import Site, open_site

PROMPTS = (
    ("infant_id", "hospital's identifier"),
    ("name", "name"),
    ("born_at", "born (2026-10-01T04:30)"),
    ("gestational_age", "gestational age at birth (27w3d)"),
    ("birth_weight_g", "birth weight in grams"),
)
LARGEST_INFANT_FILE = 64 * 1024


def open_journal(options: Namespace, *, create: bool = False, read_only: bool = False, check: bool = True) -> Journal:
    """The journal that the options name, with the key that they name."""
    return Journal.open(options.journal, find_key(options.key_file), create=create, read_only=read_only, check=check)


def open_screener(
    options: Namespace,
    bundle: Bundle,
    *,
    live: bool,
    threshold: float | None = None,
    budget_ms: float | None = None,
    counted: bool = False,
) -> Screener:
    """The Screener that the options and the site name, under the threshold of the exam.

    counted: whether its frames are new to the watch for drift, which is kept beside the journal.
    """
    return screener_for(
        site_of(options),
        bundle,
        engine=options.engine,
        precision=options.precision,
        budget=Budget(total=budget_ms),
        reject_repeats=live,
        threshold=threshold,
        drift_file=options.journal / "drift.json" if counted else None,
    )


def site_of(options: Namespace) -> Site:
    """The site that the options, or the environment, name."""
    return open_site(options.site_profile, options.trusted_keys)


def bundle_of(options: Namespace) -> Bundle:
    """The bundle that the options name."""
    return open_bundle(options.bundle)


def read_infant(name: str | None) -> Infant:
    """The infant's fields from a JSON file, from standard input (`-`), or from questions at a terminal.

    They are never taken from the command line, which other users of the machine can see. Raises `InfantInvalid`.
    """
    if name is None:
        if not sys.stdin.isatty():
            raise InfantInvalid("infant: nothing given; name a JSON file with --infant, or - for standard input")
        return Infant.from_dict({field: input(f"{prompt}: ") for field, prompt in PROMPTS})
    try:
        raw = sys.stdin.buffer.read(LARGEST_INFANT_FILE) if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise InfantInvalid(f"infant: {name} cannot be read ({error.strerror}); name a JSON file") from None
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        raise InfantInvalid(f"infant: {'standard input' if name == '-' else name} is not JSON") from None
    return Infant.from_dict(content)


def say_exam(record: ExamRecord, infant: Infant | None, *, as_json: bool) -> None:
    """The exam to standard output."""
    if as_json:
        say_json(exam_dict(record, infant))
    else:
        say(*exam_lines(record, infant))


def say_json(content: Any) -> None:
    """One JSON object, on one line."""
    say(json.dumps(content, ensure_ascii=False))


def say(*lines: str) -> None:
    """Lines to standard output; characters that it cannot show are replaced."""
    encoding = sys.stdout.encoding or "utf-8"
    for line in lines:
        sys.stdout.write(line.encode(encoding, "replace").decode(encoding) + "\n")
    sys.stdout.flush()
