"""Peers against ours: the same frames read by turns, so that a user sees what the runtime buys."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from device.frame import Frame
from runtime.bench.errors import BenchError
from runtime.bench.measure.loads import NeverStop, Wait
from runtime.bench.peers.peer import Peer
from runtime.bench.schema import PeerPart
from runtime.commands.stop import Interrupted
from runtime.outcome import Outcome
from runtime.reading import Reader

ROUNDS, EACH = 15, 6
"""A B A B ...: fifteen turns of six timed frames each, so that a slow minute of the machine falls on all."""
REST_S = 0.25
"""Before each turn: for about 80 ms after its last frame PyTorch's threads make another process's frames slower."""
SETTLING = 2
"""Frames at the head of a turn that are read and not timed: the other's data is still in the caches."""
DRAWS = 4000

Read = Callable[[Frame], tuple[float, str]]
"""Milliseconds that a whole frame took, and its outcome."""


def measure_peers(
    ours: Reader,
    peers: Mapping[str, Peer],
    frames: Sequence[Frame],
    *,
    stop: Wait = NeverStop(),  # noqa: B008 (no state)
    rounds: int = ROUNDS,
    each: int = EACH,
    seed: int = 0,
) -> tuple[PeerPart, ...]:
    """Read the same frames by turns, ours and each peer, and hold the whole frames' times against each other.

    All rest before each turn, so that none is slowed by what another's threads still do. The interval is a bootstrap
    over rounds, both sides of a round drawn together. Empty when it was stopped: no ratio is stated of rounds that are
    not done. Raises `BenchError` when a peer fails.
    """

    def read_ours(frame: Frame) -> tuple[float, str]:
        reading = ours.screen(frame)
        if reading.outcome is Outcome.NO_RESULT:
            raise BenchError(f"ours gave no result to hold against it: {reading.reason}")
        return reading.timings_ms.total or 0.0, reading.outcome.value

    readers: list[Read] = [read_ours, *(_checked(name, peer, stop) for name, peer in peers.items())]
    took = np.zeros((len(readers), rounds, each))
    outcomes: list[list[str]] = [[] for _ in readers]
    for turn in range(rounds):
        picked = [frames[(turn * each + index) % len(frames)] for index in range(-SETTLING, each)]
        for number, read in enumerate(readers):
            try:
                _rest(stop)
                found = [read(fresh(frame)) for frame in picked if not stop.requested][SETTLING:]
            except Interrupted:
                return ()
            if stop.requested:
                return ()
            took[number, turn] = [ms for ms, _ in found]
            outcomes[number] += [outcome for _, outcome in found]
    drawn = np.random.default_rng(seed).integers(0, rounds, (DRAWS, rounds))
    return tuple(
        _part(name, peer, took[0], took[number], drawn, outcomes[0], outcomes[number])
        for number, (name, peer) in enumerate(peers.items(), 1)
    )


def _rest(stop: Wait) -> None:
    with stop.interruptible:
        time.sleep(REST_S)


def _checked(name: str, peer: Peer, stop: Wait) -> Read:
    """A peer may hang; the wait for it can be broken off, where ours is left to come to its end."""

    def read(frame: Frame) -> tuple[float, str]:
        with stop.interruptible:
            took_ms, outcome = peer.read(frame)
        if outcome == Outcome.NO_RESULT.value:
            raise BenchError(f"{name}: {peer.facts.backend} gave no result, so its time says nothing")
        return took_ms, outcome

    return read


def _part(
    name: str,
    peer: Peer,
    ours: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    theirs: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    drawn: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    our_outcomes: Sequence[str],
    their_outcomes: Sequence[str],
) -> PeerPart:
    """ours, theirs: milliseconds, [rounds, frames of a turn]. drawn: numbers of rounds, [draws, rounds]."""
    medians = [np.median(side[drawn].reshape(len(drawn), -1), axis=1) for side in (theirs, ours)]
    low, high = np.percentile(medians[0] / medians[1], (2.5, 97.5))
    ours_p50, peer_p50 = float(np.median(ours)), float(np.median(theirs))
    same = sum(a == b for a, b in zip(our_outcomes, their_outcomes, strict=True))
    return PeerPart(
        name=name,
        backend=peer.facts.backend,
        precision=peer.facts.precision,
        device=peer.facts.device,
        rounds=len(ours),
        frames_each=ours.size,
        ours_p50_ms=ours_p50,
        peer_p50_ms=peer_p50,
        ratio=peer_p50 / ours_p50,
        ratio_low=float(low),
        ratio_high=float(high),
        same_outcome=same / len(our_outcomes),
    )


def fresh(frame: Frame) -> Frame:
    """The frame as a camera would give it again: its pixels copied, its hash not known yet."""
    return Frame(frame.pixels.copy(), frame.sequence, frame.source, captured_ns=time.monotonic_ns())
