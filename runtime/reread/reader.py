"""`BatchReader`: what one process or one node does, a Screener of one thread that reads batches of stored frames."""

from __future__ import annotations

import os
import platform
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from device.errors import DeviceError
from device.version import software_version
from runtime.decide import refer_probability
from runtime.errors import ScreeningError
from runtime.reread.errors import RereadError
from runtime.reread.places import is_address, picture_place
from runtime.reread.row import MEASURES, RereadResult, result_of, unread
from runtime.reread.stored import Stored

if TYPE_CHECKING:
    from device.frame import Frame
    from runtime.reading import Reading
    from runtime.reread.keyring import JournalKeys

FRAME_LIMIT_S = 300.0
"""A reader that is at one frame for longer is ended."""
THREADS = 1
"""Of the engine, everywhere: sums of floating point depend on how many threads share them, results must not."""
FAR_AHEAD = 8
"""Frames of an object storage that are asked for while one is read: each answer takes several frames' time."""
THUMBNAIL_PIXELS, THUMBNAIL_QUALITY = 320, 80
NOTHING = "the camera gave no frame"
OTHER_FRAME = "the stored frame is not the one that was read then"
CHANGED = "the file changed since it was listed; run again when nobody writes there"


@dataclass(frozen=True)
class ReaderSettings:
    """How every reader reads, wherever it runs."""

    bundle: str | None
    """Folder; None is the active bundle or the demonstration."""
    engine: str = "openvino"
    precision: str = "auto"
    site_profile: str | None = None
    trusted_keys: str | None = None
    station: str = ""
    """Which cart a profile is asked for."""
    key_files: tuple[str, ...] = ()
    """Of journals, at the same place wherever a reader runs: a key itself never travels."""


@dataclass(frozen=True)
class ReaderFacts:
    """What has to be the same for every reader of a run, and for those that go on with it later."""

    bundle_sha256: str
    site_profile_sha256: str
    """Empty without one."""
    software: str
    backend: str
    precision: str
    device: str
    threshold: float
    cpu_class: str
    """Results are the same to the bit among CPUs of one class only."""
    openvino: str


def require_same(first: ReaderFacts, other: ReaderFacts) -> None:
    """Raises `RereadError` that names what differs."""
    differs = ", ".join(
        f"{name} {getattr(other, name) or 'none'} and {value or 'none'}"
        for name, value in vars(first).items()
        if getattr(other, name) != value
    )
    if differs:
        raise RereadError(f"readers are not alike ({differs}); results would depend on who read a frame")


