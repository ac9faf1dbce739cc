"""One run, open: its frames, its model and what was measured of them, from the first look to the report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timezone

from device.live import open_source
from runtime.bench.beside import check_beside, look_after, look_before
from runtime.bench.errors import BenchError
from runtime.bench.judge.verdict import Evidence, judge
from runtime.bench.measure.benchmark import WarmUp, measure, warm_up
from runtime.bench.measure.environment import environment
from runtime.bench.measure.kernel import memory_reader
from runtime.bench.measure.loads import NeverStop, Wait
from runtime.bench.measure.progress import ProgressLine
from runtime.bench.measure.sampler import MachineLog, Sampler, joined_logs
from runtime.bench.measure.samples import Column, Samples, joined_samples
from runtime.bench.measure.supply import Pool, Supply, open_supply
from runtime.bench.opened import Found, MakeScreener, Opened, Say
from runtime.bench.options import LoadPlan, ModelOptions, Run, Until
from runtime.bench.report.assemble import About, assemble
from runtime.bench.schema import Report
from runtime.bench.words import GPU_STAGES, OPEN_LOADS
from runtime.bundle import Bundle, open_bundle
from runtime.commands.stop import Interrupted, Stop
from runtime.screener import Screener
from runtime.site_screener import screener_for
from runtime.trust.site import Site, open_site

DEFAULT_RATE_HZ = 30.0
BOOTSTRAP_SEED = 0


def run_session(
    run: Run, command: tuple[str, ...], stop: Stop, say: Say, make_screener: MakeScreener | None = None
) -> Report:
    """Measure as the run says. What cannot be opened raises before anything is measured.

    Raises `BenchError`, `BundleError`, `EngineError`, `SiteError`, `CameraError`, and `Interrupted` when it was stopped
    before there was anything to report. say: takes a line about what is going on. make_screener: by default after the
    run's model.
    """
    with opened(run, stop, make_screener) as session:
        session.found.cold_start = look_before(run, session.opened.supply, stop, say)
        say("warming up, then measuring")
        session.warm_up(stop)
        session.measure(run.until, stop)
        look_after(session.opened, session.found, stop, say)
        return session.report(command)


@contextlib.contextmanager
def opened_supply(run: Run, stop: Stop) -> Iterator[Supply]:
    """The run's frames: loaded, or a live camera that stays open."""
    with contextlib.ExitStack() as stack:
        with stop.interruptible:
            camera = stack.enter_context(open_source(run.source))
            supply = open_supply(camera, (run.warmup or 0) + (run.until.frames or 1000))
        if isinstance(supply, Pool):
            camera.close()
        yield supply


@contextlib.contextmanager
def opened(
    run: Run, stop: Stop, make_screener: MakeScreener | None = None, supply: Supply | None = None
) -> Iterator[Session]:
    """A session with its model loaded; all that could keep it from its end is looked at now.

    supply: frames that others read, too; by default the run's own.
    """
    model = run.model
    site = open_site(model.site_profile, model.trusted_keys, station=model.station)
    bundle = open_bundle(model.bundle)
    with contextlib.ExitStack() as stack:
        frames = supply or stack.enter_context(opened_supply(run, stop))
        check_beside(run, frames, bundle)
        make = make_screener or maker(model, site, repeats=frames.paced)
        resident_mb = memory_reader()
        before_mb = resident_mb()
        screener = stack.enter_context(make(bundle, model.precision))
        yield Session(Opened(run, frames, site, bundle, screener, make), lambda: resident_mb() - before_mb)


def maker(model: ModelOptions, site: Site, *, repeats: bool) -> MakeScreener:
    """Makes Screeners as the model says. repeats: take a picture that is one of the last 32 for a frozen camera's."""

    def make(bundle: Bundle, precision: str) -> Screener:
        return screener_for(
            site, bundle, engine=model.engine, precision=precision, threads=model.threads, reject_repeats=repeats
        )

    return make


