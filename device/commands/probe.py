"""`python -m device probe SOURCE`: what a camera really gives, held against what was asked of it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from device.commands.common import SOURCES, parser, positive
from device.errors import FrameTimeout, FrameUnreadable, NoNewFrame, RepeatedFrame, SourceNotFound
from device.shown import printable

if TYPE_CHECKING:
    from device.frame import Frame

PERCENTILES_NEED = {95: 130, 99: 662}
"""Values from which a percentile is stated (LoadGen's early stopping, 99 % confidence), as the runtime has it."""
RATE_TOLERANCE = 0.05
"""A camera may give so much less than the rate that was asked."""


@dataclass(frozen=True)
class CameraProbe:
    """What was measured. Times are milliseconds."""

    source: str
    asked: dict[str, float]
    """Width, height and frames a second, as far as the source's text says."""
    width: int
    height: int
    frames: int
    seconds: float
    rate_hz: float | None
    """Frames a second that came, by their time stamps; None from fewer than two."""
    interval_p50: float | None
    jitter_p95: float | None
    """The 95th percentile of how far an interval between two frames is from the median one; None from under 130."""
    jitter_p99: float | None
    """The 99th; None from under 662."""
    age_p50: float | None
    """From a frame's time stamp to its hand-over, the median. How much of the exposure and the transfer lies in it
    depends on when the driver stamps; of the simulated camera it is all."""
    age_p95: float | None
    age_p99: float | None
    open_ms: float
    first_frame_ms: float
    """From the wish to open it to the first frame."""
    missed: int
    unreadable: int
    repeated: int
    stalls: int

    @property
    def shortfalls(self) -> list[str]:
        """What was asked and is not given."""
        found = []
        for name in ("width", "height"):
            if name in self.asked and getattr(self, name) != self.asked[name]:
                found.append(f"set {name}={self.asked[name]:g}, camera gave {getattr(self, name)}")
        fps = self.asked.get("fps")
        if fps and self.rate_hz is not None and self.rate_hz < fps * (1 - RATE_TOLERANCE):
            found.append(f"set fps={fps:g}, camera gave {self.rate_hz:.2f}")
        if self.repeated:
            found.append(f"{self.repeated} frames were repeated pictures")
        if self.stalls:
            found.append(f"it stalled or was lost {self.stalls} times")
        return found


def main(words: Sequence[str]) -> int:
    made = parser("probe", "Read a camera for a while; say what it gives: size, rate, jitter, latency, faults.")
    made.add_argument("source", metavar="SOURCE", help=SOURCES)
    made.add_argument("--seconds", type=positive, default=5.0, metavar="S", help="how long (default: 5)")
    made.add_argument("--json", action="store_true", help="one object")
    options = made.parse_args(words)
    found = probe(options.source, options.seconds)
    if options.json:
        print(json.dumps({**asdict(found), "shortfalls": found.shortfalls}, indent=2))
    else:
        print("\n".join(map(printable, _lines(found))))
    return 1 if found.shortfalls else 0


@dataclass
class _Seen:
    """What came while it was read. Frames themselves are not kept."""

    stamps: list[tuple[int, int]] = field(default_factory=list)
    """Sequence number and capture time, ns."""
    ages_ms: list[float] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)
    first_s: float = 0.0
    unreadable: int = 0
    repeated: int = 0
    stalls: int = 0

    def note(self, item: Frame | FrameUnreadable) -> None:
        """One more."""
        if isinstance(item, RepeatedFrame):
            self.repeated += 1
        elif isinstance(item, NoNewFrame):
            self.stalls += 1
        elif isinstance(item, FrameUnreadable):
            self.unreadable += 1
        else:
            now_ns = time.monotonic_ns()
            self.first_s = self.first_s or now_ns / 1e9
            self.size = (item.width, item.height)
            self.stamps.append((item.sequence, item.captured_ns))
            self.ages_ms.append((now_ns - item.captured_ns) / 1e6)


