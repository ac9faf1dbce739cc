"""What a table of re-read frames says: outcomes that changed, agreement, labels, drift."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from runtime.outcome import Outcome
from runtime.reread.row import RereadRow
from runtime.shares import Share, share
from runtime.trust.drift import FEATURES, DriftState, Observation, Reference, observe

REFER, NONE_FOUND = Outcome.REFER.value, Outcome.NO_REFERRAL_FINDINGS.value
ANSWERS = (REFER, NONE_FOUND)
PARTS = ("site", "camera", "eye", "view")
MOST_VALUES = 50
"""Of a column, the most frequent ones; the others are one line together."""
OTHERS, NOT_STATED = "(all others)", "(not stated)"


@dataclass(frozen=True)
class Changes:
    """Frames with an outcome then and now, of the whole table or of a part of it."""

    frames: int
    changed: Share
    """The outcome is another one."""
    lost: Share
    """Of those that were REFER: no referral findings now."""
    found: Share
    """Of those without referral findings: REFER now."""


def report_of(rows: Sequence[RereadRow], reference: Reference | None) -> dict[str, Any]:
    """Everything that is counted, ready for JSON. rows: in the table's order."""
    counted = [row for row in rows if not row.excluded]
    paired = [row for row in counted if row.changed is not None]
    return {
        "frames": len(rows),
        "excluded": len(rows) - len(counted),
        "unread": sum(not row.read for row in counted),
        "without_earlier_reading": sum(row.old_outcome is None for row in counted),
        "outcomes": dict(sorted(Counter(row.new_outcome for row in counted).items())),
        "changes": asdict(changes(paired)),
        "by": {part: _by(paired, part) for part in PARTS},
        "pairs": [
            {"old": old, "new": new, "frames": count}
            for (old, new), count in sorted(Counter((str(r.old_outcome), r.new_outcome) for r in paired).items())
        ],
        "agreement": _agreement(paired),
        "labels": _labels(counted),
        "drift": None if reference is None else _drift(counted, reference),
    }


def changes(rows: Sequence[RereadRow]) -> Changes:
    """Of rows with an outcome then and now."""

    def of(before: str | None, test: Callable[[RereadRow], bool]) -> Share:
        return _share([row for row in rows if before in (None, row.old_outcome)], test)

    return Changes(
        len(rows),
        of(None, lambda row: bool(row.changed)),
        of(REFER, lambda row: row.new_outcome == NONE_FOUND),
        of(NONE_FOUND, lambda row: row.new_outcome == REFER),
    )


def _share(rows: Sequence[RereadRow], test: Callable[[RereadRow], bool]) -> Share:
    """Frames of one exam hang together; one without an exam stands for itself."""
    numbers: dict[str, int] = {}
    clusters = [numbers.setdefault(row.exam or f"frame {n}", len(numbers)) for n, row in enumerate(rows)]
    return share(np.array([test(row) for row in rows], np.bool_), np.array(clusters, np.int64))


def _by(rows: Sequence[RereadRow], part: str) -> list[dict[str, Any]]:
    counts = Counter(str(getattr(row, part)) for row in rows)
    shown = [value for value, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_VALUES]]
    groups: dict[str, list[RereadRow]] = {value: [] for value in shown}
    for row in rows:
        value = str(getattr(row, part))
        groups.setdefault(value if value in counts and value in shown else OTHERS, []).append(row)
    return [{"value": value or NOT_STATED, **asdict(changes(group))} for value, group in groups.items()]


def _agreement(rows: Sequence[RereadRow]) -> dict[str, Any]:
    """Equal outcomes, Cohen's kappa over the four outcomes, and how far the probabilities of referral lie apart."""
    pairs = [(r.old_probability, r.new_probability) for r in rows if r.old_outcome in ANSWERS]
    both = np.array([pair for pair in pairs if None not in pair], np.float64).reshape(-1, 2)
    found: dict[str, Any] = {"equal": asdict(_share(rows, lambda row: not row.changed)), "kappa": _kappa(rows)}
    if len(both):
        difference = both[:, 1] - both[:, 0]
        found["probability"] = {
            "frames": len(both),
            "mean_difference": float(difference.mean()),
            "median_distance": float(np.median(np.abs(difference))),
            "largest_distance": float(np.abs(difference).max()),
            "kolmogorov_smirnov": _distance(both[:, 0], both[:, 1]),
        }
    return found


def _kappa(rows: Sequence[RereadRow]) -> float | None:
    """Cohen 1960; None where chance alone would agree always."""
    if not rows:
        return None
    old, new = Counter(row.old_outcome for row in rows), Counter(row.new_outcome for row in rows)
    total = len(rows)
    equal = sum(not row.changed for row in rows) / total
    chance = sum(old[one.value] * new[one.value] for one in Outcome) / total**2
    return None if chance == 1 else (equal - chance) / (1 - chance)


def _distance(first: Any, second: Any) -> float:
    """Largest gap between the two cumulative shares."""
    values = np.concatenate([first, second])
    below = [np.searchsorted(np.sort(one), values, side="right") / len(one) for one in (first, second)]
    return float(np.abs(below[0] - below[1]).max())


def _labels(rows: Sequence[RereadRow]) -> dict[str, Any] | None:
    """Against what is true, where somebody says so; what gave no answer counts against the bundle."""
    labelled = [row for row in rows if row.label is not None]
    if not labelled:
        return None
    positive = [row for row in labelled if row.label]
    negative = [row for row in labelled if not row.label]
    return {
        "frames": len(labelled),
        "sensitivity": asdict(_share(positive, lambda row: row.new_outcome == REFER)),
        "specificity": asdict(_share(negative, lambda row: row.new_outcome == NONE_FOUND)),
    }


def _drift(rows: Sequence[RereadRow], reference: Reference) -> dict[str, Any]:
    """The watch for drift of the bundle, over the frames in the table's order."""
    state, alarms = DriftState(), 0
    reasons: Counter[str] = Counter()
    for row in rows:
        if row.gradable is None:
            continue
        known = {**asdict(row), "score": row.new_probability}
        values = {name: known[name] for name in FEATURES}
        full = None if None in values.values() else values
        before = state.windows
        state = observe(state, Observation(row.gradable, full), reference)
        if state.windows > before and state.reasons:
            alarms += 1
            reasons.update(reason.partition(":")[0] for reason in state.reasons)
    return {"windows": state.windows, "alarms": alarms, "of": dict(reasons.most_common()), "now": asdict(state.facts)}
