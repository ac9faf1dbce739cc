"""What several verbs share: the journal, the Screener, the infant's fields, and what is said."""

from __future__ import annotations

import errno
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from device.checked_file import read_at_most, strict_json
from runtime.budget import Budget
from runtime.bundle import Bundle, open_bundle
from runtime.commands.say import say, say_json
from runtime.commands.text import printable
from runtime.engines.base import CANNOT_EXPLAIN
from runtime.errors import EngineError
from runtime.exam.commands.journal import open_named
from runtime.exam.describe import exam_dict, exam_lines
from runtime.exam.errors import ExamRefused, InfantInvalid, OrderInvalid
from runtime.exam.gates import write_gates
from runtime.exam.infant import Infant
from runtime.exam.journal import ExamRecord, Journal
from runtime.exam.order import Order, Ordered, chosen
from runtime.screener import Screener
from runtime.sinks.files import prepare_folder
from runtime.site_screener import screener_for
from runtime.trust.issues import NoIssues
from runtime.trust.site import Site, open_site

PROMPTS = (
    ("infant_id", "hospital's identifier"),
    ("name", "name"),
    ("born_at", "born (2026-10-01T04:30, or the date alone)"),
    ("gestational_age", "gestational age at birth (27w3d)"),
    ("birth_weight_g", "birth weight in grams"),
    ("sex", "sex (M, F, O, or nothing)"),
)
LARGEST_FILE = 4 << 20
"""Bytes of a file of an infant or of orders: a day's worklist of thousands."""


def open_journal(options: Namespace, *, create: bool = False, read_only: bool = False, check: bool = True) -> Journal:
    """The journal that the options name, with their key and anchors."""
    return open_named(options, create=create, read_only=read_only, check=check)


def open_screener(
    options: Namespace,
    bundle: Bundle,
    *,
    live: bool,
    threshold: float | None = None,
    budget_ms: float | None = None,
    counted: bool = False,
    again: bool = False,
) -> Screener:
    """The Screener that the options and the site name, under the threshold of the exam.

    counted: whether its frames are new to the watch for drift, which is kept beside the journal. again: it repeats what
    an older bundle once read, so that bundle's issue number does not matter; its signature does.
    """
    site = site_of(options)
    screener = screener_for(
        replace(site, issues=NoIssues()) if again else site,
        bundle,
        engine=options.engine,
        precision=options.precision,
        budget=Budget(total=budget_ms),
        reject_repeats=live,
        threshold=threshold,
        drift_file=options.journal / "drift.json" if counted else None,
    )
    if getattr(options, "gates", None) is not None:
        try:
            prepare_folder(options.gates)
            if not screener.explains:
                raise EngineError(f"--gates: {screener.facts.backend}: {CANNOT_EXPLAIN}")
        except BaseException:
            screener.close()
            raise
    return screener


def say_gates(journal: Journal, exam_id: str, numbers: Iterable[int], screener: Screener, folder: Path) -> None:
    """Write the pictures of gates that `--gates` asks for; what there is, and why one is missing, on standard error."""
    record = journal.exam(exam_id)
    for number in numbers:
        try:
            said = str(write_gates(journal, record, record.captures[number - 1], screener, folder))
        except ExamRefused as error:
            said = str(error)
        sys.stderr.write(f"runtime.exam: gates: {printable(said)}\n")


def site_of(options: Namespace) -> Site:
    """The site that the options, or the environment, name."""
    return open_site(options.site_profile, options.trusted_keys, station=options.station)


def bundle_of(options: Namespace, sha256: str | None = None) -> Bundle:
    """The bundle that the options name. sha256: of the exam's, which goes before the active one of the slots."""
    return open_bundle(options.bundle, sha256=sha256)


