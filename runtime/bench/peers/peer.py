"""Peers: the same frames read another way, in turns with ours, so that a user sees what the runtime buys."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from device.frame import Frame
from runtime.bench.errors import BenchError
from runtime.bench.measure.benchmark import Reader
from runtime.bench.measure.loads import NeverStop, Wait
from runtime.bench.schema import PeerPart
from runtime.commands.stop import Interrupted
from runtime.outcome import Outcome
from runtime.reading import EngineFacts

PROTOCOL = "rop.peer/1"
ROUNDS, EACH = 15, 6
"""A B A B ...: fifteen turns of six timed frames each, so that a slow minute of the machine falls on both."""
REST_S = 0.25
"""Before each turn: for about 80 ms after its last frame PyTorch's threads make another process's frames slower."""
SETTLING = 2
"""Frames at the head of a turn that are read and not timed: the other's data is still in the caches."""
MOST_FRAMES = 16
DRAWS = 4000
CLOSING_S = 10.0


class Peer(Protocol):
    """Another way to read frames; a context manager."""

    facts: EngineFacts

    def read(self, frame: Frame) -> tuple[float, str]:
        """Milliseconds that the whole frame took it, and the outcome. Raises `BenchError`."""
        ...


class ScreenerPeer:
    """A peer in this process: a Screener with another engine, so that all but the engine is the same."""

    def __init__(self, screener: Reader, facts: EngineFacts) -> None:
        self._screener = screener
        self.facts = facts

    def read(self, frame: Frame) -> tuple[float, str]:
        """The Screener's own total."""
        reading = self._screener.screen(frame)
        return reading.timings_ms.total or 0.0, reading.outcome.value


