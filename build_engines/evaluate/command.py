"""`python -m build_engines evaluate BUNDLE... --data CSV --out DIR`."""

from __future__ import annotations

import argparse
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from build_engines.arguments import evaluate_parser
from build_engines.errors import BuildError
from build_engines.evaluate.cases import Table, read_cases, require_pictures
from build_engines.evaluate.columns import parse_by
from build_engines.evaluate.errors import EvaluationError
from build_engines.evaluate.measure import Asked, require_columns
from build_engines.evaluate.others import Chosen, Others
from build_engines.evaluate.overlap import Seen, seen_of, seen_of_cases, seen_of_training
from build_engines.evaluate.pictures import FOLDER, with_pictures
from build_engines.evaluate.readings import BundleReadings, ask, stored
from build_engines.evaluate.result import Evaluation
from build_engines.evaluate.study import evaluate
from build_engines.evaluate.text import markdown, page
from calibration.errors import CalibrationError
from device.errors import DeviceError
from runtime.bundle import MANIFEST, Bundle, open_bundle
from runtime.commands.say import aside, say
from runtime.commands.text import escaped_json, printable
from runtime.errors import ScreeningError
from runtime.manifest import PRECISIONS
from runtime.sinks.files import own_folder, prepare_folder, write_file

LEFT_OVER = re.compile(r"readings\.\d+\.jsonl|chosen|pictures|charts")
"""What a run that was broken off leaves."""
JSON_FILE, MARKDOWN_FILE, HTML_FILE = "evaluation.json", "evaluation.md", "evaluation.html"


