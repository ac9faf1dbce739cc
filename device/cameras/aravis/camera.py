"""`AravisCamera`: a GigE Vision or USB3 Vision camera; torn frames are refused and counted."""

from __future__ import annotations

import ctypes
import ipaddress
import threading
import time
from ctypes import byref, c_size_t, c_void_p
from datetime import datetime, timedelta, timezone
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from device.cameras.aravis.config import AravisConfig
from device.cameras.aravis.controls import adjust, controls
from device.cameras.aravis.discovery import GIGE, FoundCamera, discover
from device.cameras.aravis.library import AravisError, load
from device.cameras.aravis.numbers import FrameNumbers
from device.cameras.aravis.pixels import bytes_per_pixel, to_rgb
from device.cameras.aravis.setup import Layout, set_up
from device.cameras.controls import Control
from device.cameras.handle import Handle
from device.errors import (
    CameraBusy,
    CameraError,
    CameraNotPermitted,
    Disconnected,
    FrameMisshapen,
    FrameTimeout,
    FrameUnreadable,
    SettingRefused,
    SourceNotFound,
)
from device.frame import Frame
from device.schemes import shown_source

_SUCCESS = 0
_STATUS = {
    1: "the buffer was cleared",
    2: "no frame arrived in time",
    3: "packets are missing",
    4: "a packet has a wrong number",
    5: "it is larger than was announced",
    6: "it was still being filled",
    7: "it was aborted",
    8: "it holds no image",
}
"""What libaravis calls `ArvBufferStatus`."""