def read_infant(name: str | None, ordered: Ordered | None = None) -> Infant:
    """The infant's fields from a JSON file, from standard input (`-`), or from questions at a terminal.

    What the order knows of the infant need not be given again; what is given again has to be the same. Nothing is
    taken from the command line, which other users of the machine can see. Raises `InfantInvalid` or `OrderInvalid`.
    """
    known = {} if ordered is None else ordered.fill({})
    if name is None:
        if not sys.stdin.isatty():
            raise InfantInvalid("infant: nothing given; name a JSON file with --infant, or - for standard input")
        content = known | {field: input(f"{prompt}: ") for field, prompt in PROMPTS if field not in known}
    else:
        try:
            content = strict_json(_read(name))
        except OSError as error:
            raise InfantInvalid(
                f"infant: {_called(name)} cannot be read ({error.strerror}); name a JSON file"
            ) from None
        except ValueError as error:
            raise InfantInvalid(f"infant: {_called(name)} is not JSON{_twice(error)}") from None
        if ordered is not None and isinstance(content, dict):
            content = ordered.fill(content)
    infant = Infant.from_dict(content)
    if ordered is not None:
        ordered.check_infant(infant)
    return infant


def read_order(name: str | None, *, accession: str = "", step_id: str = "") -> Ordered | None:
    """The order from a JSON file or standard input (`-`): an answer of the worklist. Raises `OrderInvalid`.

    accession, step_id: which, where there are several.
    """
    if name is None:
        return None
    try:
        lines = [line for line in _read(name).decode("utf-8-sig").split("\n") if line.strip()]  # no other ends a line
        try:
            found = [strict_json(line) for line in lines]
        except ValueError:
            found = [strict_json("\n".join(lines))]  # one object over several lines
    except OSError as error:
        raise OrderInvalid(f"order: {_called(name)} cannot be read ({error.strerror}); name a JSON file") from None
    except ValueError as error:
        raise OrderInvalid(
            f"order: {_called(name)} is not JSON{_twice(error)}; see python -m runtime.dicom worklist --json"
        ) from None
    wanted = {"accession": accession, "step_id": step_id}
    found = [content for content in found if _may_be(content, wanted)]  # another one's that cannot be read is no matter
    fitting = chosen([Ordered.from_dict(content) for content in found], accession=accession, step_id=step_id)
    if len(fitting) != 1:
        raise OrderInvalid(
            f"order: {_called(name)} holds {len(fitting)} orders, expected one; choose it: the worklist's "
            "--patient ID, and --accession NUMBER or --step ID there or here"
        )
    return fitting[0]


def _may_be(content: object, wanted: Mapping[str, str]) -> bool:
    """Whether an answer of the worklist may be the one that was asked for."""
    if not isinstance(content, Mapping):
        return True
    said = {name: content.get(name) for name, value in wanted.items() if value}
    return all(not isinstance(value, str) or value.strip(" ") == wanted[name] for name, value in said.items())


def _twice(error: ValueError) -> str:
    """Which field stands twice, where that is what is wrong; nothing else, as texts hold names."""
    return f" ({error})" if "stands twice" in str(error) else ""


def _read(name: str) -> bytes:
    """At most `LARGEST_FILE` bytes. Raises `OSError`."""
    limit = LARGEST_FILE
    content = sys.stdin.buffer.read(limit + 1) if name == "-" else read_at_most(Path(name), limit)
    if len(content) > LARGEST_FILE:
        raise OSError(errno.EFBIG, f"it holds more than {LARGEST_FILE >> 20} MiB")
    return content


def _called(name: str) -> str:
    return "standard input" if name == "-" else name


def say_exam(record: ExamRecord, infant: Infant | None, order: Order | None = None, *, as_json: bool) -> None:
    """The exam to standard output."""
    if as_json:
        say_json(exam_dict(record, infant, order))
    else:
        say(*exam_lines(record, infant, order))


def say_whole(journal: Journal, exam_id: str, *, as_json: bool) -> None:
    """An exam, whole."""
    say_exam(journal.exam(exam_id), journal.infant(exam_id), journal.order(exam_id), as_json=as_json)
