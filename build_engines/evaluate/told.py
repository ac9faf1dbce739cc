"""What takes away from an evaluation's figures, in sentences: told before them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from build_engines.evaluate.cases import MOST_NAMED, Case, Table
from build_engines.evaluate.columns import odd_values
from build_engines.evaluate.others import Chosen, choice
from build_engines.evaluate.overlap import Alike, Overlap, Seen, alike_within
from build_engines.evaluate.readings import BundleReadings
from build_engines.evaluate.result import Data, ReaderResult

SAME_SCORE = 0.01
"""By so much an engine may answer the same pixels otherwise; seen is nothing."""


def told_of_table(
    table: Table,
    data: Data,
    overlaps: Sequence[Overlap],
    not_checked: Sequence[str],
    twins: Sequence[tuple[str, str]],
    otherwise: Sequence[str],
) -> list[str]:
    """Of the table itself. otherwise: what is told otherwise by rows of one infant (`columns.told_otherwise`)."""
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


def twins_of(table: Table, readers: Sequence[BundleReadings]) -> tuple[tuple[str, str], ...]:
    """Pictures whose pixels stand in the table under an earlier name, too, and that name."""
    return tuple((table.cases[later].image, table.cases[first].image) for later, first in _twins(readers[0]))


def _twins(reader: BundleReadings) -> Iterator[tuple[int, int]]:
    """Places of pictures that were read with the pixels of an earlier one, and that one's."""
    first: dict[str, int] = {}
    for number, said in enumerate(reader.said):
        if said.sha256 is not None and first.setdefault(said.sha256, number) != number:
            yield number, first[said.sha256]


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


def told_of_read_otherwise(table: Table, readers: Sequence[BundleReadings]) -> Iterator[str]:
    """One picture under two names that a reader answers otherwise: it would not, so a reading was changed."""
    for reader in readers:
        pairs = []
        for later, first in _twins(reader):
            one, two = reader.said[later].score, reader.said[first].score
            if one is not None and two is not None and abs(one - two) > SAME_SCORE:
                pairs.append(f"{table.cases[later].image} {one:.3f}, {table.cases[first].image} {two:.3f}")
        if pairs:
            yield (
                f"{len(pairs)} pictures have the pixels of another and were read otherwise by {reader.name} "
                f"({'; '.join(pairs[:MOST_NAMED])}): a reading is not as it was written."
            )


def told_of_alike(found: Alike | None) -> list[str]:
    """Pictures under several infants' codes: shares by infant, and their intervals, count one infant as several."""
    if found is None or not found.pairs:
        return []
    named = ", ".join(f"{later} and {first}" for later, first in found.copies[:MOST_NAMED])
    how = f"as they are, mirrored, turned, as a negative or cut: {named}"
    if found.infants is None:
        return [
            f"{found.frames} frames look like another of the table ({found.pairs} pairs, {how}), and the table does "
            f"not tell infants apart: copies of one picture count as many."
        ]
    return [
        f"{found.frames} frames look like another infant's ({found.pairs} pairs, which join {found.infants} infants, "
        f"{how}): where they are one picture under several names, figures and intervals by infant are not so; look at "
        f"them."
    ]


def told_of_readings(readers: Sequence[BundleReadings]) -> Iterator[str]:
    """Readings that stand in the file and count nowhere: whoever takes a row out of the table takes its error out."""
    for reader in readers:
        if reader.without_row:
            parts = ", ".join(f"{count} {outcome}" for outcome, count in reader.without_row.items())
            by = f" by {reader.name}" if len(readers) > 1 else ""
            yield (
                f"{sum(reader.without_row.values())} readings{by} have no row in the table ({parts}): they count "
                f"nowhere; rows that were taken out change every figure."
            )


def told_of_choice(chosen: Chosen, seen: Seen | None) -> Iterator[str]:
    """The same of the set that thresholds are chosen on: what is wrong with it is wrong with each threshold."""
    table = chosen.table
    found = [*told_of_readings(chosen.readers), *told_of_read_otherwise(table, chosen.readers), *table.notes]
    if seen is not None:
        found += told_of_alike(alike_within(seen, {case.image: case.infant for case in table.cases}))
    found += _told_of_twins({case.image: case for case in table.cases}, twins_of(table, chosen.readers))
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
    yield from (f"Of {choice(chosen)}: {text}" for text in dict.fromkeys(found))


def told_of_superseded(results: Sequence[ReaderResult]) -> list[str]:
    """By the order of rows alone: another order of the table would give other figures."""
    by_row = max(result.superseded_by_row for result in results)
    if not by_row:
        return []
    return [
        f"{by_row} readings are of views taken again and state no captured_at: the last row of a view counts, as the "
        f"table is sorted."
    ]
