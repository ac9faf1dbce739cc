"""What the light board itself says that it gave, against what the journal counted: light that no account has is found.

The board adds up since its power came. What it said last is in the trail, so that only what came since is compared; a
board that says less than then was switched off and on. The journal may count more than was given, never less.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from device.errors import DoseUnrecorded
from device.light.messages import Totals
from runtime.exam.journal import Journal

NOTHING = Totals(0, 0, 0)


def counted(exposures: Iterable[Mapping[str, Any]], board: str) -> Totals:
    """What exposures of the journal that this board gave, or may have given, are in its units."""
    flashes = flash_level_us = led_level_ms = 0
    for one in exposures:
        if one["board"] != board or one["state"] == "refused":
            continue
        if one["kind"] == "flash":
            flashes += 1
            flash_level_us += round(one["level"] * one["duration_s"] * 1e6)
        else:
            led_level_ms += round(one["level"] * one["duration_s"] * 1e3)
    return Totals(flashes, flash_level_us, led_level_ms)


def compare(journal: Journal, board_id: int, now: Totals) -> None:
    """Raise `DoseUnrecorded` where the board gave more than the journal knows of; else note what it says, in the trail.

    To be called with the light off, before an infant's account is used.
    """
    board = f"{board_id:016x}"
    seq, before = journal.board_said(board)
    last = NOTHING if before is None else Totals(**before)
    restarted = any(new < old for new, old in zip(_parts(now), _parts(last), strict=True))
    base = NOTHING if restarted else last
    known = counted(journal.exposures_after(seq), board)
    more = [new - old - own for new, old, own in zip(_parts(now), _parts(base), _parts(known), strict=True)]
    if any(part > 0 for part in more):
        since = "its power came" if base == NOTHING else "the last exam"
        raise DoseUnrecorded(
            f"light board {board}: it gave {_words(now, base)} since {since}, this journal knows of "
            f"{_words(known, NOTHING)}, so no light is given; find out whose light that was (a bench test, another "
            f"program, a journal that was exchanged), then switch the board's power off and on"
        )
    if _parts(now) != _parts(last):
        journal.note_board(board, now.flashes, now.flash_level_us, now.led_level_ms)


def _parts(totals: Totals) -> tuple[int, int, int]:
    return totals.flashes, totals.flash_level_us, totals.led_level_ms


def _words(totals: Totals, base: Totals) -> str:
    flashes, flash, led = (new - old for new, old in zip(_parts(totals), _parts(base), strict=True))
    return f"{flashes} flashes ({flash} level x us) and {led} level x ms of continuous light"