def probe(source: str, seconds: float) -> CameraProbe:
    """Measure for so many seconds. Raises `CameraError`."""
    from device.commands.frames import frames_of
    from device.live import open_source, shown_source

    began_s = time.monotonic()
    seen = _Seen()
    with open_source(source) as camera:
        opened_s = time.monotonic()
        if not camera.live:
            raise SourceNotFound(f"{source}: stored pictures have no rate; expected a camera, a stream or a video")
        with frames_of(camera, seconds, until_s=opened_s + seconds) as frames:
            for item in frames:
                seen.note(item)
                if time.monotonic() - opened_s >= seconds:
                    break
    if not seen.stamps:
        raise FrameTimeout(f"{shown_source(source)}: no whole frame in {seconds:g} s; look at the camera")
    pairs = list(pairwise(seen.stamps))
    steps = [after[0] - before[0] for before, after in pairs]
    intervals_ms = [(after[1] - before[1]) / 1e6 / step for (before, after), step in zip(pairs, steps, strict=True)]
    lasted_ms = (seen.stamps[-1][1] - seen.stamps[0][1]) / 1e6
    off_ms = [abs(interval - median(intervals_ms)) for interval in intervals_ms]
    return CameraProbe(
        source=shown_source(source),
        asked=_asked(source),
        width=seen.size[0],
        height=seen.size[1],
        frames=len(seen.stamps),
        seconds=time.monotonic() - opened_s,
        rate_hz=1000 * len(steps) / lasted_ms if lasted_ms > 0 else None,
        interval_p50=_percentile(intervals_ms, 50),
        jitter_p95=_percentile(off_ms, 95),
        jitter_p99=_percentile(off_ms, 99),
        age_p50=_percentile(seen.ages_ms, 50),
        age_p95=_percentile(seen.ages_ms, 95),
        age_p99=_percentile(seen.ages_ms, 99),
        open_ms=(opened_s - began_s) * 1000,
        first_frame_ms=(seen.first_s - began_s) * 1000,
        missed=sum(steps) - len(steps),
        unreadable=seen.unreadable,
        repeated=seen.repeated,
        stalls=seen.stalls,
    )


def _percentile(values: list[float], percent: int) -> float | None:
    """By nearest rank; None of too few values to state it."""
    enough = len(values) >= PERCENTILES_NEED.get(percent, 1)
    return sorted(values)[max(0, -(-percent * len(values) // 100) - 1)] if enough else None


def _asked(source: str) -> dict[str, float]:
    """Size and rate in the text of a source, whichever driver reads it."""
    found = re.findall(r"\b(width|height|fps)=([0-9.]+)(?=,|$)", source)
    asked = {name: float(value) for name, value in found}
    size = re.search(r"\bsize=([0-9]+)x([0-9]+)", source)
    return asked if size is None else {**asked, "width": float(size[1]), "height": float(size[2])}


def _lines(found: CameraProbe) -> list[str]:
    def ms(value: float | None) -> str:
        return "-" if value is None else f"{value:.1f} ms"

    def tail(p95: float | None, p99: float | None, n: int) -> str:
        known = {95: p95, 99: p99}
        return ", ".join(
            f"p{p} n too small ({max(0, n)} of {PERCENTILES_NEED[p]})" if value is None else f"p{p} {ms(value)}"
            for p, value in known.items()
        )

    jitter = tail(found.jitter_p95, found.jitter_p99, found.frames - 1)
    age = tail(found.age_p95, found.age_p99, found.frames)
    asked = ", ".join(f"{name} {value:g}" for name, value in found.asked.items())
    rate = "-" if found.rate_hz is None else f"{found.rate_hz:.2f} frames/s"
    lines = [
        f"{found.source}: {found.width} x {found.height}, {rate}" + (f" (asked: {asked})" if asked else ""),
        f"{found.frames} frames in {found.seconds:.1f} s; missed {found.missed}, unreadable {found.unreadable}, "
        f"repeated {found.repeated}, stalls {found.stalls}",
        f"interval p50 {ms(found.interval_p50)}, jitter {jitter}",
        f"time stamp to hand-over p50 {ms(found.age_p50)}, {age}",
        f"open in {ms(found.open_ms)}, first frame after {ms(found.first_frame_ms)}",
    ]
    return lines + [f"NOT AS ASKED: {shortfall}" for shortfall in found.shortfalls]
