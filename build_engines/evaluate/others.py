"""What an evaluation's frames may be among: the sets that were named, what was found there, what was not looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from build_engines.evaluate.cases import MOST_NAMED, Table
from build_engines.evaluate.overlap import Overlap, Seen, infants_in_both, overlap, overlap_as_read
from build_engines.evaluate.readings import BundleReadings
from runtime.bundle import Bundle


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


def choice(chosen: Chosen) -> str:
    """The set that thresholds are chosen on, in words."""
    return f"the set that thresholds are chosen on, {chosen.table.path.name}"


def pixels_read(table: Table, readers: Sequence[BundleReadings]) -> dict[str, set[str]]:
    """By picture the SHA-256 of the pixels that were read; none where no frame could be had."""
    return {
        case.image: {sha256 for reader in readers if (sha256 := reader.said[number].sha256)}
        for number, case in enumerate(table.cases)
    }


def overlaps_of(
    table: Table, readers: Sequence[BundleReadings], others: Others, chosen: Chosen | None
) -> list[Overlap]:
    """Of each set that was named, and of the one that thresholds are chosen on, what of the table is among it."""
    found, read = [], pixels_read(table, readers)
    if others.ours is not None:
        found = [
            overlap_as_read(overlap(others.ours, seen, words), read, seen.pixels) for words, seen in others.sets.items()
        ]
    if chosen is not None:
        words = choice(chosen)
        pictures = Overlap(words, len(chosen.table.cases), (), ())
        if others.ours is not None and others.chosen is not None:
            pictures = replace(overlap(others.ours, others.chosen, words), frames=len(chosen.table.cases))
        known = set().union(
            *pixels_read(chosen.table, chosen.readers).values(), others.chosen.pixels if others.chosen else ()
        )
        files = {(chosen.table.folder / case.image).resolve() for case in chosen.table.cases}
        here = {case.image for case in table.cases if (table.folder / case.image).resolve() in files}
        pictures = overlap_as_read(pictures, read, known, here)
        ours, theirs = ({case.infant for case in of.cases if case.infant} for of in (table, chosen.table))
        same = chosen.table.sha256 == table.sha256 or chosen.table.path.resolve() == table.path.resolve()
        found.append(replace(pictures, infants=infants_in_both(ours, theirs), same_file=same))
    return found


def not_checked(
    table: Table,
    readers: Sequence[BundleReadings],
    bundles: Sequence[Bundle],
    others: Others,
    chosen: Chosen | None,
) -> tuple[str, ...]:
    """What nobody looked for, or could not look for, in words, each once."""
    return tuple(
        dict.fromkeys(
            [
                *_not_looked_at(table, readers, others, chosen),
                *_not_held_against_each_other(table, others.within),
                *_no_infants(table, others, chosen),
                *_not_checked(bundles, others),
            ]
        )
    )


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
    ours = [("the table", others.ours, pixels_read(table, readers))]
    if chosen is not None:
        ours.append((choice(chosen), others.chosen, pixels_read(chosen.table, chosen.readers)))
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


def _no_infants(table: Table, others: Others, chosen: Chosen | None) -> Iterator[str]:
    """Sets that were named and say not whose their frames are: other frames of one infant are not found by look."""
    if not any(case.infant for case in table.cases):
        return
    silent = [words for words, seen in others.sets.items() if not seen.infants]
    if chosen is not None and not any(case.infant for case in chosen.table.cases):
        silent.append(choice(chosen))
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
