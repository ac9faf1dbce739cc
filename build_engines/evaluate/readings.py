"""What a reader said of each case: asked now, frame after frame, or taken from stored readings without the networks."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from build_engines.evaluate.cases import MOST_NAMED, Case, Table
from build_engines.evaluate.errors import EvaluationError
from device.checked_file import strict_json
from device.errors import FrameUnreadable
from device.outputs import OutputFolder
from runtime.bundle import Bundle
from runtime.decide import decide, stated_refer_probability
from runtime.manifest import PRECISIONS
from runtime.outcome import Outcome
from runtime.reading import READING_SCHEMA

ANSWERS = (Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS)
SHA256 = re.compile("[0-9a-fA-F]{64}")
THRESHOLD_IN_REASON = re.compile(r", threshold (0\.[0-9]+)$")
SHOWN = 80
"""Characters of a list in an error."""
LOOKED_AT = 500
"""Pictures that are held against their stored readings; all of ten thousand would take minutes."""


@dataclass(frozen=True)
class Said:
    """One reading, as far as an evaluation needs it."""

    outcome: Outcome
    reason: str
    score: float | None
    """Refer probability; None where there was no answer."""
    sha256: str | None
    """Of the frame's pixels, in small letters; each answer has one."""
    captured_at: datetime | None = None
    """With its offset; None where the reading does not state it."""


@dataclass(frozen=True)
class BundleReadings:
    """A bundle at one precision on one engine, and what it said of every case, in the table's order."""

    name: str
    bundle: Mapping[str, str]
    """Name, version and SHA-256 of the manifest."""
    engine: Mapping[str, str]
    """Backend, precision and device, as the readings state them."""
    said: tuple[Said, ...]
    notes: tuple[str, ...] = ()
    """What is odd about it, a sentence each."""
    without_row: Mapping[str, int] = field(default_factory=dict)
    """Stored readings of no picture of the table, by outcome."""
    pixels_compared: int | None = None
    """Pictures of which the pixels were held against those that were read; None where they were read now."""


@dataclass
class _Running:
    """A reader while it reads."""

    bundle: Bundle
    screener: Any
    said: list[Said] = field(default_factory=list)


