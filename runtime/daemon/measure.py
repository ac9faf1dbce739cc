"""`python -m runtime.daemon measure`: what the daemon adds to a reading; frame by frame, here and by the daemon."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from device.cameras import open_camera
from device.errors import FrameUnreadable
from device.frame import Frame
from runtime.arrays import UInt8Array
from runtime.bundle import open_bundle
from runtime.daemon.client import Client
from runtime.daemon.errors import DaemonGone, NotMeasured
from runtime.daemon.messages import DaemonState, FrameOrder
from runtime.percentiles import percentile, samples_needed
from runtime.screener import Screener
from runtime.site_screener import screener_for
from runtime.trust.site import open_site

if TYPE_CHECKING:
    from runtime.daemon.messages import Result

LIMIT_P50_MS, LIMIT_P99_MS = 1.0, 3.0
START_S = 300.0
PICTURES = 8
PAUSE_S = 0.005
"""Before each reading: the threads of the one before look for work for about a millisecond before they sleep, and would
hold up the other process's reading, which the frames of a camera, tens of milliseconds apart, never meet."""


@dataclass(frozen=True)
class Added:
    """Milliseconds, each percentile over the same frames."""

    frames: int
    bytes_a_frame: int
    here_p50: float
    here_p99: float
    daemon_p50: float
    """From the submission, pixels in their slot, to the result in the client's hands."""
    daemon_p99: float
    around_p50: float
    """The same less what the daemon's own Screener took: socket, queue, threads and checks."""
    around_p99: float
    question_p50: float
    """A question without a frame and its answer: what two processes on this machine need to talk at all."""
    question_p99: float

    @property
    def added_p50(self) -> float:
        """What the daemon adds to the median."""
        return self.daemon_p50 - self.here_p50

    @property
    def added_p99(self) -> float:
        """What the daemon adds to the 99th percentile."""
        return self.daemon_p99 - self.here_p99

    @property
    def passed(self) -> bool:
        """Whether both are inside the limits."""
        return self.enough and self.added_p50 <= LIMIT_P50_MS and self.added_p99 <= LIMIT_P99_MS

    @property
    def enough(self) -> bool:
        """Whether the frames are enough to state a 99th percentile."""
        return self.frames >= samples_needed(99)


def measure(client: Client, screener: Screener, pictures: Sequence[UInt8Array], frames: int, warmup: int = 10) -> Added:
    """Read every frame twice, in turn: by the Screener of this process, and by the daemon.

    Which comes first changes from frame to frame, and the pixels of each are written just before, here into memory of
    this process, there into the slot. Raises `NotMeasured` when the two do not agree.
    """
    here, there, around, questions = [], [], [], []
    own = np.empty_like(pictures[0])
    for number in range(frames + warmup):
        picture = pictures[number % len(pictures)]
        if number % 2:
            mine_ms, outcome = _here(screener, picture, own, number)
        there_ms, result = _there(client, picture, number)
        if not number % 2:
            mine_ms, outcome = _here(screener, picture, own, number)
        if outcome != result.outcome.name:
            raise NotMeasured(f"frame {number}: {outcome} here, {result.outcome.name} by the daemon ({result.reason})")
        start = time.perf_counter()
        client.health()
        question_ms = (time.perf_counter() - start) * 1e3
        if number >= warmup:
            questions.append(question_ms)
            here.append(mine_ms)
            there.append(there_ms)
            around.append(there_ms - result.timings_ms[-1])
    found = [percentile(values, p) for values in (here, there, around, questions) for p in (50, 99)]
    return Added(frames, pictures[0].nbytes, *found)


def _here(screener: Screener, picture: UInt8Array, own: UInt8Array, number: int) -> tuple[float, str]:
    time.sleep(PAUSE_S)
    np.copyto(own, picture)
    start = time.perf_counter()
    outcome = screener.screen(Frame(own.view(), number, "bench")).outcome.name
    return (time.perf_counter() - start) * 1e3, outcome


def _there(client: Client, picture: UInt8Array, number: int) -> tuple[float, Result]:
    time.sleep(PAUSE_S)
    slot = client.free_slot()
    assert slot is not None
    client.fill(slot, picture)
    height, width = picture.shape[:2]
    start = time.perf_counter()
    client.submit(slot, width, height, sequence=number)
    result = client.result()
    return (time.perf_counter() - start) * 1e3, result


