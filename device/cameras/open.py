"""`open_camera`: from what the user wrote to the camera that is meant."""

from __future__ import annotations

from pathlib import Path

from device.cameras.base import Camera
from device.errors import SourceNotFound

UNDERSTOOD = (
    "a picture (JPEG, PNG, TIFF, BMP, WebP, PPM), a folder of pictures, a video (AVI, MP4, MOV, MKV, WebM), "
    "or sim: for the simulated camera"
)

_NO_DRIVER_YET = ("camera:", "rtsp://", "rtsps://", "http://", "https://", "aravis:")


def open_camera(spec: str, *, watch: bool = False) -> Camera:
    """Open the source of frames that `spec` names.

    `spec` is the path of a picture, of a folder of pictures or of a video, or `sim:` with options
    (`sim:device=neo,seed=3`). With `watch`, a folder is read on as new pictures arrive, until the camera is closed.

    Raises `SourceNotFound` when nothing of that name can be opened, or when `watch` is asked of something else than a
    folder.
    """
    path = Path(spec)
    if watch and not path.is_dir():
        raise SourceNotFound(f"only a folder can be watched, got {spec!r}; name a folder, or leave --watch out")
    if spec.startswith("sim:"):
        from device.cameras.simulated import SimulatedCamera, SimulatedConfig

        return SimulatedCamera(SimulatedConfig.parse(spec))
    if spec.startswith(_NO_DRIVER_YET):
        raise SourceNotFound(f"{spec}: this version has no driver for it; expected {UNDERSTOOD}")
    if spec and path.is_dir():  # an empty name would be the current folder
        return _open_folder(path, watch=watch)
    return _open_file(path, spec)


def _open_folder(path: Path, *, watch: bool) -> Camera:
    from device.cameras.files import Pictures, WatchedFolder

    return WatchedFolder(path) if watch else Pictures(path)


def _open_file(path: Path, spec: str) -> Camera:
    from device.cameras.files import PICTURE_SUFFIXES, Pictures
    from device.cameras.video import VIDEO_SUFFIXES, Recording

    if not path.is_file():
        what = "not a file or folder" if path.exists() else "no such file or folder"
        raise SourceNotFound(f"{spec!r}: {what}; expected {UNDERSTOOD}")
    suffix = path.suffix.lower()
    if suffix in PICTURE_SUFFIXES:
        return Pictures(path)
    if suffix in VIDEO_SUFFIXES:
        return Recording(path)
    raise SourceNotFound(f"{spec!r}: a file of unknown kind ({suffix or 'no ending'}); expected {UNDERSTOOD}")
