"""A site's decisions put into force: the Screener as the signed profile wants it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runtime.budget import Budget
from runtime.screener import Screener
from runtime.trust.guard import Guard
from runtime.trust.site import Site

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
    return Screener(
        bundle,
        engine=engine,
        precision=precision,
        threads=threads,
        budget=budget,
        reject_repeats=reject_repeats,
        threshold=threshold,
        trust=Guard(bundle, site, drift_file=drift_file, repeats=repeats),
        gates=gates,
        occlusion=occlusion,
    )
