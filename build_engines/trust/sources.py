"""The sources of a drift reference, checked before the networks are asked: they are there, end, and suffice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from build_engines.errors import BuildError
from calibration.errors import CalibrationError
from calibration.tables import listed_beside
from device.cameras import open_camera
from device.schemes import is_simulated
from runtime.bundle import Bundle
from runtime.trust.drift import FEWEST


def check_sources(
    bundle: Bundle, sources: Mapping[str, Sequence[str]], report: Callable[[str], None] = lambda line: None
) -> None:
    """Open every source and look at what is said of its pictures; nothing is read by the networks.

    Raises `BuildError` for a source without an end, named for two cameras, with too few frames, or of another camera by
    the `labels.csv` beside it; `CameraError` for one that cannot be opened. A camera that the bundle's figures do not
    name is told, not refused.
    """
    owner: dict[str, str] = {}
    for name, texts in sources.items():
        frames = 0
        for text in texts:
            place = text if is_simulated(text) else str(Path(text).resolve())
            if place in owner:
                raise BuildError(
                    f"--reference {name}={text}: was named for {owner[place]} already; name each source once"
                )
            owner[place] = name
            frames += _frames(name, text)
            _require_device(name, text)
        if frames < FEWEST:
            raise BuildError(f"reference {name}: got {frames} frames, needed {FEWEST} gradable ones; name more")
    known = {metric.device for metric in bundle.manifest.metrics if metric.task == "classification"} - {"all"}
    for name in sources:
        if known and name not in known:
            named = ", ".join(sorted(known))
            report(f"note: the bundle's figures name {named}, not {name}; expected the name that a cart's camera bears")


def _frames(name: str, text: str) -> int:
    with open_camera(text) as camera:
        count = camera.frame_count
    if count is None:
        raise BuildError(f"--reference {name}={text}: has no known end; expected pictures, a recording, or frames=N")
    return count


def _require_device(name: str, text: str) -> None:
    """What a source says of its own camera must be the name that it is given."""
    path = Path(text)
    if is_simulated(text) or not path.exists():
        return
    try:
        rows = listed_beside(path if path.is_dir() else path.parent)
    except CalibrationError as error:
        raise BuildError(f"--reference {name}={text}: {error}") from None
    said = Counter(row.device for row in rows.values() if row.device and (path.is_dir() or row.image.name == path.name))
    others = {device: count for device, count in said.items() if device != name}
    if others:
        told = ", ".join(f"{device} of {count} pictures" for device, count in others.items())
        raise BuildError(
            f"--reference {name}={text}: labels.csv beside it says {told}, expected {name}; name each camera's own"
        )
