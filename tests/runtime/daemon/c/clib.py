"""The C library as Python sees it: its structures, and a client that calls it."""

from __future__ import annotations

import ctypes
from ctypes import c_char, c_float, c_int, c_size_t, c_uint8, c_uint16, c_uint32, c_uint64
from enum import IntEnum
from pathlib import Path
from typing import Any

VESSEL_BYTES = 65536


class Status(IntEnum):
    """`rop_status`."""

    OK = 0
    NOTHING_YET = 1
    NO_SLOT = 2
    STALE = 3
    REFUSED = 4
    BAD_ARGUMENT = -1
    BAD_STATE = -2
    PATH_TOO_LONG = -3
    NO_DAEMON = -4
    NO_PERMISSION = -5
    IMPOSTOR = -6
    GONE = -10
    TIMEOUT = -11
    CLOSED = -12
    PROTOCOL = -13
    SYSTEM = -14


def fields(**kinds: Any) -> list[tuple[str, Any]]:
    return list(kinds.items())


class Slot(ctypes.Structure):
    _fields_ = fields(
        pixels=ctypes.POINTER(c_uint8), bytes=c_size_t, offset=c_uint64, index=c_uint32, reserved=c_uint32
    )


class Picture(ctypes.Structure):
    _fields_ = fields(
        width=c_uint32,
        height=c_uint32,
        stride=c_uint32,
        format=c_uint8,
        flags=c_uint8,
        matrix=c_uint8,
        range=c_uint8,
        sequence=c_uint64,
        captured_ns=c_uint64,
        deadline_ns=c_uint64,
        capture_us=c_uint32,
        chroma_offset=c_uint32,
        data_bytes=c_uint32,
        reserved=c_uint32 * 5,
    )


class Options(ctypes.Structure):
    _fields_ = fields(
        size=c_uint32,
        flags=c_uint32,
        timeout_ms=c_uint32,
        max_age_ms=c_uint32,
        daemon_uid=c_uint32,
        bundle_sha256=c_uint8 * 32,
        reserved=c_uint32 * 3,
    )


class Hello(ctypes.Structure):
    _fields_ = fields(lowest=c_uint16, highest=c_uint16, name=c_char * 32)


class Configure(ctypes.Structure):
    _fields_ = fields(slots=c_uint32, slot_bytes=c_uint32, order=c_uint8, flags=c_uint8)


class Submit(ctypes.Structure):
    _fields_ = fields(
        generation=c_uint64,
        sequence=c_uint64,
        captured_ns=c_uint64,
        deadline_ns=c_uint64,
        slot=c_uint32,
        width=c_uint32,
        height=c_uint32,
        stride=c_uint32,
        capture_us=c_uint32,
        chroma_offset=c_uint32,
        data_bytes=c_uint32,
        format=c_uint8,
        flags=c_uint8,
        matrix=c_uint8,
        range=c_uint8,
    )


class Welcome(ctypes.Structure):
    _fields_ = fields(
        max_ring_bytes=c_uint64, daemon_pid=c_uint32, max_slots=c_uint32, max_slot_bytes=c_uint32, version=c_uint16
    )


class RingLayout(ctypes.Structure):
    _fields_ = fields(
        ring_bytes=c_uint64,
        slot_stride=c_uint64,
        pixels_offset=c_uint64,
        vessels_offset=c_uint64,
        slots=c_uint32,
        slot_bytes=c_uint32,
        huge_pages=c_uint8,
    )


class Result(ctypes.Structure):
    _fields_ = fields(
        sequence=c_uint64,
        generation=c_uint64,
        captured_ns=c_uint64,
        done_ns=c_uint64,
        fresh_until_ns=c_uint64,
        slot=c_uint32,
        flags=c_uint32,
        outcome=c_uint8,
        class_count=c_uint8,
        refused=c_uint16,
        vessel_fraction=c_float,
        budget_ms=c_float,
        timings_ms=c_float * 7,
        probabilities=c_float * 8,
        frame_sha256=c_uint8 * 32,
        bundle_sha256=c_uint8 * 32,
        reason=c_char * 160,
        text=c_char * 240,
        reserved=c_uint8 * 32,
    )


class Health(ctypes.Structure):
    _fields_ = fields(
        uptime_ms=c_uint64,
        last_inference_ns=c_uint64,
        frames=c_uint64,
        late=c_uint64,
        torn=c_uint64,
        superseded=c_uint64,
        refused=c_uint64,
        reloads=c_uint64,
        daemon_pid=c_uint32,
        clients=c_uint32,
        waiting=c_uint32,
        reasons=c_uint32,
        state=c_uint8,
        sched_fifo=c_uint8,
        cpu_pinning=c_uint8,
        memory_locked=c_uint8,
        huge_pages=c_uint8,
        bundle_sha256=c_uint8 * 32,
        text=c_char * 240,
        reserved=c_uint8 * 35,
    )


class BundleInfo(ctypes.Structure):
    _fields_ = fields(
        sha256=c_uint8 * 32,
        name=c_char * 64,
        version=c_char * 32,
        backend=c_char * 32,
        precision=c_char * 64,
        device=c_char * 64,
        notice=c_char * 128,
        refer_threshold=c_float,
        class_count=c_uint8,
        refer_mask=c_uint8,
        class_names=(c_char * 32) * 8,
        reserved=c_uint8 * 34,
    )