def main(argv: list[str] | None = None) -> int:
    """Parse and run; the exit code."""
    return run(evaluate_parser().parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    try:
        found = _evaluate(arguments)
    except (BuildError, CalibrationError, DeviceError, ScreeningError, OSError) as error:
        aside(error, *_older(arguments.out))
        return 2
    if arguments.json:
        say(escaped_json(found.to_json().removesuffix("\n")))
    else:
        say(*map(printable, _lines(found, arguments.out)))
    return 0


def _older(out: Path) -> Iterator[str]:
    """That what stands in the folder after a run that failed is not of it."""
    with suppress(OSError):
        if found := [name for name in (HTML_FILE, MARKDOWN_FILE, JSON_FILE) if (out / name).is_file()]:
            yield f"note: {out / found[0]} is of an earlier run; nothing was written by this one"


def _evaluate(arguments: argparse.Namespace) -> Evaluation:
    asked = _asked(arguments)
    table, chosen_table = read_cases(arguments.data), None
    require_columns(table.cases, asked)
    if arguments.choose_on is not None:
        chosen_table = read_cases(arguments.choose_on)
    elif arguments.choose_readings:
        raise EvaluationError("--choose-readings: is for the table of --choose-on; name that, too")
    bundles = [open_bundle(path) for path in arguments.bundles]
    precisions = _precisions(arguments.precision)
    out: Path = arguments.out
    for bundle in bundles:
        if out.resolve().is_relative_to(bundle.path.resolve()):
            raise EvaluationError(f"--out {out}: lies in a bundle; pictures of infants do not belong there")
    if (out / MANIFEST).exists():
        raise EvaluationError(f"--out {out}: is a bundle; name another folder")
    others = _others(arguments, table, chosen_table)
    with own_folder(out):
        return _written(arguments, table, chosen_table, bundles, precisions, asked, others)


def _written(
    arguments: argparse.Namespace,
    table: Table,
    chosen_table: Table | None,
    bundles: Sequence[Bundle],
    precisions: Sequence[str],
    asked: Asked,
    others: Others,
) -> Evaluation:
    out: Path = arguments.out
    if not arguments.readings:
        require_pictures(table)
        _clear(out)
    readers = _readers(arguments, table, arguments.readings, bundles, precisions, out)
    if arguments.readings:  # which may be refused, and lie in the folder
        _clear(out)
    chosen = None
    if chosen_table is not None:
        beside = out / "chosen"
        prepare_folder(beside)
        said = _readers(arguments, chosen_table, arguments.choose_readings, bundles, precisions, beside)
        chosen = Chosen(chosen_table, said)
        _require_same(readers, said)
    others = replace(others, within=others.ours or seen_of_cases(table, _report))
    found = evaluate(table, readers, bundles, asked, others, chosen, _machine(arguments), _report)
    found = with_pictures(found, table, out, arguments.pictures)
    write(found, out)
    return found


def _clear(out: Path) -> None:
    """What an earlier evaluation said and drew in the folder goes, and nothing else: beside what this one writes until
    it ends or is killed it would pass for its result."""
    for name in (FOLDER, "charts", "chosen"):
        if (out / name).is_symlink():
            raise EvaluationError(
                f"--out {out}: {name} is a link, expected a folder; what is of infants would be written elsewhere: "
                f"take the link out, or name a new folder"
            )
    if (out / JSON_FILE).is_file():
        for name in (HTML_FILE, MARKDOWN_FILE, JSON_FILE):  # the last is by what the folder is known
            (out / name).unlink(missing_ok=True)
    elif any(not LEFT_OVER.fullmatch(path.name) for path in out.iterdir()):
        raise EvaluationError(f"--out {out}: holds files, but no evaluation; name a new folder")
    for name in (FOLDER, "charts"):  # of a run that was broken off, too
        shutil.rmtree(out / name, ignore_errors=True)


def write(found: Evaluation, out: Path) -> None:
    """Write JSON, Markdown, HTML and charts into a folder that is there."""
    from build_engines.evaluate.charts import draw

    (out / "charts").mkdir(mode=0o700, exist_ok=True)
    for number, reader in enumerate(found.readers, start=1):
        draw(reader, out / "charts" / f"{number}.svg")
    for name, text in ((JSON_FILE, found.to_json()), (MARKDOWN_FILE, markdown(found)), (HTML_FILE, page(found))):
        write_file(out / name, text.encode(errors="backslashreplace"))  # a name may hold half a character


def _readers(
    arguments: argparse.Namespace,
    table: Table,
    files: Sequence[str],
    bundles: Sequence[Bundle],
    precisions: Sequence[str],
    out: Path,
) -> tuple[BundleReadings, ...]:
    if files:
        return stored(table, bundles, files)
    if arguments.readings:
        raise EvaluationError("--choose-on with --readings: name the stored readings of that table, --choose-readings")
    require_pictures(table)
    return ask(table, bundles, precisions, out, engine=arguments.engine, threads=arguments.threads, report=_report)


def _require_same(readers: Sequence[BundleReadings], others: Sequence[BundleReadings]) -> None:
    known = [(other.bundle, other.engine) for other in others]
    for reader in readers:
        if (reader.bundle, reader.engine) not in known:
            raise EvaluationError(f"--choose-readings: none are by {reader.name}; a threshold is for its reader alone")


def _others(arguments: argparse.Namespace, table: Table, chosen: Table | None) -> Others:
    """What frames may be among, looked at before the networks are asked: what cannot be read is refused early."""
    sets: dict[str, Seen] = {}
    hashes = set()
    for path in arguments.calibration:
        sets[f"the calibration set {path.name}"], sha256 = seen_of(path)
        if sha256 is None:
            raise EvaluationError(f"--calibration {path}: not a calibration set; other frames go with --training")
        hashes.add(sha256)
    for path in arguments.training:
        _report(f"looking at the pictures of {path}")
        sets[f"the training frames of {path}"], _ = seen_of(path)
    for path in arguments.training_split:
        _report(f"looking at the pictures of {path}")
        sets[f"the training part of {path}"] = seen_of_training(path, arguments.held_out_share)
    named = bool(arguments.training or arguments.training_split)
    if not sets and chosen is None:
        return Others(None, {}, training_named=named)
    for one in (table, chosen):
        if one is not None and not (one is chosen and arguments.choose_readings) and (sets or not arguments.readings):
            require_pictures(one)
    if not sets and arguments.readings:  # two tables with stored readings alone: by file and infant
        return Others(None, {}, training_named=named)
    theirs = None if chosen is None else seen_of_cases(chosen, _report)
    return Others(seen_of_cases(table, _report), sets, frozenset(hashes), named, theirs)


def _asked(arguments: argparse.Namespace) -> Asked:
    shares = {}
    for name in ("specificity", "sensitivity", "prevalence"):
        try:
            shares[name] = tuple(float(word) for word in getattr(arguments, name).split(",") if word.strip())
        except ValueError:
            shares[name] = (2.0,)
        if not all(0 < value < 1 for value in shares[name]):
            raise EvaluationError(
                f"--{name}: got {getattr(arguments, name)!r}, expected shares between 0 and 1 with commas, like "
                "0.1 or 0.1,0.9"
            )
    for name, least in (("draws", 100), ("pictures", 0)):
        if getattr(arguments, name) < least:
            raise EvaluationError(f"--{name}: got {getattr(arguments, name)}, expected {least} or more")
    if arguments.threads is not None and arguments.threads < 1:
        raise EvaluationError(f"--threads: got {arguments.threads}, expected 1 or more")
    if not 0 < arguments.held_out_share < 1:
        raise EvaluationError(f"--held-out-share: got {arguments.held_out_share:g}, expected a share between 0 and 1")
    return Asked(
        shares["specificity"], shares["sensitivity"], shares["prevalence"], parse_by(arguments.by), arguments.draws
    )


def _precisions(text: str) -> tuple[str, ...]:
    words = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    for word in words:
        if word != "auto" and not set(word.split("+")) <= set(PRECISIONS):
            raise EvaluationError(
                f"--precision: got {word!r}, expected auto, {', '.join(PRECISIONS)}, or two with a plus"
            )
    return words


def _machine(arguments: argparse.Namespace) -> str:
    if arguments.readings:
        return "stored readings"
    from runtime.bench.measure.environment import environment

    return environment().processor


def _report(line: str) -> None:
    aside(line)


def _lines(found: Evaluation, out: Path) -> Iterator[str]:
    yield from (f"note: {warning}" for warning in found.warnings)
    for reader in found.readers:
        for level in reader.levels:
            deployed, area = level.whole.deployed, level.roc.area
            answered = level.whole.units - level.whole.flow.no_answer.count
            words = (
                ""
                if area is None
                else f", ROC area {area[0]:.3f} [{area[1]:.3f}, {area[2]:.3f}] of {answered} answered"
            )
            shares = (("sensitivity", deployed.sensitivity), ("specificity", deployed.specificity))
            told = ", ".join(
                f"{name} {share.value:.3f} [{share.low:.3f}, {share.high:.3f}]"
                for name, share in shares
                if share.value is not None
            )
            silent = level.whole.flow.no_answer
            yield f"{reader.reader}, {level.whole.units} {level.level}s: {told}{words}; no answer {silent.count}"
    for pair in found.comparisons:
        for pairing in pair.levels:
            flips = ", ".join(f"{count} {kind}" for kind, count in pairing.flips.items()) or "no flips"
            yield f"{pair.first} against {pair.second}, {pairing.units} {pairing.level}s: {flips}; {pairing.verdict}"
    yield f"{out / HTML_FILE}, {MARKDOWN_FILE}, {JSON_FILE}"
