"""The whole evaluation: readers, overlaps and comparisons put together, with what takes away from the figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import combinations

import numpy as np

from build_engines.evaluate.cases import MOST_NAMED, Case, Table
from build_engines.evaluate.columns import odd_values, told_otherwise
from build_engines.evaluate.compare import compare
from build_engines.evaluate.measure import (
    Asked,
    calibration_of,
    choose_threshold,
    groups_of,
    level_of,
    parted_by,
    require_columns,
)
from build_engines.evaluate.overlap import (
    Alike,
    Overlap,
    Seen,
    alike_within,
    infants_in_both,
    overlap,
    overlap_as_read,
)
from build_engines.evaluate.readings import ANSWERS, BundleReadings, Said
from build_engines.evaluate.result import Data, Evaluation, Failure, Point, ReaderResult
from build_engines.evaluate.units import EYE, FRAME, INFANT, gather, levels_of, superseded
from runtime.bundle import Bundle
from runtime.outcome import Outcome

MISSED, FALSE_ALARM, SILENT = "missed", "false alarm", "no answer"
SAME_SCORE = 0.01
"""By so much an engine may answer the same pixels otherwise; seen is nothing."""
KINDS = (MISSED, SILENT, FALSE_ALARM)


@dataclass(frozen=True)
class Chosen:
    """The set that thresholds are chosen on, read by the same readers."""

    table: Table
    readers: tuple[BundleReadings, ...]


@dataclass(frozen=True)
class Others:
    """What the evaluation's frames may be among."""

    ours: Seen | None
    """None where nothing was named to look for."""
    sets: Mapping[str, Seen]
    """By what they are, in words."""
    calibration_sha256: frozenset[str] = frozenset()
    training_named: bool = False
    chosen: Seen | None = None
    within: Seen | None = None
    """The evaluation's own pictures, to be held against each other."""