class ChildPeer:
    """A peer in a process of its own, which may import what the runtime may not; it speaks `rop.peer/1`.

    One JSON object a line. The child first says `{"schema": "rop.peer/1", "backend", "precision", "device"}`; then to
    each `{"frame": PATH}` (a .npy of uint8 [H, W, 3] RGB) it answers `{"total_ms", "outcome"}`, its own time for the
    whole frame from pixels in memory to the outcome, or `{"error": TEXT}`. It ends when its input does.
    """

    def __init__(self, command: Sequence[str]) -> None:
        """Start it and wait until it is ready. Raises `BenchError` with its own words when it is not."""
        self._places = contextlib.ExitStack()
        self._folder = Path(self._places.enter_context(tempfile.TemporaryDirectory(prefix="rop-peer-")))
        self._errors = self._folder / "stderr"
        self._paths: dict[str, Path] = {}
        try:
            with self._errors.open("wb") as errors:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    encoding="utf-8",
                    start_new_session=True,  # a terminal's Ctrl-C is for us, who then still write the report so far
                )
        except OSError as error:
            self._places.close()
            raise BenchError(f"peer: {command[0]} cannot be started ({error.strerror})") from None
        try:
            ready = self._answer()
            if ready.get("schema") != PROTOCOL:
                raise BenchError(f"peer: said {str(ready)[:80]}, expected its facts in {PROTOCOL}")
            self.facts = EngineFacts(*(str(ready.get(name)) for name in ("backend", "precision", "device")))
        except BaseException:  # also a signal that breaks the wait
            self.close()
            raise

    def read(self, frame: Frame) -> tuple[float, str]:
        """What the child says of a frame; the pixels of each are written once, by name."""
        path = self._paths.get(frame.sha256)
        if path is None:
            path = self._paths[frame.sha256] = self._folder / f"{len(self._paths)}.npy"
            np.save(path, frame.pixels)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then it has ended, which reading its answer tells
            self._process.stdin.write(json.dumps({"frame": str(path)}) + "\n")
            self._process.stdin.flush()
        answer = self._answer()
        try:
            return float(answer["total_ms"]), str(answer["outcome"])
        except (KeyError, TypeError, ValueError):
            raise BenchError(f"peer: answered {str(answer)[:80]}, expected total_ms and outcome") from None

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            raise BenchError(f"peer: ended with code {code}: {self._last_words()}")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise BenchError(f"peer: said {line.strip()[:80]!r}, expected a line of JSON ({PROTOCOL})")
        if "error" in answer:
            raise BenchError(f"peer: {answer['error']}")
        return answer

    def _last_words(self) -> str:
        lines = self._errors.read_text("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "no message"

    def close(self) -> None:
        """End the child. Closing twice is fine."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._process.wait(CLOSING_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._places.close()

    def __enter__(self) -> ChildPeer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def pytorch_command(checkpoint: Path | None, bundle: Path, threads: int | None) -> list[str]:
    """The build side's peer, eager PyTorch: known here by its name alone, nothing is imported.

    checkpoint: None for the weights in the bundle's fp32 graphs.
    """
    command = [sys.executable, "-m", "build_engines.peer", "--bundle", str(bundle)]
    command += [] if threads is None else ["--threads", str(threads)]
    return command if checkpoint is None else [*command, "--", str(checkpoint)]


def measure_peer(
    ours: Reader,
    peer: Peer,
    frames: Sequence[Frame],
    name: str,
    *,
    stop: Wait = NeverStop(),  # noqa: B008 (no state)
    rounds: int = ROUNDS,
    each: int = EACH,
    seed: int = 0,
) -> PeerPart | None:
    """Read the same frames by turns and hold the whole frames' times against each other.

    Both rest before each turn, so that neither is slowed by what the other's threads still do. The interval is a
    bootstrap over rounds, both sides of a round drawn together. None when it was stopped: no ratio is stated of rounds
    that are not done. Raises `BenchError` when the peer fails.
    """
    our_ms, peer_ms = np.zeros((rounds, each)), np.zeros((rounds, each))
    same = 0
    for turn in range(rounds):
        outcomes: list[str] = []
        _rest(stop)
        for index in range(-SETTLING, each):
            if stop.requested:
                return None
            frame = fresh(frames[(turn * each + index) % len(frames)])
            reading = ours.screen(frame)
            if reading.outcome is Outcome.NO_RESULT:
                raise BenchError(f"peer: ours gave no result to hold against it: {reading.reason}")
            if index >= 0:
                our_ms[turn, index] = reading.timings_ms.total or 0.0
                outcomes.append(reading.outcome.value)
        _rest(stop)
        for index in range(-SETTLING, each):
            try:
                with stop.interruptible:
                    took_ms, outcome = peer.read(fresh(frames[(turn * each + index) % len(frames)]))
            except Interrupted:
                return None
            if outcome == Outcome.NO_RESULT.value:
                raise BenchError(f"peer: {peer.facts.backend} gave no result, so its time says nothing")
            if index >= 0:
                peer_ms[turn, index] = took_ms
                same += outcome == outcomes[index]
    drawn = np.random.default_rng(seed).integers(0, rounds, (DRAWS, rounds))
    ratios = np.median(peer_ms[drawn].reshape(DRAWS, -1), axis=1) / np.median(our_ms[drawn].reshape(DRAWS, -1), axis=1)
    low, high = np.percentile(ratios, (2.5, 97.5))
    ours_p50, peer_p50 = float(np.median(our_ms)), float(np.median(peer_ms))
    return PeerPart(
        name=name,
        backend=peer.facts.backend,
        precision=peer.facts.precision,
        device=peer.facts.device,
        rounds=rounds,
        frames_each=rounds * each,
        ours_p50_ms=ours_p50,
        peer_p50_ms=peer_p50,
        ratio=peer_p50 / ours_p50,
        ratio_low=float(low),
        ratio_high=float(high),
        same_outcome=same / (rounds * each),
    )


def _rest(stop: Wait) -> None:
    with stop.interruptible:
        time.sleep(REST_S)


def fresh(frame: Frame) -> Frame:
    """The frame as a camera would give it again: its pixels copied, its hash not known yet."""
    return Frame(frame.pixels.copy(), frame.sequence, frame.source, captured_ns=time.monotonic_ns())
