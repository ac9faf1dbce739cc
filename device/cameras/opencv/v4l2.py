"""What the kernel says of a V4L2 camera before OpenCV opens it: whether it may be used, and what it can do.

OpenCV says only that a camera did not open. Numbers and layouts are those of `linux/videodev2.h`.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from device.cameras.mode import Mode
from device.errors import CameraBusy, CameraError, CameraNotPermitted, SourceNotFound

QUERYCAP = 0x80685600
ENUM_FMT = 0xC0405602
_POINTER = struct.calcsize("P")
G_FMT = 0xC0005604 | 200 + _POINTER << 16
"""Its structure is aligned as a pointer is."""
REQBUFS = 0xC0145608
ENUM_FRAMESIZES = 0xC02C564A
ENUM_FRAMEINTERVALS = 0xC034564B

_VIDEO_CAPTURE = 1
_EXTENDED = 0xFEEDCAFE
"""Where this does not stand the fields after it say nothing."""
_REC709, _JPEG, _DCI_P3 = 3, 7, 12
"""Of `v4l2_colorspace`."""
_OTHER_BY_DEFAULT = (2, 10)
"""SMPTE 240M and BT.2020 have matrices of their own."""
_MATRICES = {1: "bt601", 2: "bt709", 3: "bt601", 4: "bt709", 5: "bt601"}
"""Of `v4l2_ycbcr_encoding`."""
_RANGES = {1: "full", 2: "limited"}
"""Of `v4l2_quantization`."""
_CAN_CAPTURE = 0x1
_HAS_DEVICE_CAPS = 0x80000000
_DISCRETE = 1
_MOST = 200
"""A driver that counts on past it is broken."""

_SYSFS = Path("/sys/class/video4linux")
_ioctl: Callable[[int, int, bytearray], int] = fcntl.ioctl


@dataclass(frozen=True)
class VideoNode:
    """A `/dev/video*` that gives pictures."""

    path: str
    name: str
    """What its driver calls it, for example `USB Camera: USB Camera`."""
    bus: str
    modes: tuple[Mode, ...]


@dataclass(frozen=True)
class Wire:
    """How the camera sends its pictures now."""

    stride: int
    """Bytes from row to row; 0 where rows say nothing."""
    matrix: str
    """`bt601` or `bt709` of YUV; empty where the driver says none, or another one."""
    range: str
    """`limited` or `full`; empty where the driver does not say."""


def wire(path: str) -> Wire:
    """What the driver says of the format that is set, by the kernel's rules for what is left to the colour space."""
    answer = bytearray(200 + _POINTER)
    struct.pack_into("I", answer, 0, _VIDEO_CAPTURE)
    try:
        with opened(path) as file:
            _ioctl(file, G_FMT, answer)
    except OSError:
        return Wire(0, "", "")
    numbers = struct.unpack_from("12I", answer, _POINTER)
    stride, space = numbers[4], numbers[6]
    encoding, levels = numbers[9:11] if numbers[7] == _EXTENDED else (0, 0)
    if not encoding and space and space not in _OTHER_BY_DEFAULT:
        encoding = 2 if space in (_REC709, _DCI_P3) else 1
    if not levels and space:
        levels = 1 if space == _JPEG else 2
    return Wire(stride, _MATRICES.get(encoding, ""), _RANGES.get(levels, ""))


def nodes() -> list[str]:
    """Paths of all video nodes, by number; nodes of metadata are among them."""
    names = [entry.name for entry in _SYSFS.glob("video*")] if _SYSFS.is_dir() else []
    return [f"/dev/{name}" for name in sorted(names, key=lambda name: (len(name), name))]


def query(path: str) -> VideoNode:
    """What the camera at `path` says of itself.

    Raises `SourceNotFound` when there is none or it gives no pictures, `CameraNotPermitted`.
    """
    with opened(path) as file:
        return _describe(file, path)


def check_usable(path: str) -> VideoNode:
    """As `query`, and raises `CameraBusy` when another program holds the camera.

    Asking for no buffers changes nothing, but is refused while another program streams.
    """
    with opened(path) as file:
        node = _describe(file, path)
        try:
            _ioctl(file, REQBUFS, bytearray(struct.pack("5I", 0, _VIDEO_CAPTURE, 1, 0, 0)))
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise CameraBusy(_busy(path)) from None
        return node


