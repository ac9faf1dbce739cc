"""Where frames come from: pictures, folders, the readings of `runtime.screen`, anything that `open_camera` opens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from calibration.errors import CalibrationError
from calibration.facts import UNKNOWN, Kind
from calibration.tables import Listed, listed_beside
from device.cameras import Camera, open_camera
from device.checked_file import read_whole, strict_json
from device.errors import FrameUnreadable
from device.frame import Frame
from device.schemes import is_simulated
from runtime.csv_rows import LARGEST
from runtime.reading import READING_SCHEMA

READINGS = "readings.jsonl"
NOT_READABLE = "not readable"
NOT_GRADABLE = "not gradable when it was screened"
NOT_FOUND = "gradable when it was screened, but its picture was not found"


@dataclass(frozen=True)
class Sources:
    """What to look at."""

    specs: tuple[str, ...]
    """Each a source that `open_camera` understands, or an output folder of `runtime.screen`."""
    pictures: tuple[str, ...] = ()
    """Where the pictures behind readings are, since readings name no folders; sources of `open_camera`."""
    device: str | None = None
    """The camera that took frames which no `labels.csv` beside them says it of."""
    frames: int | None = None
    """At most so many frames of each source; needed for one without an end."""


@dataclass(frozen=True)
class SourceFrame:
    """One frame of a source, or why there is none."""

    kind: Kind
    frame: Frame | None = None
    refused: str = ""
    device: str = UNKNOWN
    group: str | None = None


def seen_frames(sources: Sources) -> Iterator[SourceFrame]:
    """Every frame of every source in turn.

    Raises `CalibrationError` for a source that has no end or readings that cannot be used, `CameraError` for one that
    cannot be opened or is lost.
    """
    for spec in sources.specs:
        if spec.strip() and (Path(spec) / READINGS).is_file():
            yield from _screened(Path(spec) / READINGS, sources)
        else:
            yield from _shown(spec, sources)


def _shown(spec: str, sources: Sources) -> Iterator[SourceFrame]:
    with open_camera(spec) as camera:
        _require_end(spec, camera, sources)
        kind, listed, device = _kind(spec, camera), _listed(spec), sources.device or _simulated_device(spec)
        left = sources.frames
        while left is None or left > 0:
            left = None if left is None else left - 1
            try:
                frame = camera.read()
            except FrameUnreadable:
                yield SourceFrame(kind, refused=NOT_READABLE)
                continue
            if frame is None:
                return
            row = listed.get(frame.source)
            named = row.device if row is not None else None
            yield SourceFrame(
                kind, frame, device=named or device or UNKNOWN, group=row.group if row is not None else None
            )


def _screened(readings: Path, sources: Sources) -> Iterator[SourceFrame]:
    """The frames of gradable readings, found again among `sources.pictures` by the SHA-256 of their pixels."""
    if not sources.pictures:
        raise CalibrationError(
            f"{readings}: readings hold no pictures; say where these are: --pictures, the source that was screened"
        )
    wanted: Counter[str] = Counter()
    for number, (sha256, gradable) in enumerate(_readings(readings)):
        if sources.frames is not None and number >= sources.frames:
            break
        if gradable and sha256 is not None:
            wanted[sha256] += 1
        else:
            yield SourceFrame("readings", refused=NOT_GRADABLE)
    for spec in sources.pictures:
        for seen in _shown(spec, sources) if wanted else ():
            if seen.frame is None or not wanted[seen.frame.sha256]:
                continue
            wanted[seen.frame.sha256] -= 1
            wanted += Counter()  # drops those that are all found
            yield SourceFrame("readings", seen.frame, device=seen.device, group=seen.group)
            if not wanted:
                break
    for _ in range(wanted.total()):
        yield SourceFrame("readings", refused=NOT_FOUND)


def _readings(path: Path) -> Iterator[tuple[str | None, bool]]:
    """SHA-256 of the frame's pixels and whether it was gradable, of each reading."""
    try:
        lines = read_whole(path, LARGEST).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f"{path}: cannot be read ({error}); expected readings of runtime.screen") from None
    for number, line in enumerate(lines, start=1):
        try:
            reading = strict_json(line)
            if reading["schema"] != READING_SCHEMA:
                raise ValueError(f"schema {reading['schema']!r}")
            quality = reading["quality"]
            sha256, gradable = reading["frame"]["sha256"], quality is not None and quality["gradable"] is True
        except (ValueError, LookupError, TypeError) as error:
            raise CalibrationError(
                f"{path}, line {number}: not a reading ({error}); expected {READING_SCHEMA}, one object a line"
            ) from None
        yield sha256, gradable


def _require_end(spec: str, camera: Camera, sources: Sources) -> None:
    if camera.frame_count is None and sources.frames is None:
        raise CalibrationError(f"{spec}: has no known end; say how many frames to look at: --frames N")


def _kind(spec: str, camera: Camera) -> Kind:
    if is_simulated(spec):
        return "simulated"
    if Path(spec).exists():
        return "recording" if camera.live else "pictures"
    return "camera"


def _listed(spec: str) -> dict[str, Listed]:
    path = Path(spec)
    if path.is_dir():
        return listed_beside(path)
    return listed_beside(path.parent) if path.is_file() else {}


def _simulated_device(spec: str) -> str | None:
    if not is_simulated(spec):
        return None
    from device.cameras.simulated import SimulatedConfig

    return f"simulated {SimulatedConfig.parse(spec).device}"
