"""A site's decisions put into force: the Screener as the signed profile wants it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.budget import Budget
from runtime.engines import load_engine
from runtime.engines.address import is_address
from runtime.errors import EngineAway, EngineError
from runtime.read_here import ALLOWED, ReadsHere
from runtime.screener import Screener
from runtime.trust.guard import Guard
from runtime.trust.site import Site
from runtime.trust.word import check_server, sites_word

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.engines.base import Engine


def screener_for(
    site: Site,
    bundle: Bundle,
    *,
    engine: str | Engine = "auto",
    precision: str = "auto",
    threads: int | None = None,
    budget: Budget = Budget(),  # noqa: B008 (frozen)
    reject_repeats: bool = True,
    threshold: float | None = None,
    drift_file: Path | None = None,
    repeats: bool = False,
    gates: bool = False,
    occlusion: bool = False,
) -> Screener:
    """A Screener that is guarded and obeys the site, see `sites_word`.

    drift_file: keeps the watch for drift between two starts. repeats: have an engine without known answers repeat
    itself. gates, occlusion: see `Screener`. Raises what `Guard` and `Screener` raise.
    """

    def guarded(guard: Guard, engine: str | Engine) -> Screener:
        return Screener(
            bundle,
            engine=engine,
            precision=precision,
            threads=threads,
            budget=budget,
            reject_repeats=reject_repeats,
            threshold=threshold,
            trust=guard,
            gates=gates,
            occlusion=occlusion,
        )

    def fresh() -> Guard:
        return Guard(bundle, site, drift_file=drift_file, repeats=repeats)

    guard = fresh()
    if isinstance(engine, str) and is_address(engine):
        engine = _served(site, guard, engine, precision, threads, threshold)
    try:
        return guarded(guard, engine)
    except EngineAway as error:  # lost while it was tested: no wrong answer, which is another error
        if not isinstance(engine, ReadsHere):
            raise
        guard = fresh()
        return guarded(guard, _instead(load_engine(guard.bundle, "auto", "auto", threads), error))


def _served(
    site: Site, guard: Guard, address: str, precision: str, threads: int | None, threshold: float | None
) -> Engine:
    """A server's engine; where the site's profile allows it, with this machine's own for what the server cannot tell.

    A server that cannot be reached now is then left alone until the program is started again.
    """
    check_server(site, address)
    profile = site.profile
    if profile is None or profile.servers is None or not profile.servers.read_here:
        return load_engine(guard.bundle, address, precision, threads)
    here = load_engine(guard.bundle, "auto", "auto", threads)
    try:
        server = load_engine(guard.bundle, address, precision, threads)
    except EngineAway as error:
        return _instead(here, error)
    except BaseException:
        here.close()
        raise
    both = ReadsHere(server, here, guard_here := Guard(guard.bundle, site))
    try:
        guard_here.engine_loaded(here, sites_word(site, guard.bundle, threshold=threshold).threshold)
        if problem := guard_here.problem:
            raise EngineError(f"{here.facts.backend}: {problem}; no server may be read by without an engine behind it")
    except BaseException:
        both.close()
        raise
    return both


def _instead(here: Engine, error: EngineAway) -> Engine:
    """This machine's engine alone, which says so."""
    here.facts = replace(here.facts, why=f"{error}; {ALLOWED}, until this program is started again; {here.facts.why}")
    return here
