"""Whether a report's times of its frames are those of its own clock: scaled ones are not."""

from __future__ import annotations

from collections.abc import Iterator

from runtime.bench.schema import Report

LEAST_SHARE = 0.9
"""Of a back-to-back run that is reading; measured 0.997 on a machine shared with others, where frames took 17 ms."""
OWN_WORK_MS = 0.25
"""A frame, beside that; measured 0.026. Frames of half a millisecond are told apart by no share."""
ENDING_S = 0.5
"""From the last result to the run's end, at most."""
ROUNDED_S = 0.0011
"""By so much rounding may part a run's seconds and its last result's."""
NEEDED = {"age", "total", "wait"}
"""Columns; a file that is read has them."""
SAME = 0.01
"""Share by which frames a second may differ from the frames in those seconds."""


def times_apart(report: Report) -> Iterator[str]:
    """In what the frames' times contradict when they were captured and how long the run took, a sentence each.

    That frames followed each other without a pause is known of stored frames, back to back, in one turn and one stream.
    """
    run, frames, read = report.run, report.frames, report.counts.read
    if not frames.number:
        return
    if abs(run.frames_per_s * run.seconds - read) > SAME * read:
        yield f"{run.frames_per_s:.4g} frames/s over {run.seconds:.4g} s, and {read} frames were read"
    if not set(frames.columns) >= NEEDED:
        return
    ages, totals, waits = ([value or 0.0 for value in frames.columns[name]] for name in ("age", "total", "wait"))
    ended_s = max(at + age / 1e3 for at, age in zip(frames.at_s, ages, strict=True))
    if ended_s > run.seconds + ROUNDED_S:
        yield f"the last result came {ended_s:.4g} s from the start, and the run took {run.seconds:.4g} s"
    if not _without_pause(report):
        return
    if ended_s < LEAST_SHARE * run.seconds - ENDING_S:
        yield f"the last result came {ended_s:.4g} s from the start, and the run went on to {run.seconds:.4g} s"
    own_s = OWN_WORK_MS * len(ages) / 1e3
    span_s, reading_s = ended_s - frames.at_s[0], sum(ages) / 1e3
    if reading_s < LEAST_SHARE * span_s - own_s:
        yield f"frames without a pause between them took {reading_s:.4g} s together, and {span_s:.4g} s went by"
    inside_s = sum(age - wait for age, wait, total in zip(ages, waits, totals, strict=True) if total) / 1e3
    if sum(totals) / 1e3 < LEAST_SHARE * inside_s - own_s:
        yield f"totals are {sum(totals) / 1e3:.4g} s together, and from taking to result went {inside_s:.4g} s"


def _without_pause(report: Report) -> bool:
    plan, counts = report.plan, report.counts
    stored = report.input.distinct_frames is not None  # a live camera is waited for
    alone = plan.turns == plan.streams == 1
    return plan.load == "back-to-back" and stored and alone and not counts.unreadable and not report.interrupted
