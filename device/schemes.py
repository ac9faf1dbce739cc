"""Sources that are no path: one table of their schemes, by which every command knows what is live and what is drawn."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from device.errors import SourceNotFound
from device.secrets import hide_secrets, shortened

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
    if scheme is None and not os.path.exists(spec):  # unlike pathlib's, false for a name that no file can have
        like_a_file = "/" in spec or re.search(r"\.\w{2,5}$", spec) is not None
        no_file = "no such file or folder, and " if like_a_file else ""
        raise SourceNotFound(
            f"{shown_source(spec)!r}: {no_file}no source is called {match[1][:40]}:; expected {UNDERSTOOD}"
        )
    return scheme


def is_simulated(spec: str) -> bool:
    """Whether the source's frames are drawn. Raises as `scheme_of`."""
    scheme = scheme_of(spec)
    return scheme is not None and scheme.simulated


def shown_source(spec: str) -> str:
    """The source for messages and records: without user, password or values of a query that an address may hold.

    One that is too long to be read is shown by its beginning and its end.
    """
    return shortened(hide_secrets(spec))
