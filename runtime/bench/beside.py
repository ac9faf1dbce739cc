"""What is looked at beside speed: the cold start before a run; peers, accuracy and layers after it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from device.errors import CameraError
from device.schemes import is_simulated
from runtime.bench.errors import BenchError
from runtime.bench.measure.accuracy import check_labels, judged_frames, measure_accuracy
from runtime.bench.measure.cold_start import measure_cold_start
from runtime.bench.measure.labels import by_name, read_labels
from runtime.bench.measure.layers import measure_layers
from runtime.bench.measure.supply import Pool, Supply
from runtime.bench.opened import Found, Opened, Say
from runtime.bench.options import Run
from runtime.bench.peers.choose import check_peers, peers_of
from runtime.bench.peers.turns import EACH, ROUNDS, measure_peers
from runtime.bench.schema import ColdStartPart
from runtime.bundle import Bundle
from runtime.commands.stop import Stop
from runtime.errors import BundleError, ScreeningError
from runtime.trust.site import named_in_environment

MOST_FRAMES = 16
"""Of a pool, that peers and layers are read from."""


def check_beside(run: Run, supply: Supply, bundle: Bundle) -> None:
    """What would keep a part from its end is to be known before the run, not after it. Raises `BenchError`."""
    beside = run.beside
    check_peers(beside.peers, beside.checkpoint, supply, bundle)
    if beside.layers and not isinstance(supply, Pool):
        raise BenchError("--layers needs frames that come again; use a stored source or sim: without fps")
    if beside.labels is not None:
        if supply.paced:
            raise BenchError("--labels needs frames that come again; use a stored source")
        check_labels(run.source, by_name(read_labels(beside.labels)))


def look_before(run: Run, supply: Supply, stop: Stop, say: Say) -> ColdStartPart | None:
    """Before the run, so that no process of it is left beside the measuring. A live camera lends no frame to it."""
    if not run.beside.cold_start or not isinstance(supply, Pool):
        return None
    model = run.model
    site = named_in_environment(model.site_profile, model.trusted_keys, model.station)
    with stop.interruptible:
        return measure_cold_start(
            supply.frames[0], model.bundle, model.engine, model.precision, model.threads, site, say
        )


def look_after(opened: Opened, found: Found, stop: Stop, say: Say) -> None:
    """After the run, unless it was stopped; what fails is noted, and does not take the report with it."""
    parts: tuple[tuple[str, Callable[[Opened, Found, Stop, Say], None]], ...] = (
        (f"--peer {', '.join(opened.run.beside.peers)} failed", _peers),
        ("accuracy could not be measured", _accuracy),
        ("--layers failed", _layers),
    )
    for what, look in parts:
        if stop.requested:
            return
        try:
            look(opened, found, stop, say)
        except (CameraError, ScreeningError) as error:
            found.failed.append(f"{what}: {error}")


def _peers(opened: Opened, found: Found, stop: Stop, say: Say) -> None:
    """In turns with ours."""
    names, supply = opened.run.beside.peers, opened.supply
    if not names or not isinstance(supply, Pool):
        return
    say(f"peers {', '.join(names)}: {ROUNDS} rounds of {EACH} frames in turns")
    with contextlib.ExitStack() as stack:
        peers = peers_of(opened, stack, stop)
        if peers:
            found.peers = measure_peers(opened.screener, peers, supply.frames[:MOST_FRAMES], stop=stop)


def _accuracy(opened: Opened, found: Found, stop: Stop, say: Say) -> None:
    """On frames of their own. A live camera's frames never come again, so they are not judged."""
    run, bundle = opened.run, opened.bundle
    if not run.beside.accuracy or opened.supply.paced:
        return
    say("accuracy: reading frames once more against truth and fp32")
    labels = None if run.beside.labels is None else by_name(read_labels(run.beside.labels))
    with contextlib.ExitStack() as stack:
        reference = None
        if opened.screener.facts.precision != "fp32":
            with contextlib.suppress(BundleError):  # a bundle without fp32 graphs has nothing to agree with
                reference = stack.enter_context(opened.make(bundle, "fp32"))
        found.accuracy = measure_accuracy(
            judged_frames(run.source, labels),
            opened.screener,
            reference,
            tuple(label.name for label in bundle.manifest.classes if label.refer),
            truth="labels" if labels is not None else "simulated" if is_simulated(run.source) else "none",
            stopped=lambda: stop.requested,
        )


def _layers(opened: Opened, found: Found, stop: Stop, say: Say) -> None:
    """By an engine of its own: one that times its layers is slower."""
    if not opened.run.beside.layers or not isinstance(opened.supply, Pool):
        return
    say("layers: reading frames with an engine that times each layer")
    model = opened.run.model
    with stop.interruptible:
        found.layers = measure_layers(
            opened.bundle,
            opened.screener.facts.backend,
            model.precision,
            model.threads,
            opened.supply.frames[:MOST_FRAMES],
        )