def ioctl(file: int, request: int, answer: bytearray) -> None:
    """Ask the driver; the answer is written over the question. Raises `OSError`."""
    _ioctl(file, request, answer)


@contextmanager
def opened(path: str) -> Iterator[int]:
    """The device as a file, to ask and set it by. Raises `SourceNotFound`, `CameraNotPermitted`, `CameraBusy`."""
    try:
        if not stat.S_ISCHR(os.stat(path).st_mode):
            raise SourceNotFound(f"{path}: not a camera, but a file; expected {_those_there()}")
        file = os.open(path, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        raise _unopened(path, error) from error
    try:
        yield file
    finally:
        os.close(file)


def _unopened(path: str, error: OSError) -> CameraError:
    if error.errno in (errno.EACCES, errno.EPERM):
        group = _group(path)
        return CameraNotPermitted(
            f"{path}: permission denied; the camera belongs to group {group!r}: "
            f"run `sudo usermod -aG {group} $USER` and log in again"
        )
    if error.errno == errno.EBUSY:
        return CameraBusy(_busy(path))
    return SourceNotFound(f"{path}: no such camera ({error.strerror}); expected {_those_there()}")


def _those_there() -> str:
    found = nodes()
    return f"one of {', '.join(found)}" if found else "a camera, and this machine shows none: is it plugged in?"


def _group(path: str) -> str:
    import grp

    try:
        return grp.getgrgid(os.stat(path).st_gid).gr_name
    except (OSError, KeyError):
        return "video"


def _busy(path: str) -> str:
    users = holders(path)
    by = f"process {', '.join(map(str, users))}" if users else "another program"
    return f"{path}: busy, {by} holds the camera; close it and try again"


def holders(path: str) -> list[int]:
    """Process numbers, other than our own, that have the file open, as far as this user may see them."""
    target, found = os.path.realpath(path), []
    for folder in Path("/proc").glob("[0-9]*/fd"):
        process = int(folder.parent.name)
        try:
            if process != os.getpid() and any(os.path.realpath(entry) == target for entry in folder.iterdir()):
                found.append(process)
        except OSError:  # gone meanwhile, or another user's
            continue
    return sorted(found)


def _describe(file: int, path: str) -> VideoNode:
    answer = bytearray(104)
    try:
        _ioctl(file, QUERYCAP, answer)
    except OSError as error:
        raise SourceNotFound(f"{path}: not a camera ({error.strerror}); expected {_those_there()}") from None
    _, card, bus, _, all_nodes, this_node = struct.unpack_from("16s32s32s3I", answer)
    if not (this_node if all_nodes & _HAS_DEVICE_CAPS else all_nodes) & _CAN_CAPTURE:
        raise SourceNotFound(f"{path}: gives no pictures (a node for metadata or output); expected {_those_there()}")
    return VideoNode(path, _text(card), _text(bus), tuple(_modes(file)))


def _modes(file: int) -> Iterator[Mode]:
    for answer in _enumerate(file, ENUM_FMT, 64, "II", (_VIDEO_CAPTURE,)):
        (fourcc,) = struct.unpack_from("I", answer, 44)
        for size in _enumerate(file, ENUM_FRAMESIZES, 44, "II", (fourcc,)):
            kind, *sides = struct.unpack_from("7I", size, 8)
            # A stepwise range (smallest, largest, step of each side) is shown by its largest size.
            width, height = (sides[0], sides[1]) if kind == _DISCRETE else (sides[1], sides[4])
            yield Mode(_fourcc(fourcc), width, height, tuple(_rates(file, fourcc, width, height)))


def _rates(file: int, fourcc: int, width: int, height: int) -> Iterator[float]:
    for answer in _enumerate(file, ENUM_FRAMEINTERVALS, 52, "IIII", (fourcc, width, height)):
        kind, seconds, parts = struct.unpack_from("3I", answer, 16)  # the shortest interval of a range stands first
        if seconds:
            yield round(parts / seconds, 3)
        if kind != _DISCRETE:
            return


def _enumerate(file: int, request: int, size: int, layout: str, arguments: tuple[int, ...]) -> Iterator[bytearray]:
    for index in range(_MOST):
        answer = bytearray(size)
        struct.pack_into(layout, answer, 0, index, *arguments)
        try:
            _ioctl(file, request, answer)
        except OSError:  # past the last, or not told by this driver
            return
        yield answer


def _fourcc(number: int) -> str:
    return _text(struct.pack("<I", number)).strip()


def _text(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("utf-8", "replace")
