"""Comparing two sets, or a set with the frames that a cart sees: like with like, then a verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.drift import FEWEST_FRAMES, FeatureDrift, compare_features
from calibration.errors import CalibrationError, TooFewFrames
from calibration.facts import SET_FILE
from calibration.gather import Gathered, gather
from calibration.keep_out import Exclusion
from calibration.opened import open_set
from calibration.segmentation import bundle_used, segmentation
from calibration.sources import Sources, seen_frames

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.engines.base import Engine


@dataclass(frozen=True)
class Side:
    """One of the two things that are compared."""

    name: str
    """As the user wrote it."""
    frames: int
    devices: Mapping[str, int]
    columns: Mapping[str, Sequence[float]]
    """Values by feature; of a set those of all frames that it was chosen from, since the chosen are spread on purpose.
    """
    segmentation_sha256: str
    """Of the graph that told the vessel density."""
    bundle: str


@dataclass(frozen=True)
class Drift:
    """The result of a comparison."""

    a: Side
    b: Side
    features: tuple[FeatureDrift, ...]

    @property
    def drifted(self) -> tuple[str, ...]:
        """Names of the features that drifted."""
        return tuple(feature.name for feature in self.features if feature.drifted)


def compare(
    a: str | Path,
    b: str | Path,
    *,
    sources: Sources = Sources(()),  # noqa: B008 (frozen)
    bundle: Bundle | None = None,
    engine: Engine | None = None,
    seed: int = 1,
    progress: Callable[[Gathered], None] = lambda gathered: None,
) -> Drift:
    """Compare two sides, each a set or a source of frames (a folder, readings of `runtime.screen`, a camera).

    sources: how to look at sources (`pictures`, `device`, `frames`); bundle, engine: what tells their vessel density,
    None for the demonstration's. Raises `CalibrationError` when the two cannot be compared, and what sources raise.
    """
    from runtime.bundle import open_bundle

    opened = {str(path): _of_set(str(path)) for path in (a, b) if (Path(path) / SET_FILE).is_file()}
    missing = [str(path) for path in (a, b) if str(path) not in opened]
    if missing:
        bundle = bundle or open_bundle()
        with segmentation(bundle, engine) as running:
            used = bundle_used(bundle, running)
            graph, name = used.segmentation_sha256, f"{used.name} {used.version}"
            for side in opened.values():
                _require_same_segmentation(side, graph, name)
            for spec in missing:
                opened[spec] = _of_source(spec, sources, running, graph, name, progress)
    first, second = opened[str(a)], opened[str(b)]
    _require_same_segmentation(first, second.segmentation_sha256, second.bundle)
    for side in (first, second):
        if side.frames < FEWEST_FRAMES:
            raise TooFewFrames(
                needed=FEWEST_FRAMES, found=side.frames, refused={}, advice=f"{side.name} holds too few to compare"
            )
    return Drift(first, second, compare_features(first.columns, second.columns, seed))


def _of_set(spec: str) -> Side:
    facts = open_set(spec).facts
    used, population = facts.bundle, facts.population
    name = f"{used.name} {used.version}"
    return Side(spec, population.frames, population.devices, population.features, used.segmentation_sha256, name)


def _of_source(
    spec: str, sources: Sources, engine: Engine, graph: str, bundle: str, progress: Callable[[Gathered], None]
) -> Side:
    looked = Sources((spec,), sources.pictures, sources.device, sources.frames)
    gathered = gather(seen_frames(looked), engine, Exclusion(), progress=progress)
    if len(gathered.usable) < FEWEST_FRAMES:
        raise TooFewFrames(
            needed=FEWEST_FRAMES, found=len(gathered.usable), refused=gathered.reasons, advice=f"show more of {spec}"
        )
    return Side(spec, len(gathered.usable), gathered.devices(), gathered.columns(), graph, bundle)


def _require_same_segmentation(side: Side, graph: str, bundle: str) -> None:
    if side.segmentation_sha256 != graph:
        raise CalibrationError(
            f"{side.name}: its vessel density was told by bundle {side.bundle}, the other's by {bundle}, and they "
            f"cannot be compared; name the same bundle with --bundle, or create the set anew"
        )
