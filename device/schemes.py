"""Sources that are no path: one table of their schemes, by which every command knows what is live and what is drawn."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from device.errors import SourceNotFound
from device.secrets import hide_secrets

UNDERSTOOD = (
    "a picture (JPEG, PNG, TIFF, DICOM, BMP, WebP, PPM), a folder of pictures, a video (AVI, MP4, MOV, MKV, WebM), "
    "camera:0, an rtsp:// or http:// stream, aravis:, gstreamer: or sim: for the simulated camera"
)


@dataclass(frozen=True)
class Scheme:
    """What is known of a source by what stands before its colon."""

    name: str
    live: bool | None
    """Whether frames come whether or not anyone asks; None where its settings say."""
    simulated: bool = False
    """Whether the frames are drawn, with their truth."""


SCHEMES = {
    scheme.name: scheme
    for scheme in (
        Scheme("sim", live=None, simulated=True),
        Scheme("camera", live=True),
        Scheme("rtsp", live=True),
        Scheme("rtsps", live=True),
        Scheme("http", live=True),
        Scheme("https", live=True),
        Scheme("aravis", live=True),
        Scheme("gstreamer", live=True),
    )
}
"""Each has its driver in `device.cameras.open`."""


def scheme_of(spec: str) -> Scheme | None:
    """The scheme of a source in any case of letters; None for a path. A known scheme goes before a file of that name.

    Raises `SourceNotFound` for a scheme that nobody knows, which is never taken for a camera.
    """
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", spec)  # two letters at least: one is a drive of Windows
    if match is None:
        return None
    scheme = SCHEMES.get(match[1].lower())
    if scheme is None and not Path(spec).exists():
        raise SourceNotFound(f"{shown_source(spec)!r}: no source is called {match[1]}:; expected {UNDERSTOOD}")
    return scheme


def is_simulated(spec: str) -> bool:
    """Whether the source's frames are drawn. Raises as `scheme_of`."""
    scheme = scheme_of(spec)
    return scheme is not None and scheme.simulated


def shown_source(spec: str) -> str:
    """The source for messages and records: without user, password or values of a query that an address may hold."""
    return hide_secrets(spec)
