"""The peers by name: what each needs, and how it is opened."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from runtime.bench.errors import BenchError
from runtime.bench.measure.supply import Pool, Supply
from runtime.bench.opened import Opened
from runtime.bench.peers.peer import ChildPeer, Peer, ScreenerPeer
from runtime.bundle import Bundle
from runtime.commands.stop import Interrupted, Stop
from runtime.engines.base import Engine
from runtime.screener import Screener

MODULES = {"onnxruntime": "onnxruntime", "openvino": "openvino", "pytorch": "torch"}
"""What a peer's first word needs installed."""


def check_peers(names: Sequence[str], checkpoint: Path | None, supply: Supply, bundle: Bundle) -> None:
    """What would keep a peer from running is to be known before the run, not after it. Raises `BenchError`."""
    if names and not isinstance(supply, Pool):
        raise BenchError("--peer needs frames that both can be given; use a stored source or sim: without fps")
    for name in names:
        kind, _, word = name.partition("-")
        if find_spec(MODULES[kind]) is None:
            raise BenchError(f"--peer {name}: {MODULES[kind]} is not installed here; install it, or leave --peer out")
        if kind == "pytorch":
            if checkpoint is not None and not checkpoint.is_file():
                raise BenchError(f"--checkpoint {checkpoint}: no such file; name what the bundle was built from")
            if checkpoint is None and "fp32" not in bundle.precisions("classifier"):
                raise BenchError(
                    f"--peer {name}: the bundle has no fp32 graphs to take weights from; name its --checkpoint"
                )
        elif word:
            bundle.resolve_precision(kind, word)


def peers_of(opened: Opened, stack: contextlib.ExitStack, stop: Stop) -> dict[str, Peer]:
    """All that the run asks for, open until the stack ends; none when it was stopped meanwhile."""
    peers: dict[str, Peer] = {}
    for name in opened.run.beside.peers:
        if name.startswith("pytorch"):
            command = pytorch_command(
                opened.run.beside.checkpoint,
                opened.bundle.path,
                opened.run.model.threads,
                compiled=name == "pytorch-compile",
            )
            try:
                with stop.interruptible:
                    peers[name] = stack.enter_context(ChildPeer(command))
            except Interrupted:
                return {}
        else:
            engine = _engine(name, opened)
            # Nobody vouches for a peer: what it reads otherwise is told as a share, and is no reason not to time it.
            other = stack.enter_context(Screener(opened.bundle, engine=engine, reject_repeats=False, trust="off"))
            peers[name] = ScreenerPeer(other, other.facts)
    return peers


def _engine(name: str, opened: Opened) -> Engine:
    """Of the same graphs as ours, or of those that the name says."""
    from runtime.bench.peers.onnxruntime_engine import OnnxRuntimeEngine
    from runtime.bench.peers.openvino_engine import PlainOpenVINOEngine

    kind, _, word = name.partition("-")
    make = {"onnxruntime": OnnxRuntimeEngine, "openvino": PlainOpenVINOEngine}[kind]
    precision: Mapping[str, str] = opened.bundle.resolve_precision(
        opened.screener.facts.backend, word or opened.run.model.precision
    )
    return make(opened.bundle, dict(precision), opened.run.model.threads)


def pytorch_command(checkpoint: Path | None, bundle: Path, threads: int | None, *, compiled: bool = False) -> list[str]:
    """The build side's peer, PyTorch eager or compiled: known here by its name alone, nothing is imported.

    checkpoint: None for the weights in the bundle's fp32 graphs.
    """
    command = [sys.executable, "-m", "build_engines.peer", "--bundle", str(bundle)]
    command += [] if threads is None else ["--threads", str(threads)]
    command += ["--compile"] if compiled else []
    return command if checkpoint is None else [*command, "--", str(checkpoint)]