def ask(
    table: Table,
    bundles: Sequence[Bundle],
    precisions: Sequence[str],
    out: Path,
    *,
    engine: str = "auto",
    threads: int | None = None,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[BundleReadings, ...]:
    """Every bundle at every precision on every picture; each one's readings are kept as `readings.N.jsonl` in `out`.

    `auto` is the deployed precision, and the engine that a cart here would take. A picture that cannot be decoded has
    no result, as on the cart. Raises `EvaluationError`, `ScreeningError`.
    """
    from device.cameras.files.folder import read_picture
    from runtime.screener import Screener

    report(f"loading {len(bundles) * len(precisions)} readers for {len(table.cases)} pictures of {table.path.name}")
    with ExitStack() as open_ones:
        running = [
            _Running(
                bundle,
                open_ones.enter_context(
                    Screener(
                        bundle, engine=engine, precision=precision, threads=threads, reject_repeats=False, trust="off"
                    )
                ),
            )
            for bundle in bundles
            for precision in precisions
        ]
        folder = open_ones.enter_context(OutputFolder(out))
        files = [
            open_ones.enter_context(open(folder.start(f"readings.{number}.jsonl"), "w", encoding="utf-8"))
            for number in range(1, len(running) + 1)
        ]
        for number, case in enumerate(table.cases):
            try:
                frame = read_picture(table.folder / case.image, number)
            except FrameUnreadable as error:
                readings = [one.screener.unreadable(error, source=case.image, sequence=number) for one in running]
            else:
                readings = [one.screener.screen(replace(frame, source=case.image)) for one in running]
            for one, reading, file in zip(running, readings, files, strict=True):
                one.said.append(_said(reading.to_dict(), _refer(one.bundle)))
                _same_picture(f"--data {table.path}", case, one.said[-1])
                file.write(reading.to_json() + "\n")
            if (number + 1) % 100 == 0:
                report(f"{number + 1} of {len(table.cases)} pictures")
        return _named([_asked(one) for one in running])


def stored(table: Table, bundles: Sequence[Bundle], files: Sequence[str]) -> tuple[BundleReadings, ...]:
    """Readers from `readings.jsonl` files, each `FILE`, or `FOLDER=FILE`: its pictures lie in a folder of the table.

    Lines belong to a case by the picture's relative path, else by the table's column `sha256`. What different bundles,
    precisions and engines wrote becomes a reader each. Where a picture is there, its pixels are those that were read:
    `LOOKED_AT` of them, spread over the table, and each one whose hash another has too are decoded for that; where a
    reading states other changes than are made now, pixels that differ are noted, not refused.

    Raises `EvaluationError` when not, when a case has no reading or two, or a bundle is not among `bundles`, whose
    classes say what counts towards referral.
    """
    known = {bundle.sha256: bundle for bundle in bundles}
    place = {case.image: number for number, case in enumerate(table.cases)}
    by_hash = {case.columns["sha256"].lower(): n for n, case in enumerate(table.cases) if case.columns.get("sha256")}
    on_disk = lru_cache(maxsize=None)(lambda image: _pixels(table.folder / image))
    every, first = max(1, -(-len(table.cases) // LOOKED_AT)), dict[str, int]()
    found: dict[tuple[str, ...], dict[int, Said]] = {}
    facts: dict[tuple[str, ...], tuple[dict[str, str], dict[str, str]]] = {}
    changed: dict[tuple[str, ...], list[str]] = {}
    held: dict[tuple[str, ...], set[int]] = {}
    without_row: dict[tuple[str, ...], Counter[str]] = {}
    for here, folder, line in _lines(files):
        try:
            sha256 = line["bundle"]["sha256"]
            bundle = {name: str(line["bundle"][name]) for name in ("name", "version", "sha256")}
            engine = {name: str(line["engine"][name]) for name in ("backend", "precision", "device")}
            source, changes = str(line["frame"]["source"]), _changes(line["frame"])
            if sha256 not in known:
                raise EvaluationError(
                    f"{here}: read by bundle {bundle['name']} {bundle['version']} ({sha256[:12]}...), which was not "
                    f"named; name it as BUNDLE: its classes say what refers"
                )
            bundle = _stated(here, known[sha256], bundle, engine["precision"])
            said = _said(line, _refer(known[sha256]))
            _follows(here, said, known[sha256].manifest.refer_threshold)
            _same_reason(said, line, known[sha256])
            _same_classes(said, line, known[sha256])
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise EvaluationError(f"{here}: not a reading ({error}); expected {READING_SCHEMA}") from None
        number = place.get((PurePosixPath(folder) / source).as_posix(), by_hash.get(said.sha256 or ""))
        key = (sha256, *engine.values())
        if number is None:
            if table.of_no_truth.isdisjoint({(PurePosixPath(folder) / source).as_posix(), said.sha256 or ""}):
                without_row.setdefault(key, Counter())[said.outcome.value] += 1
            continue
        _same_picture(here, table.cases[number], said)
        again = said.sha256 is not None and first.setdefault(said.sha256, number) != number
        due = again or number % every == 0
        there = on_disk(table.cases[number].image) if due and said.sha256 is not None else None
        if there is not None and there[0] == said.sha256:
            held.setdefault(key, set()).add(number)
        elif there is not None:
            if there[1] == changes:
                raise _another_file(here, table.cases[number], said, there[0])
            changed.setdefault(key, []).append(table.cases[number].image)
        facts[key] = bundle, engine
        if number in found.setdefault(key, {}):
            raise EvaluationError(
                f"{here}: a second reading of {table.cases[number].image} by the same reader; expected one a picture. "
                f"Folders with equal file names are told apart by FOLDER=FILE"
            )
        found[key][number] = said
    if not found:
        raise _none_fits(table, files)
    readers = []
    for key in found:
        reader = _complete(table, found[key], *facts[key], known[key[0]], changed.get(key, []))
        compared = len(held.get(key, ()))
        readers.append(
            replace(
                reader,
                notes=(*reader.notes, *_held(compared, len(table.cases))),
                without_row=dict(sorted(without_row.pop(key, Counter()).items())),
                pixels_compared=compared,
            )
        )
    if without_row:  # of readers that read nothing of the table
        count = sum(sum(counted.values()) for counted in without_row.values())
        note = f"{count} readings by other engines or precisions have no row in the table: they count nowhere."
        readers[0] = replace(readers[0], notes=(note, *readers[0].notes))
    return _named(readers)


def _complete(
    table: Table,
    found: Mapping[int, Said],
    bundle: dict[str, str],
    engine: dict[str, str],
    by: Bundle,
    changed: Sequence[str],
) -> BundleReadings:
    absent = [case.image for number, case in enumerate(table.cases) if number not in found]
    if absent:
        raise EvaluationError(
            f"--readings: {len(absent)} of {len(table.cases)} pictures of {table.path} have no reading by "
            f"{bundle['name']} {bundle['version']}, {engine['precision']} ({', '.join(absent[:3])}); a frame left "
            f"out changes every figure: read them, or take them out of the table"
        )
    said = tuple(found[number] for number in range(len(table.cases)))
    return BundleReadings(
        "", bundle, engine, said, (*_without_graphs(by, engine["precision"]), *_not_compared(changed))
    )


def _stated(here: str, bundle: Bundle, said: dict[str, str], precision: str) -> dict[str, str]:
    """Who reads, as its manifest has it: a reading that says otherwise under the same hash was changed."""
    facts = bundle.facts
    known = {"name": facts.name, "version": facts.version, "sha256": facts.sha256}
    if said != known:
        raise EvaluationError(
            f"{here}: says it is by {said['name']} {said['version']}, the bundle of that SHA-256 is {known['name']} "
            f"{known['version']}; the reading is not as it was written"
        )
    if not set(precision.split("+")) <= set(PRECISIONS):
        raise EvaluationError(
            f"{here}: precision is {precision!r}, expected {', '.join(PRECISIONS)} or two with a plus"
        )
    return known


def _not_compared(changed: Sequence[str]) -> tuple[str, ...]:
    if not changed:
        return ()
    return (
        f"Not compared: {len(changed)} pictures that are there have other pixels than were read, and their readings "
        f"state other changes of the picture than are made now ({', '.join(changed[:MOST_NAMED])}): read them again.",
    )


def _held(count: int, of: int) -> tuple[str, ...]:
    if count == of:
        return ()
    return (
        f"The pixels of {count} of {of} pictures were held against those that were read: the others were not there, or "
        f"are more than are looked at.",
    )


def _without_graphs(bundle: Bundle, precision: str) -> tuple[str, ...]:
    files = [entry.path for entry in bundle.manifest.files]
    absent = [p for p in precision.split("+") if not any(f".{p}." in path for path in files)]
    if not absent:
        return ()
    return (
        f"Readings say precision {precision}, and bundle {bundle.facts.name} {bundle.facts.version} "
        f"holds no graphs in {', '.join(absent)}.",
    )


def _same_picture(here: str, case: Case, said: Said) -> None:
    """The table's `sha256` of a picture holds wherever it is found, by its path too."""
    stated = case.columns.get("sha256", "").lower()
    if stated and said.sha256 is not None and stated != said.sha256:
        raise EvaluationError(
            f"{here}: {case.image} was read with pixels of SHA-256 {said.sha256[:12]}..., the table's column sha256 "
            f"says {stated[:12]}...; another picture was read, or the column is not of pixels: mend it or take it out"
        )


def _another_file(here: str, case: Case, said: Said, there: str) -> EvaluationError:
    return EvaluationError(
        f"{here}: {case.image} was read with pixels of SHA-256 {(said.sha256 or '')[:12]}..., the picture that is "
        f"there has {there[:12]}...; another picture was read, or it was changed since: read it again"
    )


def _changes(frame: Mapping[str, Any]) -> tuple[str, ...]:
    found = frame.get("changes") or []
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise ValueError("frame.changes is no list of texts")
    return tuple(found)


def _pixels(path: Path) -> tuple[str, tuple[str, ...]] | None:
    """SHA-256 of a picture's pixels and what was done to them; None where it is not there or no picture."""
    from device.cameras.files.folder import read_picture

    try:
        frame = read_picture(path, 0) if path.is_file() else None
    except FrameUnreadable:
        return None
    return None if frame is None else (frame.sha256, frame.changes)


def _none_fits(table: Table, files: Sequence[str]) -> EvaluationError:
    return EvaluationError(
        f"--readings {' '.join(files)}: no reading is of a picture of {table.path}; expected frame.source to be the "
        f"path in column image, or say the folder: FOLDER=FILE, or give the table a column sha256"
    )


def _lines(files: Sequence[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Where a line stands, the folder of its pictures, and the line."""
    for text in files:
        folder, equals, name = text.partition("=")
        if not equals or Path(text).exists():
            folder, name = "", text
        path = Path(name) / "readings.jsonl" if Path(name).is_dir() else Path(name)
        number = 0
        try:
            if path.exists() and not path.is_file():
                raise EvaluationError(f"--readings {path}: not a regular file; name one that runtime.screen wrote")
            with path.open(encoding="utf-8-sig") as lines:
                for number, line in enumerate(lines, start=1):
                    here = f"--readings {path}, line {number}"
                    content = strict_json(line) if line.strip() else None
                    if content is None:
                        continue
                    if not isinstance(content, dict) or content.get("schema") != READING_SCHEMA:
                        raise EvaluationError(f"{here}: not a reading; expected {READING_SCHEMA}, one object a line")
                    yield here, folder, content
        except OSError as error:
            raise EvaluationError(f"--readings {path}: cannot be read ({error.strerror or error})") from None
        except UnicodeDecodeError as error:
            raise EvaluationError(f"--readings {path}: not UTF-8 after line {number} ({error.reason})") from None
        except json.JSONDecodeError as error:
            raise EvaluationError(
                f"--readings {path}, line {number}: not JSON, one object a line ({error.msg} at character "
                f"{error.colno}); is it whole?"
            ) from None
        except ValueError as error:
            raise EvaluationError(f"--readings {path}, line {number}: not JSON, one object a line ({error})") from None


def _said(reading: Mapping[str, Any], refer: tuple[str, ...]) -> Said:
    outcome, sha256 = Outcome(reading["outcome"]), reading["frame"]["sha256"]
    if sha256 is not None and not (isinstance(sha256, str) and SHA256.fullmatch(sha256)):
        raise ValueError(f"frame.sha256 is {str(sha256)[:20]!r}, not the 64 hex digits of the frame's pixels")
    score = None
    if outcome not in ANSWERS:
        _require_no_answer(outcome, reading)
    else:
        if sha256 is None:
            raise ValueError(f"{outcome.value} without the SHA-256 of the frame's pixels, frame.sha256")
        if ((reading.get("trust") or {}).get("self_test") or {}).get("state") == "failed":
            raise ValueError(f"{outcome.value} while the self-test had failed, of which there is no answer")
        if reading.get("late", False) is not False:
            raise ValueError(f"{outcome.value} of a frame that was late, of which there is no answer")
        if (reading.get("quality") or {}).get("gradable", True) is not True:
            raise ValueError(f"{outcome.value} of a frame that is not gradable, of which there is no answer")
        score = stated_refer_probability(reading["probabilities"], refer)
        if score is None:
            raise ValueError(
                f"{outcome.value} without a probability of {' and '.join(refer)} among those of all classes"
            )
        score = min(score, 1.0)
    return Said(outcome, str(reading["reason"]), score, sha256 and sha256.lower(), _moment(reading["frame"]))


def _moment(frame: Mapping[str, Any]) -> datetime | None:
    stated = frame.get("captured_at")
    if stated is None:
        return None
    try:
        found = datetime.fromisoformat(stated.replace("Z", "+00:00"))  # which 3.10 does not read
    except (AttributeError, ValueError):
        found = None
    if found is None or found.tzinfo is None:
        raise ValueError(f"frame.captured_at is {stated!r:.40}, no moment of ISO 8601 with an offset")
    return found


def _require_no_answer(outcome: Outcome, reading: Mapping[str, Any]) -> None:
    """What no answer counts for is not what a wrong one does: a reading that holds one all the same was changed."""
    if reading.get("probabilities"):
        raise ValueError(f"{outcome.value} with probabilities, which only an answer has")
    if outcome is Outcome.RETAKE and (reading.get("quality") or {}).get("gradable") is True:
        raise ValueError(f"{outcome.value} of a frame that is gradable, of which there is an answer")


def _follows(here: str, said: Said, threshold: float) -> None:
    """An evaluation states the bundle's threshold: outcomes by another one would be counted as its own."""
    if said.score is not None and (said.outcome is Outcome.REFER) is not (said.score >= threshold):
        raise EvaluationError(
            f"{here}: {said.outcome.value} at probability {said.score:.4g}, the bundle refers at {threshold:.4g}; it "
            f"was read under another threshold, as by a site's profile: read again without it"
        )


def _same_reason(said: Said, reading: Mapping[str, Any], bundle: Bundle) -> None:
    """The reason of an answer holds its probability: one that states another was changed.

    It may state another threshold, of a site's profile, as long as the outcome follows from that one, too.
    """
    if said.score is None:
        return
    refer, threshold = _refer(bundle), bundle.manifest.refer_threshold
    stated = THRESHOLD_IN_REASON.search(said.reason)
    made = [decide(reading["probabilities"], refer, at) for at in (threshold, *([float(stated[1])] if stated else []))]
    if (said.outcome, said.reason) not in made:
        raise ValueError(f"reason is {said.reason[:80]!r}, its probabilities make it {made[0][1]!r}")


def _same_classes(said: Said, reading: Mapping[str, Any], bundle: Bundle) -> None:
    names = [label.name for label in bundle.manifest.classes]
    if said.score is not None and set(reading["probabilities"]) != set(names):
        raise ValueError(
            f"probabilities are of {', '.join(reading['probabilities'])[:SHOWN]}, the bundle's classes are "
            f"{', '.join(names)[:SHOWN]}"
        )


def _refer(bundle: Bundle) -> tuple[str, ...]:
    return tuple(label.name for label in bundle.manifest.classes if label.refer)


def _asked(one: _Running) -> BundleReadings:
    facts, engine = one.bundle.facts, one.screener.facts
    return BundleReadings(
        "",
        {"name": facts.name, "version": facts.version, "sha256": facts.sha256},
        {"backend": engine.backend, "precision": engine.precision, "device": engine.device},
        tuple(one.said),
    )


def _named(readers: Sequence[BundleReadings]) -> tuple[BundleReadings, ...]:
    """Names that say in what readers differ: version, precision, and backend or hash where that is not enough."""
    ways: tuple[Callable[[BundleReadings], str], ...] = (
        lambda r: f"{r.bundle['name']} {r.bundle['version']}, {r.engine['precision']}",
        lambda r: f"{r.bundle['name']} {r.bundle['version']}, {r.engine['precision']} on {r.engine['backend']}",
        lambda r: f"{r.bundle['name']} {r.bundle['version']} ({r.bundle['sha256'][:8]}), {r.engine['precision']}",
        lambda r: (
            f"{r.bundle['name']} {r.bundle['version']}, {r.engine['precision']} on {r.engine['backend']}, "
            f"{r.engine['device']}"
        ),
    )
    for way in ways:
        names = [way(reader) for reader in readers]
        if len(set(names)) == len(names):
            return tuple(replace(reader, name=name) for reader, name in zip(readers, names, strict=True))
    return tuple(replace(reader, name=f"{chr(65 + n)}: {ways[1](reader)}") for n, reader in enumerate(readers))