def busy() -> float:
    """By how much this machine has more to do than CPUs to do it, 1 at least."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


class BatchReader:
    """One Screener and what it needs. One thread at a time; raises what `Screener` raises when it cannot be made."""

    def __init__(self, settings: ReaderSettings, *, limit_s: float | None = None) -> None:
        """limit_s: of one frame on a machine that is not busy; this process ends by SIGALRM when one takes longer. None
        is none, for a process that has more to do."""
        self._limit_s = limit_s
        if limit_s is not None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM})
        from runtime.bundle import open_bundle
        from runtime.cpu_class import cpu_class
        from runtime.reread.keyring import JournalKeys
        from runtime.site_screener import screener_for
        from runtime.trust.site import open_site

        cv2.setNumThreads(1)
        bundle = open_bundle(_path(settings.bundle))
        site = open_site(_path(settings.site_profile), _path(settings.trusted_keys), station=settings.station)
        self._refer = tuple(label.name for label in bundle.manifest.classes if label.refer)
        self._screener = screener_for(
            site,
            bundle,
            engine=settings.engine,
            precision=settings.precision,
            threads=THREADS,
            reject_repeats=False,
        )
        self._keys = JournalKeys(settings.key_files)
        self._loader = ThreadPoolExecutor(FAR_AHEAD, thread_name_prefix="load")
        engine = self._screener.facts
        self.facts = ReaderFacts(
            bundle.sha256,
            site.profile_sha256 or "",
            software_version(),
            engine.backend,
            engine.precision,
            engine.device,
            self._screener.threshold,
            cpu_class() or platform.machine(),
            _openvino_version(),
        )

    def told(self) -> ReaderFacts:
        """`facts`, for who can only call it from elsewhere."""
        return self.facts

    def read(self, batch: Sequence[Stored]) -> list[RereadResult]:
        """A result for every frame, in their order; whatever is wrong with a frame is in its row."""
        results, frames = [], self._frames(batch)
        for stored in batch:
            with self._limited():
                results.append(self._read(stored, next(frames)))
        return results

    @contextmanager
    def _limited(self) -> Iterator[None]:
        """The kernel ends this process when a frame takes too long: whatever hangs, no code of ours has to run."""
        if self._limit_s is not None:
            signal.setitimer(signal.ITIMER_REAL, self._limit_s * busy())
        try:
            yield
        finally:
            if self._limit_s is not None:
                signal.setitimer(signal.ITIMER_REAL, 0)

    def _frames(self, batch: Sequence[Stored]) -> Iterator[Frame | str]:
        """Each frame, or why there is none; the next ones are loaded while this one is read."""
        ahead: deque[Future[Frame | str]] = deque()
        rest = iter(batch)
        for stored in batch:
            most = FAR_AHEAD if is_address(stored.folder) else 1
            ahead.extend(self._loader.submit(load, one, self._keys) for one in islice(rest, most + 1 - len(ahead)))
            yield ahead.popleft().result()

    def _read(self, stored: Stored, frame: Frame | str) -> RereadResult:
        if isinstance(frame, str):
            return unread(stored, frame)
        reading = self._screener.screen(frame)
        quality = reading.quality
        measures = {} if quality is None else {n: quality.measures[n] for n in MEASURES if n in quality.measures}
        known = reading.probabilities
        return result_of(
            stored,
            outcome=reading.outcome.value,
            reason=reading.reason,
            sha256=reading.frame.sha256,
            probability=None if known is None else refer_probability(known, self._refer),
            gradable=None if quality is None else quality.gradable,
            vessel_fraction=reading.vessel_fraction,
            measures=measures,
            thumbnail=_thumbnail(stored, frame, reading),
        )

    def close(self) -> None:
        """Give everything back."""
        self._loader.shutdown(cancel_futures=True)
        self._screener.close()


def load(stored: Stored, keys: JournalKeys) -> Frame | str:
    """A stored frame, or in a few words why it cannot be had. Never raises, and never names a file."""
    try:
        return _from_journal(stored, keys) if stored.file is None else _from_file(stored, stored.file)
    except DeviceError as error:
        name = getattr(error, "source", "")
        return str(error).removeprefix(f"{name}: ") if name else str(error)
    except ScreeningError as error:
        return str(error)
    except OSError as error:
        return f"cannot be read ({error.strerror or type(error).__name__})"
    except MemoryError:
        return "too large for this machine's memory"
    except Exception as error:  # whatever a decoder raises, it is this frame's and no other's
        return f"software fault while it was loaded: {type(error).__name__}"


def _from_journal(stored: Stored, keys: JournalKeys) -> Frame | str:
    from device.frame import Frame
    from runtime.exam.journal.png import decode_png

    if stored.image_sha256 is None:
        return NOTHING
    pixels = decode_png(keys.images(stored.folder).read(stored.image_sha256))
    frame = Frame(pixels, sequence=stored.order[1], source="stored")
    return frame if frame.sha256 == stored.frame_sha256 else OTHER_FRAME


def _from_file(stored: Stored, name: str) -> Frame | str:
    place, expected = picture_place(stored.folder), (stored.size, stored.mtime_ns)
    if place.state(name) != expected:
        return CHANGED
    frame = place.frame(name, stored.order[1])
    return frame if place.state(name) == expected else CHANGED


def _thumbnail(stored: Stored, frame: Frame, reading: Reading) -> bytes | None:
    if stored.old_outcome is None or stored.old_outcome == reading.outcome.value:
        return None
    scale = THUMBNAIL_PIXELS / max(frame.width, frame.height)
    pixels = frame.pixels
    if scale < 1:
        size = (max(1, round(frame.width * scale)), max(1, round(frame.height * scale)))
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, THUMBNAIL_QUALITY]
    )
    return data.tobytes() if done else None


def _openvino_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("openvino")
    except PackageNotFoundError:
        return "none"


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)
