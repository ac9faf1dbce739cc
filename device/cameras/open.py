"""`open_camera`: from what the user wrote to the camera that is meant."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from device.cameras.base import Camera
from device.errors import SourceNotFound
from device.schemes import UNDERSTOOD, scheme_of, shown_source


def open_camera(spec: str, *, watch: bool = False, state: Path | None = None, below: bool = False) -> Camera:
    """Open the source of frames that `spec` names.

    `spec` is the path of a picture, of a folder of pictures or of a video, or one of

    - `camera:0`, `camera:/dev/video0,width=1920,height=1080,fps=30,fourcc=MJPG`: a UVC camera or frame grabber
    - `rtsp://...`, `http://...`: a camera on the network, with settings after `#` (`#read_timeout_s=1`)
    - `aravis:`, `aravis:SERIAL,fps=20`: a GigE Vision or USB3 Vision camera
    - `gstreamer:csi,sensor=0,width=1920,height=1080,fps=30`: a camera through GStreamer, as on a Jetson
    - `sim:device=neo,seed=3`: the simulated camera; `sim:lit,seed=3`: in the light of a simulated board

    With `watch`, a folder is read on as new pictures arrive, until the camera is closed; what was given is kept in the
    folder `state`, so that each picture comes once also across a restart (None keeps it in this process only).

    With `below`, a folder's pictures are those of the folders in it, too, each named by its path from the folder.

    Raises `SourceNotFound` when nothing of that name can be opened, or when `watch` or `below` is asked of something
    else than a folder, or both; `SettingRefused`, `CameraBusy`, `CameraNotPermitted` or `DriverMissing` where a driver
    says so.
    """
    path = Path(spec)
    if watch and not os.path.isdir(path):
        raise SourceNotFound(
            f"only a folder can be watched, got {shown_source(spec)!r}; name a folder, or leave --watch out"
        )
    if below and (watch or not os.path.isdir(path)):
        raise SourceNotFound(
            f"the folders below can be read of a folder that is not watched, got {shown_source(spec)!r}"
            f"{', watched' if watch else ''}; name a folder, and leave --watch out"
        )
    scheme = scheme_of(spec)
    if scheme is not None:
        return DRIVERS[scheme.name](scheme.name + spec[len(scheme.name) :])
    if spec and os.path.isdir(path):  # an empty name would be the current folder
        return _open_folder(path, watch=watch, state=state, below=below)
    return _open_file(path, spec)


def _simulated(spec: str) -> Camera:
    from device.cameras.simulated import SimulatedCamera, SimulatedConfig
    from device.cameras.simulated.lit import is_lit, open_lit

    if is_lit(spec):
        return open_lit(spec)
    return SimulatedCamera(SimulatedConfig.parse(spec))


def _v4l2(spec: str) -> Camera:
    from device.cameras.opencv import V4L2Config, open_v4l2

    return open_v4l2(V4L2Config.parse(spec))


def _stream(spec: str) -> Camera:
    from device.cameras.opencv.config import StreamConfig
    from device.cameras.stream import open_stream

    return open_stream(StreamConfig.parse(spec))


def _aravis(spec: str) -> Camera:
    from device.cameras.aravis import AravisCamera, AravisConfig

    return AravisCamera(AravisConfig.parse(spec))


def _gstreamer(spec: str) -> Camera:
    from device.cameras.gstreamer import open_gstreamer, parse_gstreamer

    return open_gstreamer(parse_gstreamer(spec))


DRIVERS: dict[str, Callable[[str], Camera]] = {
    "sim": _simulated,
    "camera": _v4l2,
    "rtsp": _stream,
    "rtsps": _stream,
    "http": _stream,
    "https": _stream,
    "aravis": _aravis,
    "gstreamer": _gstreamer,
}
"""By scheme; each driver is imported only when it is used."""


def _open_folder(path: Path, *, watch: bool, state: Path | None, below: bool) -> Camera:
    from device.cameras.files import Pictures, WatchedFolder

    return WatchedFolder(path, state=state) if watch else Pictures(path, below=below)


def _open_file(path: Path, spec: str) -> Camera:
    from device.cameras.files import PICTURE_SUFFIXES, Pictures
    from device.cameras.files.sniff import is_picture_by_content
    from device.cameras.video import VIDEO_SUFFIXES, Recording

    if not os.path.isfile(path):
        raise SourceNotFound(f"{shown_source(spec)!r}: {_why_no_file(path)}; expected {UNDERSTOOD}")
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return Recording(path)
    if suffix in PICTURE_SUFFIXES or is_picture_by_content(path):
        return Pictures(path)
    raise SourceNotFound(
        f"{shown_source(spec)!r}: a file of unknown kind ({suffix or 'no ending'}); expected {UNDERSTOOD}"
    )


def _why_no_file(path: Path) -> str:
    """Why there is no file or folder of that name: none, a loop of links, a folder that may not be entered, ..."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return "no such file or folder"
    except OSError as error:
        return f"no file or folder that can be looked at ({error.strerror})"
    except ValueError:  # a zero within its name
        return "no such file or folder"
    return "not a file or folder"