class Session:
    """A run whose source, site, bundle and engine are open; what is measured, in one turn or in several, adds up."""

    def __init__(self, opened: Opened, grown_mb: Callable[[], float]) -> None:
        """grown_mb: by how much the process's memory has grown since before the engine was loaded."""
        self.created = datetime.now(timezone.utc)
        self.opened = opened
        self.found = Found()
        self.stopped = False
        self._grown_mb = grown_mb
        self._engine_mb: float | None = None
        self._warmed = WarmUp(0, None)
        self._turns: list[tuple[Samples, MachineLog]] = []
        self._on_gpu = False

    @property
    def load(self) -> LoadPlan:
        """The load; a camera that paces itself is held to a rate only when one was asked."""
        asked = self.opened.run.load
        if asked.rate_hz is None and asked.kind in OPEN_LOADS and not self.opened.supply.paced:
            return replace(asked, rate_hz=DEFAULT_RATE_HZ)
        return asked

    def warm_up(self, stop: Wait = NeverStop()) -> None:  # noqa: B008 (no state)
        """Read frames without noting them.

        Raises `Interrupted` when it was stopped meanwhile, `BenchError` for a budget of a stage that this engine does
        not have.
        """
        self._warmed = warm_up(self.opened.screener, self.opened.supply, self.opened.run.warmup, stop)
        if stop.requested:
            raise Interrupted
        self._engine_mb = max(0.0, self._grown_mb())
        self._on_gpu = self.opened.screener.gpu_ms() is not None
        for stage in self.opened.run.goals.stage_budgets_ms:
            if stage in GPU_STAGES and not self._on_gpu:
                backend = self.opened.screener.facts.backend
                raise BenchError(
                    f"--stage-budget {stage}: {backend} gives no times of a GPU; leave it out, or name another --engine"
                )

    def measure(self, until: Until, stop: Stop) -> None:
        """A turn: frames of the load until its end, beside them the machine."""
        load = replace(self.load, seed=self.load.seed + len(self._turns))
        line, sampler = ProgressLine(until), Sampler()
        clock = self.opened.screener.gpu_ms if self._on_gpu else None
        try:
            with sampler:
                samples = measure(
                    self.opened.screener, self.opened.supply, load, until, stop=stop, progress=line, gpu_ms=clock
                )
        finally:
            line.close()
        self.add(samples, sampler.log)
        self.stopped = stop.requested

    def settle(self, frames: int, stop: Wait) -> None:
        """Read a few frames without noting them, after another engine ran."""
        warm_up(self.opened.screener, self.opened.supply, frames, stop)

    def newest_totals_ms(self) -> Column:
        """The total of each frame of the last turn that both networks read."""
        return self._turns[-1][0].row_ms("total")

    def keep(self, turns: int) -> None:
        """Forget all after so many turns."""
        del self._turns[turns:]

    def add(self, samples: Samples, log: MachineLog) -> None:
        """A turn that was measured elsewhere."""
        self._turns.append((samples, log))

    def report(self, command: tuple[str, ...], streams: int = 1) -> Report:
        """Everything judged and put together. streams: read at once, this one among them."""
        run, load = self.opened.run, self.load
        seeds = {"bootstrap": BOOTSTRAP_SEED} | ({"arrivals": load.seed} if load.kind == "poisson" else {})
        about = About(
            created=self.created,
            command=command,
            input=self.opened.supply.facts(run.source),
            bundle=self.opened.bundle,
            engine=self.opened.screener.facts,
            trust=self.opened.screener.trust,
            threads=run.model.threads,
            environment=environment(),
            warmed=self._warmed,
            engine_mb=self._engine_mb,
            turns=len(self._turns),
            streams=streams,
            seeds=seeds,
            found=self.found,
        )
        samples = joined_samples([samples for samples, _ in self._turns])
        evidence = Evidence(
            samples=samples,
            machine=joined_logs([log for _, log in self._turns], [part.seconds for part, _ in self._turns]),
            goals=run.goals,
            plan=load,
            until=run.until,
            stopped=self.stopped,
            unreadable=self.opened.supply.unreadable,
            paced_by_camera=self.opened.supply.paced,
            governor=about.environment.governor,
            soak=run.soak,
            failed_parts=tuple(self.found.failed),
            sizes=about.input.sizes,
            model=run.model,
            precision=about.engine.precision,
            warm=self._warmed.steady,
            cold_start=self.found.cold_start,
        )
        return assemble(about, evidence, judge(evidence))