class AravisCamera:
    """A camera over libaravis, opened for this program alone.

    `read` waits for the next frame, at most `timeout_s`, and up to 3 s more to learn whether a silent camera is still
    there. A frame's number follows the camera's own count, so that one
    that was lost on the way leaves a gap. `close` may come from another thread.
    """

    live = True
    frame_count = None

    def __init__(self, config: AravisConfig | None = None) -> None:
        """Open and set the camera and start it.

        Raises `DriverMissing`, `SourceNotFound`, `CameraBusy` or `SettingRefused`.
        """
        self.config = config or AravisConfig()
        self.name = shown_source(f"aravis:{self.config.camera}")
        self.torn = 0
        """Frames that came incomplete and were refused."""
        self._library = load()
        self._stream: c_void_p | None = None
        self._silent = False
        """Whether the camera did not answer when it was last asked."""
        self._numbers = FrameNumbers()
        self._camera = self._open()
        self._handle = Handle(self._release)
        try:
            self.layout: Layout = self._set_up_and_start()
        except BaseException:
            self.close()
            raise

    def _open(self) -> c_void_p:
        """Look for the camera and open it; one that is named by its IP address needs no looking for."""
        wanted = self.config.camera
        found = [FoundCamera(wanted, "", "", "", wanted, GIGE)] if _is_ip_address(wanted) else discover()
        for camera in found:
            if wanted in ("", camera.id, camera.serial, camera.address):
                # By its address: after a search, libaravis may send frames to the wrong one of several interfaces.
                name = camera.address if camera.protocol == GIGE else camera.id
                return self._new(name)
        there = ", ".join(f"aravis:{camera.id}" for camera in found)
        raise SourceNotFound(
            f"{self.name}: no such camera; "
            + (f"expected one of {there}" if there else "none answers at all: check cable, power and network")
        )

    def _new(self, name: str) -> c_void_p:
        try:
            camera = self._library.call("arv_camera_new", name.encode())
            if not camera:
                raise AravisError("no reason given")
        except AravisError as error:
            raise _not_opened(self.name, str(error)) from None
        return c_void_p(camera)

    def _set_up_and_start(self) -> Layout:
        library, camera = self._library, self._camera
        if self._is_gige() and not self._is_ours():
            raise CameraBusy(f"{self.name}: busy, another program controls the camera; close it and try again")
        try:
            layout = set_up(library, camera, self.config, self.name)
            payload = library.call("arv_camera_get_payload", camera)
            self._stream = c_void_p(library.call("arv_camera_create_stream", camera, None, None))
            for _ in range(self.config.buffers):
                library.call("arv_stream_push_buffer", self._stream, library.call("arv_buffer_new_allocate", payload))
            library.call("arv_camera_start_acquisition", camera)
        except AravisError as error:
            raise SettingRefused(f"{self.name}: the camera cannot be set up or started ({error})") from error
        return layout

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of its frames."""
        return self.layout.width, self.layout.height

    def controls(self) -> tuple[Control, ...]:
        """What can be turned while it runs; see `Adjustable`."""
        with self._handle.use() as usable:
            try:
                return controls(self._library, self._camera, self.config.focus_feature) if usable else ()
            except AravisError as error:
                raise Disconnected(f"{self.name}: the camera does not answer ({error}); check its cable") from None

    def adjust(self, name: str, value: float | None) -> Control:
        """Set one of `controls`; see `Adjustable`."""
        with self._handle.use() as usable:
            if not usable:
                raise Disconnected(f"{self.name}: the camera is closed; open it again")
            return adjust(self._library, self._camera, self.config.focus_feature, self.name, name, value)

    def read(self) -> Frame | None:
        """The next frame; None once closed.

        Raises `FrameUnreadable` for one that came incomplete, `FrameMisshapen` for one of another size or format,
        `FrameTimeout` or `Disconnected` when none came.
        """
        with self._handle.use() as usable:
            return self._read() if usable else None

    def _read(self) -> Frame | None:
        buffer = self._pop()
        if buffer is None:
            return None
        try:
            return self._frame(buffer)
        finally:
            self._library.call("arv_stream_push_buffer", self._stream, buffer)

    def _pop(self) -> c_void_p | None:
        """A filled buffer, None once closed; waits in short steps so that closing ends it."""
        until = time.monotonic() + self.config.timeout_s
        while not self._handle.closed:
            left_us = int((until - time.monotonic()) * 1e6)
            if left_us <= 0:
                raise self._lost()
            buffer = self._library.call("arv_stream_timeout_pop_buffer", self._stream, min(left_us, 100_000))
            if buffer:
                return c_void_p(buffer)
        return None

    def _frame(self, buffer: c_void_p) -> Frame:
        library = self._library
        status = library.call("arv_buffer_get_status", buffer)
        block = int(library.call("arv_buffer_get_frame_id", buffer))
        sequence = self._numbers.next(block, whole=status == _SUCCESS)
        source = f"aravis:{sequence}"
        if status != _SUCCESS:
            self.torn += 1
            why = _STATUS.get(status, f"status {status}")
            raise FrameUnreadable(f"{source}: torn frame, {why}; read the next one", source=source, sequence=sequence)
        pixels = self._pixels(buffer, source, sequence)
        age_ns = max(0, time.time_ns() - int(library.call("arv_buffer_get_system_timestamp", buffer)))
        return Frame(
            pixels=pixels,
            sequence=sequence,
            source=source,
            captured_ns=time.monotonic_ns() - age_ns,
            captured_at=datetime.now(timezone.utc) - timedelta(microseconds=age_ns / 1000),
            capture_ms=age_ns / 1e6,
        )

    def _pixels(self, buffer: c_void_p, source: str, sequence: int) -> NDArray[np.uint8]:
        library, layout = self._library, self.layout
        width = library.call("arv_buffer_get_image_width", buffer)
        height = library.call("arv_buffer_get_image_height", buffer)
        code = int(library.call("arv_buffer_get_image_pixel_format", buffer)) & 0xFFFFFFFF
        size = c_size_t()
        address = library.call("arv_buffer_get_data", buffer, byref(size))
        expected = layout.width * layout.height * bytes_per_pixel(layout.pixel_format)
        if (width, height, code) != (layout.width, layout.height, layout.pixel_code) or size.value < expected:
            raise FrameMisshapen(
                f"{source}: got {width} x {height}, format {code:#010x}, {size.value} bytes; expected {layout.width} x "
                f"{layout.height} {layout.pixel_format}, {expected} bytes; if the camera was set anew, open it again",
                source=source,
                sequence=sequence,
            )
        data = np.ctypeslib.as_array(ctypes.cast(address, ctypes.POINTER(ctypes.c_uint8)), (expected,))
        return to_rgb(data, layout.width, layout.height, layout.pixel_format)

    def _lost(self) -> CameraError:
        self._silent = not self._answers()
        if not self._silent:
            return FrameTimeout(
                f"{self.name}: no frame came in {self.config.timeout_s:g} s; check its trigger and rate"
            )
        return Disconnected(f"{self.name}: the camera does not answer any more; check cable and power")

    def _answers(self) -> bool:
        """Whether the camera can still be asked, and, at GigE Vision, still listens to this program."""
        if self._is_gige() and not self._is_ours():
            return False
        word = ctypes.create_string_buffer(4)
        device = self._library.call("arv_camera_get_device", self._camera)
        try:
            return bool(self._library.call("arv_device_read_memory", device, 0, len(word), word))
        except AravisError:
            return False

    def _is_gige(self) -> bool:
        return bool(self._library.call("arv_camera_is_gv_device", self._camera))

    def _is_ours(self) -> bool:
        device = self._library.call("arv_camera_get_device", self._camera)
        return bool(self._library.call("arv_gv_device_is_controller", device))

    @property
    def underruns(self) -> int:
        """Frames that were lost because no buffer was free: the reader was too slow."""
        counts = [ctypes.c_uint64() for _ in range(3)]
        with self._handle.use() as usable:
            if usable and self._stream:
                self._library.call("arv_stream_get_statistics", self._stream, *map(byref, counts))
        return counts[2].value

    def close(self) -> None:
        """Stop the camera and give it back; a `read` that waits in another thread returns None."""
        self._handle.close()

    def _release(self) -> None:
        """Give everything back; where the camera is silent, aside, as libaravis then waits ten seconds for it."""
        if self._stream is not None and not self._silent:
            try:
                self._library.call("arv_camera_stop_acquisition", self._camera)
            except AravisError:
                self._silent = True
        if self._silent:
            threading.Thread(target=self._unreference, name=f"gives back {self.name}", daemon=True).start()
        else:
            self._unreference()

    def _unreference(self) -> None:
        if self._stream is not None:
            self._library.call("g_object_unref", self._stream)
        self._library.call("g_object_unref", self._camera)

    def __enter__(self) -> AravisCamera:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _not_opened(name: str, words: str) -> CameraError:
    """Why a camera does not open; of a USB3 Vision camera libusb's words, which libaravis hands on, tell more."""
    said = words.lower()
    if "busy" in said:
        return CameraBusy(f"{name}: busy, another program holds the camera ({words}); close it and try again")
    if "access" in said or "permission" in said:
        return CameraNotPermitted(
            f"{name}: permission denied ({words}); give USB cameras to your group by a udev rule, as in the file "
            "aravis.rules of Aravis, and plug it in anew"
        )
    return SourceNotFound(f"{name}: the camera does not open ({words}); check cable, power and network")


def _is_ip_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