class Reloaded(ctypes.Structure):
    _fields_ = fields(failed=c_uint32, sha256=c_uint8 * 32, text=c_char * 240)


class Error(ctypes.Structure):
    _fields_ = fields(code=c_uint16, lowest=c_uint16, highest=c_uint16, detail=c_uint64, text=c_char * 160)


class Empty(ctypes.Structure):
    _fields_ = ()


KINDS: dict[str, type[ctypes.Structure]] = {
    kind.__name__: kind
    for kind in (Hello, Configure, Submit, Welcome, RingLayout, Result, Health, BundleInfo, Reloaded, Error)
} | {"AskHealth": Empty, "AskBundle": Empty, "Reload": Empty, "Cancel": Empty}


class Payload(ctypes.Union):
    _fields_ = tuple((kind.__name__, kind) for kind in KINDS.values() if kind is not Empty)


class Message(ctypes.Structure):
    _fields_ = (("type", c_int), ("tag", c_uint32), ("payload", Payload))


def load(path: Path) -> ctypes.CDLL:
    """The library with the harness."""
    library = ctypes.CDLL(str(path))
    library.ropd_crc32.restype = c_uint32
    for name in ("ropd_encode", "harness_again", "harness_message_size"):
        getattr(library, name).restype = c_size_t
    library.rop_now_ns.restype = c_uint64
    library.rop_status_text.restype = library.rop_error.restype = ctypes.c_char_p
    library.rop_new.restype = ctypes.c_void_p
    library.rop_version.restype = c_uint32
    library.rop_is_fresh.restype = ctypes.c_bool
    library.rop_last_refusal.restype = ctypes.POINTER(Error)
    assert library.harness_message_size() == ctypes.sizeof(Message)
    return library


class CClient:
    """A `rop_client`; the C library does everything."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        self._memory = ctypes.c_void_p(library.rop_new())
        assert self._memory

    @property
    def refusal(self) -> Error:
        return Error.from_buffer_copy(self._library.rop_last_refusal(self._memory).contents)

    @property
    def error(self) -> str:
        return str(self._library.rop_error(self._memory).decode())

    @property
    def ring_fd(self) -> int:
        return int(self._library.rop_ring_fd(self._memory))

    @property
    def descriptor(self) -> int:
        return int(self._library.rop_descriptor(self._memory))

    def open(self, path: Path | str, name: str = "c", timeout_ms: int = 30_000, **options: object) -> Status:
        """Ages do not matter to most tests: the largest, unless given."""
        given = {"size": ctypes.sizeof(Options), "timeout_ms": timeout_ms, "max_age_ms": 60_000} | options
        wanted = Options(**given)
        return Status(self._library.rop_open(self._memory, str(path).encode(), name.encode(), ctypes.byref(wanted)))

    def cancel(self) -> Status:
        return Status(self._library.rop_cancel(self._memory))

    def is_fresh(self, result: Result) -> bool:
        return bool(self._library.rop_is_fresh(ctypes.byref(result)))

    def configure(self, slots: int = 3, slot_bytes: int = 640 * 480 * 3, order: int = 2, flags: int = 1) -> Status:
        return Status(
            self._library.rop_configure(self._memory, c_uint32(slots), c_uint32(slot_bytes), order, c_uint8(flags))
        )

    def acquire(self) -> tuple[Status, Slot]:
        slot = Slot()
        return Status(self._library.rop_acquire_slot(self._memory, ctypes.byref(slot))), slot

    def release(self, slot: Slot) -> Status:
        return Status(self._library.rop_release_slot(self._memory, ctypes.byref(slot)))

    def submit(self, slot: Slot, picture: Picture) -> Status:
        return Status(self._library.rop_submit(self._memory, ctypes.byref(slot), ctypes.byref(picture)))

    def poll(self) -> tuple[Status, Result]:
        result = Result()
        return Status(self._library.rop_poll(self._memory, ctypes.byref(result))), result

    def wait(self, timeout_ms: int = 60_000) -> tuple[Status, Result]:
        result = Result()
        return Status(self._library.rop_wait(self._memory, c_uint32(timeout_ms), ctypes.byref(result))), result

    def vessels(self, result: Result) -> tuple[Status, bytes]:
        room = ctypes.create_string_buffer(VESSEL_BYTES)
        status = Status(self._library.rop_result_vessels(self._memory, ctypes.byref(result), room))
        return status, room.raw

    def health(self) -> tuple[Status, Health]:
        health = Health()
        return Status(self._library.rop_health(self._memory, ctypes.byref(health))), health

    def bundle(self) -> tuple[Status, BundleInfo]:
        bundle = BundleInfo()
        return Status(self._library.rop_bundle(self._memory, ctypes.byref(bundle))), bundle

    def close(self) -> None:
        self._library.rop_close(self._memory)

    def free(self) -> None:
        self._library.rop_free(self._memory)

    def send(self, pixels: bytes, width: int, height: int, **rest: int) -> Status:
        """Acquire a slot, fill it, submit it."""
        status, slot = self.acquire()
        if status is not Status.OK:
            return status
        ctypes.memmove(slot.pixels, pixels, len(pixels))
        values = {"stride": width * 3, "format": 1} | rest
        return self.submit(slot, Picture(width=width, height=height, **values))
