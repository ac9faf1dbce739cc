"""`list_cameras`: every camera that this machine can see now, with what to write to open it."""

from __future__ import annotations

from dataclasses import dataclass

from device.cameras.mode import Mode
from device.errors import CameraError, DriverMissing


@dataclass(frozen=True)
class CameraInfo:
    """One camera that `open_camera(source)` opens, or the reason why it cannot."""

    source: str
    """What `open_camera` and the commands take."""
    kind: str
    """`v4l2`, `aravis` or `simulated`."""
    name: str
    """Maker and model, or what its driver calls it."""
    serial: str | None = None
    """The maker's number, or None when it is not told."""
    modes: tuple[Mode, ...] = ()
    """What it can do, as far as that is told without opening it."""
    problem: str | None = None
    """Why it cannot be opened now, None when nothing is known to be wrong."""


def list_cameras() -> list[CameraInfo]:
    """Cameras of V4L2, GigE Vision, USB3 Vision and the simulated ones, in this order.

    Nothing is opened for use, so no other program is disturbed. Looking for GigE Vision cameras takes about a second.
    """
    return [*_v4l2(), *_aravis(), *_simulated()]


def _v4l2() -> list[CameraInfo]:
    from device.cameras.opencv import v4l2
    from device.errors import SourceNotFound

    found = []
    for path in v4l2.nodes():
        source = f"camera:{path}"
        try:
            node = v4l2.query(path)
        except SourceNotFound:
            continue  # a second node of the same camera, for metadata
        except CameraError as error:
            found.append(CameraInfo(source, "v4l2", path, problem=str(error)))
        else:
            found.append(CameraInfo(source, "v4l2", node.name, modes=node.modes))
    return found


def _aravis() -> list[CameraInfo]:
    from device.cameras.aravis.discovery import discover

    try:
        cameras = discover()
    except DriverMissing as error:
        return [CameraInfo("aravis:", "aravis", "GigE Vision and USB3 Vision", problem=str(error))]
    return [
        CameraInfo(
            f"aravis:{camera.id}",
            "aravis",
            f"{camera.vendor} {camera.model} ({camera.protocol} {camera.address})",
            serial=camera.serial or None,
            problem=None,
        )
        for camera in cameras
    ]


def _simulated() -> list[CameraInfo]:
    return [
        CameraInfo("sim:device=retcam", "simulated", "drawn retinas, after RetCam", modes=(Mode("RGB8", 640, 480),)),
        CameraInfo("sim:device=neo", "simulated", "drawn retinas, after Neo", modes=(Mode("RGB8", 640, 640),)),
    ]
