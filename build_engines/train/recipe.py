"""What a training rests on: only the same may go on with a saved state, or held-out frames have been trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from torch import nn

from build_engines.errors import TrainingDataError
from build_engines.segimgnet import NetworkSize
from build_engines.train.data import TrainingFrame
from build_engines.train.settings import PhaseSettings

Recipe = Mapping[str, str]
"""Each thing by name, in a word or as a SHA-256."""
DECIDES = ("steps", "batch", "peak_rate", "seed")
"""Of the settings; how often is saved or looked changes no weight."""


def recipe_of(
    frames: Iterable[TrainingFrame], size: NetworkSize, settings: PhaseSettings, frozen: nn.Module | None = None
) -> Recipe:
    """Of a phase. frames: those that are trained on. frozen: a network whose outputs are trained on."""
    known = {name: str(value) for name, value in asdict(settings).items() if name in DECIDES}
    known |= {"network size": size.name, "training frames": digest_of(frames)}
    return known if frozen is None else known | {"vessel segmentation": _weights(frozen)}


def digest_of(frames: Iterable[TrainingFrame]) -> str:
    """SHA-256 of what the frames are, by the contents of their files, wherever they lie and in whatever order."""
    lines = sorted(
        " ".join(
            [
                repr((frame.dataset, frame.device, frame.group, frame.ridge_in_view)),
                *map(_content, (frame.image, frame.vessel_mask, frame.ridge_mask, frame.disc_mask)),
            ]
        )
        for frame in frames
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def require_same(what: Path, saved: object, now: Recipe) -> None:
    """Raises `TrainingDataError` that names what differs."""
    known = saved if isinstance(saved, Mapping) else {}
    differs = [name for name in now if known.get(name) != now[name]]
    if differs:
        raise TrainingDataError(
            f"{what}: was trained with other {', '.join(differs)}; train as it was begun, or name another --out"
        )


def _content(file: Path | None) -> str:
    if file is None:
        return "-"
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        raise TrainingDataError(f"{file}: cannot be read ({error.strerror}); is the data set whole?") from None


def _weights(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()
