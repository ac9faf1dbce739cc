"""What a run has open, and what was found beside speed: what its parts hand to one another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runtime.bench.measure.supply import Supply
from runtime.bench.options import Run
from runtime.bench.schema import AccuracyPart, ColdStartPart, LayerPart, PeerPart
from runtime.bundle import Bundle
from runtime.screener import Screener

if TYPE_CHECKING:
    from runtime.trust.site import Site

MakeScreener = Callable[[Bundle, str], Screener]
"""A Screener for a bundle and a precision."""
Say = Callable[[str], None]
"""Takes a line about what is going on."""


@dataclass(frozen=True)
class Opened:
    """A run's frames and its model."""

    run: Run
    supply: Supply
    site: Site
    bundle: Bundle
    screener: Screener
    make: MakeScreener
    """Others like it, of another precision."""


@dataclass
class Found:
    """What was found beside speed, and what could not be."""

    cold_start: ColdStartPart | None = None
    accuracy: AccuracyPart | None = None
    peers: tuple[PeerPart, ...] = ()
    layers: tuple[LayerPart, ...] = ()
    failed: list[str] = field(default_factory=list)