def evaluate(
    table: Table,
    readers: Sequence[BundleReadings],
    bundles: Sequence[Bundle],
    asked: Asked,
    others: Others,
    chosen: Chosen | None = None,
    machine: str = "",
    report: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Every figure. Raises `EvaluationError`."""
    require_columns(table.cases, asked)
    levels = levels_of(table.cases)
    overlaps = tuple(_overlaps(table, readers, others, chosen))
    thresholds = {bundle.sha256: bundle.manifest.refer_threshold for bundle in bundles}
    results = []
    for reader in readers:
        report(f"figures of {reader.name}")
        results.append(_result(table, reader, levels, asked, chosen, thresholds[reader.bundle["sha256"]], overlaps))
    data = _data(table, levels)
    not_checked = tuple(
        dict.fromkeys(
            [
                *_not_looked_at(table, readers, others, chosen),
                *_not_held_against_each_other(table, others.within),
                *_no_infants(table, others, chosen),
                *_not_checked(bundles, others),
            ]
        )
    )
    twins = _twins(table, readers)
    alike = None
    if others.within is not None and others.within.names:
        report(f"holding {len(others.within.names)} pictures against each other")
        alike = alike_within(others.within, {case.image: case.infant for case in table.cases})
    return Evaluation(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        data=data,
        warnings=(
            *_told_of_readings(readers),
            *_told_of_read_otherwise(table, readers),
            *_told_of_alike(alike),
            *_warnings(
                table, data, overlaps, not_checked, twins, told_otherwise(table.cases, parted_by(table.cases, asked))
            ),
            *_told_of_superseded(results),
            *(note for reader in readers for note in reader.notes),
            *(_told_of_choice(chosen, others.chosen) if chosen is not None else ()),
        ),
        overlaps=overlaps,
        not_checked=not_checked,
        twins=twins,
        alike=alike,
        readers=tuple(results),
        comparisons=tuple(compare(table.cases, a, b, levels) for a, b in combinations(readers, 2)),
        draws=asked.draws,
        machine=machine,
    )


def _result(
    table: Table,
    reader: BundleReadings,
    levels: Sequence[str],
    asked: Asked,
    chosen: Chosen | None,
    threshold: float,
    overlaps: Sequence[Overlap],
) -> ReaderResult:
    cases, said = table.cases, reader.said
    among = chosen is not None and any(each.any and each.of == _choice(chosen) for each in overlaps)
    return ReaderResult(
        reader.name,
        reader.bundle,
        reader.engine,
        threshold,
        tuple(level_of(cases, said, level, asked, _elsewhere(reader, chosen, level, asked, among)) for level in levels),
        calibration_of(gather(cases, said, FRAME)),
        groups_of(cases, said, levels, asked),
        dict(reader.without_row),
        *superseded(cases, said),
        reader.pixels_compared,
        tuple(sorted(_failures(cases, said), key=lambda failure: (KINDS.index(failure.kind), failure.image))),
    )


def _elsewhere(reader: BundleReadings, chosen: Chosen | None, level: str, asked: Asked, among: bool) -> list[Point]:
    """Thresholds of this reader on the set they are chosen on, at the same level. among: whether it has these units."""
    if chosen is None:
        return []
    twin = next(other for other in chosen.readers if (other.bundle, other.engine) == (reader.bundle, reader.engine))
    if level not in levels_of(chosen.table.cases):
        return [Point(f"chosen at {level}s", None, f"{chosen.table.path.name} does not tell {level}s apart", None)]
    units = gather(chosen.table.cases, twin.said, level)
    infants = len(np.unique(units.infants))
    whose = f" of {infants} infant{'s' * (infants != 1)}" if units.told_apart and level != INFANT else ""
    counted = f"{len(units.truth)} {level}s{whose}, {int(units.truth.sum())} positive"
    where = f"chosen on {chosen.table.path.name} ({counted})"
    where += ", of these same units, so it flatters" if among else ""
    points = []
    for name, targets in (("specificity", asked.specificities), ("sensitivity", asked.sensitivities)):
        for target in targets:
            threshold = choose_threshold(units, name, target)
            words = where if threshold is not None else f"{where}: not reached there"
            points.append(Point(f"{name} {target:g} elsewhere", threshold, words, None))
    return points


def _failures(cases: Sequence[Case], said: Sequence[Said]) -> list[Failure]:
    found = []
    for case, one in zip(cases, said, strict=True):
        if one.outcome not in ANSWERS:
            kind = SILENT
        elif case.refer and one.outcome is not Outcome.REFER:
            kind = MISSED
        elif not case.refer and one.outcome is Outcome.REFER:
            kind = FALSE_ALARM
        else:
            continue
        found.append(Failure(kind, case.image, case.refer, one.outcome.value, one.reason, one.score))
    return found


def _choice(chosen: Chosen) -> str:
    return f"the set that thresholds are chosen on, {chosen.table.path.name}"


def _read(table: Table, readers: Sequence[BundleReadings]) -> dict[str, set[str]]:
    """By picture the SHA-256 of the pixels that were read; none where no frame could be had."""
    return {
        case.image: {sha256 for reader in readers if (sha256 := reader.said[number].sha256)}
        for number, case in enumerate(table.cases)
    }


def _overlaps(table: Table, readers: Sequence[BundleReadings], others: Others, chosen: Chosen | None) -> list[Overlap]:
    found, read = [], _read(table, readers)
    if others.ours is not None:
        found = [
            overlap_as_read(overlap(others.ours, seen, words), read, seen.pixels) for words, seen in others.sets.items()
        ]
    if chosen is not None:
        words = _choice(chosen)
        pictures = Overlap(words, len(chosen.table.cases), (), ())
        if others.ours is not None and others.chosen is not None:
            pictures = replace(overlap(others.ours, others.chosen, words), frames=len(chosen.table.cases))
        known = set().union(
            *_read(chosen.table, chosen.readers).values(), others.chosen.pixels if others.chosen else ()
        )
        files = {(chosen.table.folder / case.image).resolve() for case in chosen.table.cases}
        here = {case.image for case in table.cases if (table.folder / case.image).resolve() in files}
        pictures = overlap_as_read(pictures, read, known, here)
        ours, theirs = ({case.infant for case in of.cases if case.infant} for of in (table, chosen.table))
        same = chosen.table.sha256 == table.sha256 or chosen.table.path.resolve() == table.path.resolve()
        found.append(replace(pictures, infants=infants_in_both(ours, theirs), same_file=same))
    return found


def _not_checked(bundles: Sequence[Bundle], others: Others) -> list[str]:
    found = [
        f"whether frames of the calibration set of {bundle.manifest.name} {bundle.manifest.version} "
        f"({sha256[:12]}...) are among these: name it with --calibration"
        for bundle in bundles
        if (sha256 := bundle.manifest.calibration_sha256) and sha256 not in others.calibration_sha256
    ]
    for words, seen in others.sets.items():
        if seen.unreadable:
            found.append(
                f"{len(seen.unreadable)} of {len(seen.unreadable) + len(seen.names)} pictures of {words}, which cannot "
                f"be read ({', '.join(seen.unreadable[:MOST_NAMED])})"
            )
    if not others.training_named:
        found.append("whether frames that the networks were trained on are among these: name them with --training")
    return found


def _not_looked_at(
    table: Table, readers: Sequence[BundleReadings], others: Others, chosen: Chosen | None
) -> Iterator[str]:
    """Of the pictures of our own tables those that were compared with less than all that can be, or with nothing."""
    ours = [("the table", others.ours, _read(table, readers))]
    if chosen is not None:
        ours.append((_choice(chosen), others.chosen, _read(chosen.table, chosen.readers)))
    elif others.ours is None:
        return  # nothing was named to look for
    for words, seen, read in ours:
        if seen is not None:
            unseen, why = seen.unreadable, "which cannot be read"
        else:
            unseen, why = list(read), "whose stored readings alone were compared"
        if unseen:
            known = sum(bool(read[name]) for name in unseen)
            yield (
                f"{len(unseen)} of {len(read)} pictures of {words}, {why} ({', '.join(unseen[:MOST_NAMED])}): "
                f"{known} at most by the SHA-256 of their readings, none by look"
            )


def _twins(table: Table, readers: Sequence[BundleReadings]) -> tuple[tuple[str, str], ...]:
    """Pictures whose pixels stand in the table under an earlier name, too."""
    first: dict[str, str] = {}
    found = []
    for case, said in zip(table.cases, readers[0].said, strict=True):
        if said.sha256 is None:
            continue
        if said.sha256 in first:
            found.append((case.image, first[said.sha256]))
        first.setdefault(said.sha256, case.image)
    return tuple(found)


def _told_of_twins(cases: Mapping[str, Case], twins: Sequence[tuple[str, str]]) -> list[str]:
    """What stands in the table twice, and what of it cannot be so."""
    pairs = [(cases[later], cases[first]) for later, first in twins]
    otherwise = {
        "with the other truth under the other name: one of the two is wrong": [
            later for later, first in pairs if later.refer != first.refer
        ],
        "as another infant's or another eye's under the other name: what is counted by these is not so": [
            later for later, first in pairs if (later.infant, later.eye) != (first.infant, first.eye)
        ],
    }
    found = [
        f"{len(these)} pictures stand in the table {words} ({', '.join(case.image for case in these[:MOST_NAMED])})."
        for words, these in otherwise.items()
        if these
    ]
    return [*found, *([f"{len(pairs)} pictures are in the table twice under other names; each counts."] * bool(pairs))]


def _told_of_read_otherwise(table: Table, readers: Sequence[BundleReadings]) -> Iterator[str]:
    """One picture under two names that a reader answers otherwise: it would not, so a reading was changed."""
    for reader in readers:
        first: dict[str, tuple[str, Said]] = {}
        pairs = []
        for case, said in zip(table.cases, reader.said, strict=True):
            name, other = first.setdefault(said.sha256 or case.image, (case.image, said))
            one, two = said.score, other.score
            if one is not None and two is not None and abs(one - two) > SAME_SCORE:
                pairs.append(f"{case.image} {one:.3f}, {name} {two:.3f}")
        if pairs:
            yield (
                f"{len(pairs)} pictures have the pixels of another and were read otherwise by {reader.name} "
                f"({'; '.join(pairs[:MOST_NAMED])}): a reading is not as it was written."
            )


def _told_of_alike(found: Alike | None) -> list[str]:
    """Pictures under several infants' codes: shares by infant, and their intervals, count one infant as several."""
    if found is None or not found.pairs:
        return []
    named = ", ".join(f"{later} and {first}" for later, first in found.copies[:MOST_NAMED])
    if found.infants is None:
        return [
            f"{found.frames} frames look like another of the table ({found.pairs} pairs, as they are, mirrored or "
            f"turned: {named}), and the table does not tell infants apart: copies of one picture count as many."
        ]
    return [
        f"{found.frames} frames look like another infant's ({found.pairs} pairs, which join {found.infants} infants, "
        f"as they are, mirrored or turned: {named}): where they are one picture under several names, figures and "
        f"intervals by infant are not so; look at them."
    ]


def _told_of_readings(readers: Sequence[BundleReadings]) -> Iterator[str]:
    """Readings that stand in the file and count nowhere: whoever takes a row out of the table takes its error out."""
    for reader in readers:
        if reader.without_row:
            parts = ", ".join(f"{count} {outcome}" for outcome, count in reader.without_row.items())
            by = f" by {reader.name}" if len(readers) > 1 else ""
            yield (
                f"{sum(reader.without_row.values())} readings{by} have no row in the table ({parts}): they count "
                f"nowhere; rows that were taken out change every figure."
            )


def _told_of_choice(chosen: Chosen, seen: Seen | None) -> Iterator[str]:
    """The same of the set that thresholds are chosen on: what is wrong with it is wrong with each threshold."""
    table = chosen.table
    found = [*_told_of_readings(chosen.readers), *_told_of_read_otherwise(table, chosen.readers), *table.notes]
    if seen is not None:
        found += _told_of_alike(alike_within(seen, {case.image: case.infant for case in table.cases}))
    found += _told_of_twins({case.image: case for case in table.cases}, _twins(table, chosen.readers))
    infants = {case.infant for case in table.cases}
    if infants == {None}:
        found.append("The table does not tell infants apart: copies and many frames of one count as many.")
    elif len(infants) == 1:
        found.append("All frames are of one infant.")
    if len({case.refer for case in table.cases}) == 1:
        found.append("All frames are of one class.")
    if table.without_truth:
        found.append(f"{table.without_truth} rows state no truth and are not used.")
    found += [note for reader in chosen.readers for note in reader.notes]
    yield from (f"Of {_choice(chosen)}: {text}" for text in dict.fromkeys(found))


def _told_of_superseded(results: Sequence[ReaderResult]) -> list[str]:
    """By the order of rows alone: another order of the table would give other figures."""
    by_row = max(result.superseded_by_row for result in results)
    if not by_row:
        return []
    return [
        f"{by_row} readings are of views taken again and state no captured_at: the last row of a view counts, as the "
        f"table is sorted."
    ]


def _no_infants(table: Table, others: Others, chosen: Chosen | None) -> Iterator[str]:
    """Sets that were named and say not whose their frames are: other frames of one infant are not found by look."""
    if not any(case.infant for case in table.cases):
        return
    silent = [words for words, seen in others.sets.items() if not seen.infants]
    if chosen is not None and not any(case.infant for case in chosen.table.cases):
        silent.append(_choice(chosen))
    if silent:
        yield f"whether infants of the table are among {'; '.join(silent)}: no codes of infants stand there"


def _not_held_against_each_other(table: Table, seen: Seen | None) -> list[str]:
    unseen = [case.image for case in table.cases] if seen is None else seen.unreadable
    if not unseen:
        return []
    return [
        f"whether pictures of the table are copies of each other: {len(unseen)} of {len(table.cases)} are not compared "
        f"by look, as they are not there or cannot be read ({', '.join(unseen[:MOST_NAMED])})"
    ]


def _data(table: Table, levels: Sequence[str]) -> Data:
    eyes: dict[str, set[str]] = defaultdict(set)
    for case in table.cases:
        eyes[case.infant or ""].add(case.eye or "")
    return Data(
        table.path.name,
        table.sha256,
        len(table.cases),
        sum(case.refer for case in table.cases),
        len(eyes) if INFANT in levels else None,
        sum(map(len, eyes.values())) if EYE in levels else None,
        table.without_truth,
        sum(len(of) == 1 for of in eyes.values()) if EYE in levels else 0,
        "infant" if INFANT in levels else "frame: the table does not tell infants apart",
    )


def _warnings(
    table: Table,
    data: Data,
    overlaps: Sequence[Overlap],
    not_checked: Sequence[str],
    twins: Sequence[tuple[str, str]],
    otherwise: Sequence[str],
) -> list[str]:
    found, codes = [], {case.infant for case in table.cases}
    for each in overlaps:
        if each.same_file:
            found.append(f"The table is the same file as {each.of}: nothing here is a test.")
        if each.by_hash or each.by_look or each.by_path:
            by_path = f", {len(each.by_path)} by path" if each.by_path else ""
            found.append(
                f"{len(each.by_hash) + len(each.by_look) + len(each.by_path)} of {data.frames} frames are among "
                f"{each.of} ({len(each.by_hash)} by hash, {len(each.by_look)} by look{by_path}): the figures flatter."
            )
        if each.infants:
            other = [code for code in each.infants if code not in codes]
            named = f" ({len(other)} by other capitals, signs, scripts or zeros: {', '.join(other[:MOST_NAMED])})"
            found.append(
                f"{len(each.infants)} infants stand in both the table and {each.of}{named if other else ''}: the two "
                f"are not independent, unless their codes are of different lists."
            )
    found += _told_of_twins({case.image: case for case in table.cases}, twins)
    if data.infants is None:
        found.append("The table does not tell infants apart: intervals take frames as independent and are too short.")
    if data.infants == 1:
        found.append("All frames are of one infant: intervals say nothing of others, and no ROC area is stated.")
    found += [*table.notes, *odd_values(table.cases), *otherwise]
    if data.positives in (0, data.frames):
        found.append("All frames are of one class: no ROC curve, and one of sensitivity and specificity alone.")
    if table.without_truth:
        found.append(f"{table.without_truth} rows state no truth and are not evaluated.")
    if data.infants and data.eyes is None and any(case.eye for case in table.cases):
        found.append("Some rows state no eye: nothing is counted by eye.")
    if data.one_eyed:
        found.append(f"Of {data.one_eyed} infants one eye alone is in the table; a cart would ask for the other.")
    return [*found, *(f"Not checked: {words}." for words in not_checked)]
