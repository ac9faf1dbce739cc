"""One benchmark from its options to its report: everything opened, measured, judged and closed again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime, timezone
from importlib.util import find_spec

from device.errors import CameraError
from device.live import open_source
from device.schemes import is_simulated
from runtime.bench.arguments import Options
from runtime.bench.errors import BenchError
from runtime.bench.judge.goals import Goals
from runtime.bench.judge.verdict import Evidence, judge
from runtime.bench.measure.accuracy import check_labels, judged_frames, measure_accuracy
from runtime.bench.measure.benchmark import measure, warm_up
from runtime.bench.measure.cold_start import measure_cold_start
from runtime.bench.measure.environment import environment
from runtime.bench.measure.labels import Label, read_labels
from runtime.bench.measure.loads import LoadPlan, Until
from runtime.bench.measure.progress import ProgressLine
from runtime.bench.measure.sampler import Sampler
from runtime.bench.measure.supply import Pool, Supply, open_supply
from runtime.bench.peers.peer import (
    EACH,
    MOST_FRAMES,
    ROUNDS,
    ChildPeer,
    Peer,
    ScreenerPeer,
    measure_peer,
    pytorch_command,
)
from runtime.bench.report.assemble import About, assemble
from runtime.bench.schema import AccuracyPart, ColdStartPart, PeerPart, Report
from runtime.bench.words import GPU_STAGES
from runtime.bundle import Bundle, open_bundle
from runtime.commands.stop import Interrupted, Stop
from runtime.errors import BundleError, ScreeningError
from runtime.screener import Screener
from runtime.site_screener import screener_for
from runtime.trust.site import Site, named_in_environment, open_site

DEFAULT_RATE_HZ = 30.0
BOOTSTRAP_SEED = 0

MakeScreener = Callable[[Bundle, str], Screener]
"""A Screener for a bundle and a precision."""
Say = Callable[[str], None]


def run_session(
    options: Options, command: tuple[str, ...], stop: Stop, say: Say, make_screener: MakeScreener | None = None
) -> Report:
    """Measure as the options say. What cannot be opened raises before anything is measured.

    Raises `BenchError`, `BundleError`, `EngineError`, `SiteError`, `CameraError`, and `Interrupted` when it was stopped
    before there was anything to report. say: takes a line about what is going on. make_screener: by default after the
    options.
    """
    created = datetime.now(timezone.utc)
    labels = None if options.labels is None else read_labels(options.labels)
    site, bundle = open_site(options.site_profile, options.trusted_keys), open_bundle(options.bundle)
    until = Until(seconds=options.soak) if options.soak else Until(options.frames)
    with contextlib.ExitStack() as stack:
        with stop.interruptible:
            camera = stack.enter_context(open_source(options.source))
            supply = open_supply(camera, options.warmup + options.frames)
        _check_peer(options, supply, bundle)
        if labels is not None:
            if supply.paced:
                raise BenchError("--labels needs frames that come again; use a stored source")
            check_labels(options.source, labels)
        make = make_screener or _maker(options, site, repeats=supply.paced)
        screener = stack.enter_context(make(bundle, options.precision))
        if isinstance(supply, Pool):
            camera.close()
        cold = _cold_start(options, supply, stop, say)
        say(f"warming up ({options.warmup} frames), then measuring")
        warm_up(screener, supply, options.warmup, stop)
        _unless_stopped(stop)
        on_gpu = screener.gpu_ms() is not None
        for stage, _ in options.stage_budgets:
            if stage in GPU_STAGES and not on_gpu:
                raise BenchError(
                    f"--stage-budget {stage}: {screener.facts.backend} gives no times of a GPU; leave it out, or name "
                    "another --engine"
                )
        plan = load_plan(options, supply)
        line = ProgressLine(until)
        sampler = Sampler()
        try:
            with sampler:
                clock = screener.gpu_ms if on_gpu else None
                samples = measure(screener, supply, plan, until, stop=stop, progress=line, gpu_ms=clock)
        finally:
            line.close()
        stopped = stop.requested
        peer, accuracy, failed = None, None, []
        if not stopped:
            try:
                peer = _peer(options, supply, site, bundle, screener, stop, say)
            except ScreeningError as error:
                failed.append(f"--peer {options.peer} failed: {error}")
            try:
                accuracy = _accuracy(options, supply, labels, bundle, screener, make, stop, say)
            except (CameraError, ScreeningError) as error:
                failed.append(f"accuracy could not be measured: {error}")
        about = About(
            created=created,
            command=command,
            input=supply.facts(options.source),
            bundle=bundle,
            engine=screener.facts,
            trust=screener.trust,
            threads=options.threads,
            environment=environment(),
            warmup=options.warmup,
            seeds={"bootstrap": BOOTSTRAP_SEED} | ({"arrivals": plan.seed} if plan.kind == "poisson" else {}),
            cold_start=cold,
            accuracy=accuracy,
            peer=peer,
        )
    evidence = Evidence(
        samples=samples,
        machine=sampler.log,
        goals=goals(options),
        plan=plan,
        until=until,
        stopped=stopped,
        unreadable=supply.unreadable,
        paced_by_camera=supply.paced,
        governor=about.environment.governor,
        soak=options.soak is not None,
        failed_parts=tuple(failed),
    )
    return assemble(about, evidence, judge(evidence))


def goals(options: Options) -> Goals:
    """What the run is held against."""
    return Goals(options.percentile, options.budget_ms, dict(options.stage_budgets), options.miss_rate)


def load_plan(options: Options, supply: Supply) -> LoadPlan:
    """The load; a camera that paces itself is held to a rate only when one was asked."""
    rate_hz = options.rate
    if rate_hz is None and options.load in ("camera", "burst", "poisson") and not supply.paced:
        rate_hz = DEFAULT_RATE_HZ
    return LoadPlan(options.load, rate_hz, options.burst, options.idle_s, options.seed)


def _maker(options: Options, site: Site, *, repeats: bool) -> MakeScreener:
    def make(bundle: Bundle, precision: str) -> Screener:
        return screener_for(
            site, bundle, engine=options.engine, precision=precision, threads=options.threads, reject_repeats=repeats
        )

    return make


def _unless_stopped(stop: Stop) -> None:
    if stop.requested:
        raise Interrupted


def _cold_start(options: Options, supply: Supply, stop: Stop, say: Say) -> ColdStartPart | None:
    """Before the run, so that no process of it is left beside the measuring. A live camera lends no frame to it."""
    if not options.cold_start or not isinstance(supply, Pool):
        return None
    say("cold start: four fresh processes")
    with stop.interruptible:
        return measure_cold_start(
            supply.frames[0],
            options.bundle,
            options.engine,
            options.precision,
            options.threads,
            named_in_environment(options.site_profile, options.trusted_keys),
        )


def _check_peer(options: Options, supply: Supply, bundle: Bundle) -> None:
    """What would keep the peer from running is to be known before the run, not after it."""
    if options.peer is None:
        return
    if not isinstance(supply, Pool):
        raise BenchError("--peer needs frames that both can be given; use a stored source or sim: without fps")
    module = "torch" if options.peer == "pytorch" else "onnxruntime"
    if find_spec(module) is None:
        raise BenchError(f"--peer {options.peer}: {module} is not installed here; install it, or leave --peer out")
    if options.checkpoint is not None and not options.checkpoint.is_file():
        raise BenchError(f"--checkpoint {options.checkpoint}: no such file; name what the bundle was built from")
    if options.peer == "pytorch" and options.checkpoint is None and "fp32" not in bundle.precisions("classifier"):
        raise BenchError("--peer pytorch: the bundle has no fp32 graphs to take weights from; name its --checkpoint")


def _peer(
    options: Options, supply: Supply, site: Site, bundle: Bundle, screener: Screener, stop: Stop, say: Say
) -> PeerPart | None:
    """In turns with ours."""
    if options.peer is None or not isinstance(supply, Pool):
        return None
    say(f"peer {options.peer}: {ROUNDS} rounds of {EACH} frames in turns")
    with contextlib.ExitStack() as stack:
        peer: Peer
        if options.peer == "pytorch":
            command = pytorch_command(options.checkpoint, bundle.path, options.threads)
            try:
                with stop.interruptible:
                    peer = stack.enter_context(ChildPeer(command))
            except Interrupted:
                return None
        else:
            from runtime.bench.peers.onnxruntime_engine import OnnxRuntimeEngine

            engine = OnnxRuntimeEngine(
                bundle, bundle.resolve_precision(screener.facts.backend, options.precision), options.threads
            )
            other = stack.enter_context(screener_for(site, bundle, engine=engine, reject_repeats=False))
            peer = ScreenerPeer(other, other.facts)
        return measure_peer(screener, peer, supply.frames[:MOST_FRAMES], options.peer, stop=stop)


def _accuracy(
    options: Options,
    supply: Supply,
    labels: dict[str, Label] | None,
    bundle: Bundle,
    screener: Screener,
    make: MakeScreener,
    stop: Stop,
    say: Say,
) -> AccuracyPart | None:
    """After the run, on frames of their own. A live camera's frames never come again, so they are not judged."""
    if not options.accuracy or supply.paced:
        return None
    say("accuracy: reading frames once more against truth and fp32")
    with contextlib.ExitStack() as stack:
        reference = None
        if screener.facts.precision != "fp32":
            with contextlib.suppress(BundleError):  # a bundle without fp32 graphs has nothing to agree with
                reference = stack.enter_context(make(bundle, "fp32"))
        return measure_accuracy(
            judged_frames(options.source, labels),
            screener,
            reference,
            tuple(label.name for label in bundle.manifest.classes if label.refer),
            truth="labels" if labels is not None else "simulated" if is_simulated(options.source) else "none",
            stopped=lambda: stop.requested,
        )
