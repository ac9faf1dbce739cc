"""From sources to usable frames: kept-out, ungradable and repeated ones are refused, the others are measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from calibration.facts import FEATURES, Kind
from calibration.keep_out import Exclusion
from calibration.lookalike import SAME_PICTURE, Looks, look
from calibration.sources import SourceFrame
from device.frame import Frame
from runtime.arrays import UInt8Array
from runtime.engines.base import Engine
from runtime.preprocess import network_input
from runtime.quality import grade, vessel_fraction
from runtime.screener import SMALLEST_SIDE
from runtime.sinks.picture import encode

TEST_SPLIT = "of the test split"
LIKE_TEST_SPLIT = "looking like a frame of the test split"
REPEATED_LOOK = "near-duplicate of another frame"
TOO_SMALL = f"smaller than {SMALLEST_SIDE} pixels"


@dataclass(frozen=True)
class Usable:
    """A frame that may be chosen."""

    number: int
    """In the order of reading; the frame's picture is `scratch_file(folder, number)`."""
    pixels_sha256: str
    device: str
    features: dict[str, float]
    """By the names in `FEATURES`."""


@dataclass
class Gathered:
    """What the sources held."""

    usable: list[Usable] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    """Frames by the reason for refusing them."""
    looked_at: Counter[Kind] = field(default_factory=Counter)
    """Frames by kind of source."""

    @property
    def reasons(self) -> dict[str, int]:
        """Refused frames by reason, the commonest first."""
        return dict(sorted(self.refused.items(), key=lambda item: (-item[1], item[0])))

    def devices(self) -> dict[str, int]:
        """Usable frames by device."""
        return dict(sorted(Counter(frame.device for frame in self.usable).items()))

    def columns(self) -> dict[str, list[float]]:
        """Values by feature."""
        return {name: [frame.features[name] for frame in self.usable] for name in FEATURES}


def gather(
    seen_frames: Iterable[SourceFrame],
    engine: Engine,
    exclusion: Exclusion,
    scratch: Path | None = None,
    progress: Callable[[Gathered], None] = lambda gathered: None,
) -> Gathered:
    """Look at every frame; with `scratch`, a usable frame's picture is kept there.

    Raises what the sources raise, and `EngineError` when the segmentation fails.
    """
    gathered, looks = Gathered(), Looks(SAME_PICTURE)
    for seen in seen_frames:
        gathered.looked_at[seen.kind] += 1
        if seen.frame is None:
            gathered.refused[seen.refused] += 1
        else:
            _judge(seen, seen.frame, gathered, looks, engine, exclusion, scratch)
        progress(gathered)
    return gathered


def _judge(
    seen: SourceFrame,
    frame: Frame,
    gathered: Gathered,
    looks: Looks,
    engine: Engine,
    exclusion: Exclusion,
    scratch: Path | None,
) -> None:
    """Refuse a frame or put it among the usable ones. What costs least is asked first."""
    reason, image, measures = _look_at(seen, frame, exclusion)
    if not reason:
        image_hash = look(image[0])
        if exclusion.resembles(image[0]):
            reason = LIKE_TEST_SPLIT
        elif looks.hold(image_hash):
            reason = REPEATED_LOOK
        else:
            looks.add(image_hash)
    if reason:
        gathered.refused[reason] += 1
        return
    density = vessel_fraction(engine.infer(image).vessels >= 0.5, image[0])
    features = {name: round(float((measures | {"vessel_density": density})[name]), 6) for name in FEATURES}
    number = len(gathered.usable)
    if scratch is not None:
        scratch_file(scratch, number).write_bytes(encode(image[0], ".png", drawn=False))
    gathered.usable.append(Usable(number, frame.sha256, seen.device, features))


def _look_at(seen: SourceFrame, frame: Frame, exclusion: Exclusion) -> tuple[str, UInt8Array, dict[str, float]]:
    """Why the frame is refused, if it is; what the networks see of it; the quality gate's measures."""
    nothing: UInt8Array = np.empty((0,), np.uint8)
    if exclusion.names(seen.group, frame.sha256):
        return TEST_SPLIT, nothing, {}
    if min(frame.width, frame.height) < SMALLEST_SIDE:
        return TOO_SMALL, nothing, {}
    image = network_input(frame.pixels)
    quality = grade(image[0])
    return "" if quality.gradable else quality.reasons[0], image, dict(quality.measures)


def scratch_file(folder: Path, number: int) -> Path:
    """Where a usable frame's picture is kept until the choice is made."""
    return folder / f"{number}.png"
