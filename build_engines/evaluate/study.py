"""The whole evaluation: readers, overlaps and comparisons put together, with what takes away from the figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from itertools import combinations

import numpy as np

from build_engines.evaluate.cases import Case, Table
from build_engines.evaluate.columns import told_otherwise
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
from build_engines.evaluate.others import Chosen, Others, choice, not_checked, overlaps_of
from build_engines.evaluate.overlap import Overlap, alike_within
from build_engines.evaluate.readings import ANSWERS, BundleReadings, Said
from build_engines.evaluate.result import Data, Evaluation, Failure, Point, ReaderResult
from build_engines.evaluate.told import (
    told_of_alike,
    told_of_choice,
    told_of_read_otherwise,
    told_of_readings,
    told_of_superseded,
    told_of_table,
    twins_of,
)
from build_engines.evaluate.units import EYE, FRAME, INFANT, gather, levels_of, superseded
from runtime.bundle import Bundle
from runtime.outcome import Outcome

MISSED, FALSE_ALARM, SILENT = "missed", "false alarm", "no answer"
KINDS = (MISSED, SILENT, FALSE_ALARM)


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
    overlaps = tuple(overlaps_of(table, readers, others, chosen))
    thresholds = {bundle.sha256: bundle.manifest.refer_threshold for bundle in bundles}
    results = []
    for reader in readers:
        report(f"figures of {reader.name}")
        results.append(_result(table, reader, levels, asked, chosen, thresholds[reader.bundle["sha256"]], overlaps))
    data = _data(table, levels)
    unchecked = not_checked(table, readers, bundles, others, chosen)
    twins = twins_of(table, readers)
    alike = None
    if others.within is not None and others.within.names:
        report(f"holding {len(others.within.names)} pictures against each other")
        alike = alike_within(others.within, {case.image: case.infant for case in table.cases})
    return Evaluation(
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        data=data,
        warnings=(
            *told_of_readings(readers),
            *told_of_read_otherwise(table, readers),
            *told_of_alike(alike),
            *told_of_table(
                table, data, overlaps, unchecked, twins, told_otherwise(table.cases, parted_by(table.cases, asked))
            ),
            *told_of_superseded(results),
            *(note for reader in readers for note in reader.notes),
            *(told_of_choice(chosen, others.chosen) if chosen is not None else ()),
        ),
        overlaps=overlaps,
        not_checked=unchecked,
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
    among = chosen is not None and any(each.any and each.of == choice(chosen) for each in overlaps)
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
