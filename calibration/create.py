"""`create_set`: from sources of frames to a calibration set, written aside and put in place whole."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calibration.choose import Choice, choose, feature_points
from calibration.errors import CalibrationError, TooFewFrames
from calibration.facts import (
    FEATURES,
    INPUT,
    SET_FILE,
    BundleUsed,
    ChosenFrame,
    FeatureStatistics,
    Population,
    Refusal,
    SetFacts,
    SourceFacts,
)
from calibration.gather import Gathered, Usable, gather, scratch_file
from calibration.keep_out import Exclusion, KeepOut, exclusion
from calibration.opened import CalibrationSet, digest, open_set
from calibration.segmentation import bundle_used, segmentation
from calibration.sources import Sources, seen_frames
from calibration.write import replacing, set_text

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.engines.base import Engine

TOOLS = ("rop-screening-runtime", "numpy", "opencv-python-headless", "pillow", "openvino")
"""Packages whose versions the set names."""
MOST_POPULATION = 2000
"""Usable frames whose features the set keeps: ample for every comparison, and `set.json` stays small."""


def create_set(
    sources: Sources,
    out: Path | str,
    *,
    count: int = 128,
    seed: int = 1,
    bundle: Bundle | None = None,
    keep_out: KeepOut = KeepOut(),  # noqa: B008 (frozen)
    engine: Engine | None = None,
    progress: Callable[[Gathered], None] = lambda gathered: None,
) -> CalibrationSet:
    """Choose `count` frames of the sources and write them to the folder `out`; an earlier set there is replaced.

    bundle: whose segmentation tells the vessel density, None for the demonstration's. engine: what runs it, None for
    the runtime's choice; one that is given stays open. The same frames, seed and bundle give the same choice.

    Raises `TooFewFrames`, `CalibrationError`, `BundleError`, `EngineError`, or `CameraError` for a source that cannot
    be opened; nothing is left at `out` then that was not there before.
    """
    if count < 1:
        raise CalibrationError(f"count: got {count}, expected 1 or more frames")
    from runtime.bundle import open_bundle

    bundle = bundle or open_bundle()
    kept_out = exclusion(keep_out)
    with replacing(Path(out)) as aside:
        scratch = aside / "usable"
        scratch.mkdir()
        with segmentation(bundle, engine) as running:
            used = bundle_used(bundle, running)
            gathered = gather(seen_frames(sources), running, kept_out, scratch, progress)
        _require_enough(gathered, count)
        choice = choose(feature_points(gathered.usable), count, seed)
        frames = _place(gathered.usable, choice, scratch, aside)
        content = _content(gathered, kept_out, choice, frames, used, seed)
        (aside / SET_FILE).write_text(set_text(content), encoding="utf-8")
    return open_set(out)


def _require_enough(gathered: Gathered, count: int) -> None:
    if len(gathered.usable) >= count:
        return
    found = len(gathered.usable)
    advice = f"name more sources, or ask for fewer: --count {found}" if found else "name other sources"
    raise TooFewFrames(needed=count, found=found, refused=gathered.reasons, advice=advice)


def _place(usable: list[Usable], choice: Choice, scratch: Path, folder: Path) -> list[ChosenFrame]:
    """Move the chosen pictures into the set's folder under their new names, and drop the others."""
    chosen = []
    for rank, (number, distance) in enumerate(zip(choice.order, choice.distances, strict=True)):
        name, frame = f"frame_{rank:04d}.png", usable[number]
        picture = scratch_file(scratch, frame.number).replace(folder / name)
        chosen.append(
            ChosenFrame(
                file=name,
                sha256=hashlib.sha256(picture.read_bytes()).hexdigest(),
                pixels_sha256=frame.pixels_sha256,
                device=frame.device,
                rank=rank,
                distance=None if distance is None else round(distance, 6),
                features=frame.features,
            )
        )
    shutil.rmtree(scratch)
    return chosen


def _content(
    gathered: Gathered, kept_out: Exclusion, choice: Choice, frames: list[ChosenFrame], used: BundleUsed, seed: int
) -> dict[str, Any]:
    """The JSON object of `set.json`, with the SHA-256 of the whole."""
    facts = SetFacts(
        schema="rop.calibration/1",
        created=datetime.now(timezone.utc).date().isoformat(),
        input=INPUT,
        bundle=used,
        tools=_tools(),
        seed=seed,
        sources=tuple(SourceFacts(kind=kind, frames=number) for kind, number in sorted(gathered.looked_at.items())),
        exclusions=kept_out.facts,
        refused=tuple(Refusal(reason=reason, frames=number) for reason, number in gathered.reasons.items()),
        devices=dict(sorted(Counter(frame.device for frame in frames).items())),
        covering_distance=round(choice.covering_distance, 6),
        statistics={name: statistics([frame.features[name] for frame in frames]) for name in FEATURES},
        population=_population(gathered, seed),
        frames=tuple(frames),
        sha256="0" * 64,
    )
    content = facts.model_dump(mode="json", by_alias=True)
    return content | {"sha256": digest(content)}


def statistics(values: Sequence[float]) -> FeatureStatistics:
    """How the values of a feature are spread; at least one value."""
    array = np.asarray(values, np.float64)
    p5, median, p95 = np.percentile(array, (5, 50, 95))
    named = {"mean": array.mean(), "std": array.std(), "min": array.min(), "max": array.max()}
    named |= {"p5": p5, "median": median, "p95": p95}
    return FeatureStatistics(**{name: round(float(value), 6) for name, value in named.items()})


def _population(gathered: Gathered, seed: int) -> Population:
    usable = gathered.usable
    kept = np.sort(np.random.default_rng(seed).permutation(len(usable))[:MOST_POPULATION])
    features = {name: tuple(usable[number].features[name] for number in kept) for name in FEATURES}
    return Population(frames=len(usable), devices=gathered.devices(), features=features)


def _tools() -> dict[str, str]:
    found = {}
    for name in TOOLS:
        # JetPack brings OpenCV without pip's knowledge.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