def pictures_of(source: str, count: int = PICTURES) -> list[UInt8Array]:
    """Pictures of one size. Raises `NotMeasured` when there is none."""
    found: list[UInt8Array] = []
    with open_camera(source) as camera:
        while len(found) < count:
            try:
                frame = camera.read()
            except FrameUnreadable:
                continue
            if frame is None:
                break
            if not found or frame.pixels.shape == found[0].shape:
                found.append(frame.pixels)
    if not found:
        raise NotMeasured(f"{source}: gave no frame that can be read; name another --source")
    return found


@contextmanager
def started(command: Sequence[str], path: Path) -> Iterator[None]:
    """A daemon in a process of its own, ended when the context ends. Raises `NotMeasured` if it does not get ready."""
    with tempfile.TemporaryFile() as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        try:
            end = time.monotonic() + START_S
            while not _ready(path):
                if process.poll() is not None or time.monotonic() > end:
                    said.seek(0)
                    raise NotMeasured(f"the daemon did not get ready: {said.read()[-500:].decode(errors='replace')}")
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


def _ready(path: Path) -> bool:
    try:
        with Client(path, "bench") as client:
            return client.health().state is not DaemonState.LIVE
    except DaemonGone:
        return False


def connect(path: Path, picture: UInt8Array) -> Client:
    """A client for pictures of that size, which come again and again; a slow answer is measured, not given up."""
    return Client(
        path,
        "bench",
        slots=2,
        slot_bytes=picture.nbytes,
        order=FrameOrder.EVERY,
        stored_pictures=True,
        answer_s=START_S,
        max_age_ms=60_000,
    )


def measure_by(path: Path, screener: Screener, pictures: Sequence[UInt8Array], frames: int) -> Added:
    """As `measure`, by a client of the daemon at `path`."""
    with connect(path, pictures[0]) as client:
        return measure(client, screener, pictures, frames)


def report(added: Added) -> str:
    """What was found, for people."""

    def p99(value: float) -> str:
        return f"{value:12.3f}" if added.enough else " n too small"

    verdict = "PASS" if added.passed else "FAIL"
    if not added.enough:
        verdict = f"INVALID: p99 needs {samples_needed(99)} frames, got {added.frames}; measure more with --frames"
    lines = [
        f"{added.frames} frames of {added.bytes_a_frame / 1e6:.1f} MB, each read here and by the daemon in turn",
        f"{'ms':24}{'p50':>9}{'p99':>12}",
        f"{'in this process':24}{added.here_p50:9.3f}{p99(added.here_p99)}",
        f"{'by the daemon':24}{added.daemon_p50:9.3f}{p99(added.daemon_p99)}",
        f"{'added':24}{added.added_p50:9.3f}{p99(added.added_p99)}   (limits {LIMIT_P50_MS} and {LIMIT_P99_MS})",
        f"{'around the reading':24}{added.around_p50:9.3f}{p99(added.around_p99)}   (less the daemon's own reading)",
        f"{'a question, no frame':24}{added.question_p50:9.3f}{p99(added.question_p99)}",
        verdict,
    ]
    return "\n".join(lines)


def run(options: argparse.Namespace) -> int:
    """The verb `measure`; 0 inside the limits, 1 not, 2 of too few frames. Raises `ScreeningError`, `CameraError`."""
    engine = ["--engine", options.engine, "--precision", options.precision]
    engine += ["--threads", str(options.threads)] if options.threads else []
    named = {"bundle": options.bundle, "site-profile": options.site_profile, "trusted-keys": options.trusted_keys}
    files = [word for name, path in named.items() if path is not None for word in (f"--{name}", str(path))]
    files += ["--station", options.station] if options.station else []
    site = open_site(options.site_profile, options.trusted_keys, station=options.station)
    pictures = pictures_of(options.source)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        huge = ["--huge-pages"] if options.huge_pages else []
        command = [sys.executable, "-m", "runtime.daemon", "--socket", str(path), *files, *engine, *huge]
        with (
            started(command, path),
            screener_for(
                site,
                open_bundle(options.bundle),
                engine=options.engine,
                precision=options.precision,
                threads=options.threads,
                reject_repeats=False,
            ) as screener,
        ):
            added = measure_by(path, screener, pictures, options.frames)
    if options.json:
        sys.stdout.write(json.dumps(_plain(added)) + "\n")
    else:
        sys.stdout.write(report(added) + "\n")
    return 0 if added.passed else 1 if added.enough else 2


def _plain(added: Added) -> dict[str, float | None]:
    """A 99th percentile of too few frames is null."""
    figures = asdict(added) | {"added_p50": added.added_p50, "added_p99": added.added_p99}
    return {name: None if name.endswith("_p99") and not added.enough else value for name, value in figures.items()}
