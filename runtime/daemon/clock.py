"""The clock of every `_ns` between daemon and client: CLOCK_BOOTTIME, which goes on while the machine is suspended."""

from __future__ import annotations

import time

MOST_AHEAD_NS = 10**6
"""A capture that lies further ahead than this was taken by another clock."""
MOST_AGO_NS = 60 * 10**9
"""A capture that lies further back than this was taken by another clock, or is of no use."""
MOST_DEADLINE_NS = 60 * 10**9
"""A deadline that lies further ahead than this was taken by another clock."""
_NEAR_NS = 3600 * 10**9


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
    side = "ahead" if captured_ns > now else "back"
    return f"captured_ns lies {_seconds(captured_ns - now)} {side}{_other_clock(captured_ns)}; expected CLOCK_BOOTTIME"


def wrong_deadline(deadline_ns: int, now: int) -> str:
    """Why a deadline cannot be, "" when it can; one that has passed can. 0: none. now: `now_ns()`."""
    if deadline_ns <= now + MOST_DEADLINE_NS:
        return ""
    return f"deadline_ns lies {_seconds(deadline_ns - now)} ahead{_other_clock(deadline_ns)}; expected CLOCK_BOOTTIME"


def _other_clock(moment_ns: int) -> str:
    """The clock that a moment was taken from, as far as can be told, in words."""
    for name, clock in (("CLOCK_REALTIME", time.CLOCK_REALTIME), ("CLOCK_MONOTONIC", time.CLOCK_MONOTONIC)):
        if abs(time.clock_gettime_ns(clock) - moment_ns) < _NEAR_NS:
            return f", as if by {name}"
    return ""


def _seconds(nanoseconds: int) -> str:
    seconds = abs(nanoseconds) / 1e9
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds:.0f} s" if seconds < 7200 else f"{seconds / 86400:,.1f} days"
