"""`DriftWatch`: which readings the watch for drift counts, and where it keeps what it saw between two starts."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from device.checked_file import read_at_most, strict_json
from device.outputs import write_whole
from runtime.checked_json import model_from
from runtime.decide import refer_probability
from runtime.errors import BundleError
from runtime.quality import REPEATED
from runtime.reading import DriftFacts, Reading
from runtime.trust.drift import EVERYTHING, FEATURES, REFERENCE, DriftState, Observation, Reference, References, observe

if TYPE_CHECKING:
    from runtime.bundle import Bundle

SPACING_S = 5.0
"""Of one source, a frame counts when this much time lies between it and the last one that counted: the frames of a
video are nearly the same picture. Every picture file counts, as it is a source of its own."""
STATE_LIMIT_BYTES = 1024 * 1024


class DriftWatch:
    """Counts readings against a reference. One thread at a time."""

    def __init__(self, reference: Reference, refer_classes: tuple[str, ...], file: Path | None = None) -> None:
        """file: where the state is kept; one that cannot be read, or is of another reference, is begun anew."""
        self._reference = reference
        self._refer = refer_classes
        self._file = file
        self._id = hashlib.sha256(reference.model_dump_json().encode()).hexdigest()
        self._last: tuple[str, datetime] | None = None
        self.state = self._kept()

    @property
    def facts(self) -> DriftFacts:
        """What a reading says of it."""
        return self.state.facts

    def count(self, reading: Reading) -> None:
        """Count a reading, when it is one that counts. Never raises."""
        quality = reading.quality
        if quality is None or REPEATED in quality.reasons or not self._is_apart(reading):
            return
        self._last = (_camera(reading), reading.frame.captured_at)
        self.state = observe(self.state, Observation(quality.gradable, self._values(reading)), self._reference)
        self._keep()

    def _is_apart(self, reading: Reading) -> bool:
        if self._last is None or self._last[0] != _camera(reading):
            return True
        # Whichever way the clock goes, also when it was set back.
        return abs(reading.frame.captured_at.timestamp() - self._last[1].timestamp()) >= SPACING_S

    def _values(self, reading: Reading) -> dict[str, float] | None:
        if reading.probabilities is None or reading.vessel_fraction is None or reading.quality is None:
            return None
        known = {
            **reading.quality.measures,
            "vessel_fraction": reading.vessel_fraction,
            "score": refer_probability(reading.probabilities, self._refer),
        }
        return {name: known[name] for name in FEATURES} if set(FEATURES) <= set(known) else None

    def _kept(self) -> DriftState:
        if self._file is None:
            return DriftState()
        try:
            content = strict_json(read_at_most(self._file, STATE_LIMIT_BYTES))
            if content["reference"] != self._id:
                return DriftState()
            return DriftState.from_dict(content["state"], self._reference)
        except (OSError, ValueError, KeyError, TypeError):
            return DriftState()

    def _keep(self) -> None:
        """Not synced to the disk: after a power loss some frames are counted anew, and no result depends on it."""
        if self._file is None:
            return
        state = json.dumps({"reference": self._id, "state": self.state.to_dict()})
        with contextlib.suppress(OSError):
            write_whole(self._file, state.encode())


def _camera(reading: Reading) -> str:
    """The source without the number of its frame: `sim:12`, `clip.mp4#12`; after a reconnection `camera:0:12~1`."""
    return re.sub(r"[:#]\d+(~\d+)?$", "", reading.frame.source)


def open_watch(
    bundle: Bundle, name: str = EVERYTHING, gradable_share: float | None = None, file: Path | None = None
) -> DriftWatch | None:
    """The watch by the bundle's reference of that name; None where it holds none at all.

    gradable_share: of the site, in place of the reference's. Raises `BundleError` for a reference that cannot be used.
    """
    reference = open_reference(bundle, name)
    if reference is None:
        return None
    if gradable_share is not None:
        reference = reference.model_copy(update={"gradable_share": gradable_share})
    refer = tuple(label.name for label in bundle.manifest.classes if label.refer)
    return DriftWatch(reference, refer, file)


def open_reference(bundle: Bundle, name: str = EVERYTHING) -> Reference | None:
    """The bundle's reference of that name; None where it holds none at all. Raises `BundleError`."""
    if REFERENCE not in {entry.path for entry in bundle.manifest.files}:
        return None
    try:
        found = model_from(References, bundle.read(REFERENCE)).references
    except ValueError as error:
        first = str(error).splitlines()[0]
        raise BundleError(f"bundle {bundle.path}: {REFERENCE} cannot be used ({first}); build it again") from None
    if name not in found:
        raise BundleError(
            f"bundle {bundle.path}: has no drift reference {name!r}, it has: {', '.join(found)}; "
            f"name one of these in the site's profile"
        )
    return found[name]
