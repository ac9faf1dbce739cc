"""The clock of every `_ns` between daemon and client: CLOCK_BOOTTIME, which goes on while the machine is suspended."""

from __future__ import annotations

import time

MOST_AHEAD_NS = 10**6
"""A capture that lies further ahead than this was taken by another clock."""
MOST_AGO_NS = 60 * 10**9
"""A capture that lies further back than this was taken by another clock, or is of no use."""
MOST_DEADLINE_NS = 60 * 10**9
"""A deadline that lies further ahead or back than this was taken by another clock, or is a time from now."""
_NEAR_NS = 3600 * 10**9
_NEARER = 10
"""So many times nearer to another clock's time than to CLOCK_BOOTTIME, a moment is thought to be by that clock."""


def now_ns() -> int:
    """Nanoseconds of CLOCK_BOOTTIME, whole and above zero."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def monotonic_ns(boot_ns: int, now: int) -> int:
    """A moment of CLOCK_BOOTTIME on `time.monotonic_ns()`, as far from now on both. now: `now_ns()`."""
    return time.monotonic_ns() - (now - boot_ns)


def wrong_capture(captured_ns: int, now: int) -> str:
    """Why a moment of capture cannot be, "" when it can. 0: not known. now: `now_ns()`."""
    if not captured_ns or now - MOST_AGO_NS <= captured_ns <= now + MOST_AHEAD_NS:
        return ""
    return f"captured_ns lies {_where(captured_ns, now)}; expected CLOCK_BOOTTIME"


def wrong_deadline(deadline_ns: int, now: int) -> str:
    """Why a deadline cannot be, "" when it can; one that has just passed can. 0: none. now: `now_ns()`."""
    if not deadline_ns or abs(deadline_ns - now) <= MOST_DEADLINE_NS:
        return ""
    return f"deadline_ns lies {_where(deadline_ns, now)}; expected a moment by CLOCK_BOOTTIME, no time from now"


def _where(moment_ns: int, now: int) -> str:
    side = "ahead" if moment_ns > now else "back"
    return f"{_seconds(moment_ns - now)} {side}{_other_clock(moment_ns, now)}"


def _other_clock(moment_ns: int, now: int) -> str:
    """The clock that a moment was taken from, as far as can be told, in words; "" where it fits no other one better."""
    clocks = [("CLOCK_REALTIME", time.CLOCK_REALTIME)]
    if moment_ns < now:  # CLOCK_MONOTONIC is never ahead
        clocks.append(("CLOCK_MONOTONIC", time.CLOCK_MONOTONIC))
    for name, clock in clocks:
        if abs(time.clock_gettime_ns(clock) - moment_ns) < min(_NEAR_NS, abs(moment_ns - now) / _NEARER):
            return f", as if by {name}"
    return ""


def _seconds(nanoseconds: int) -> str:
    seconds = abs(nanoseconds) / 1e9
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds:.0f} s" if seconds < 7200 else f"{seconds / 86400:,.1f} days"
