"""What the daemon refuses, though the message is whole: rings that are too large, frames that cannot be in a slot."""

from __future__ import annotations

from device.pixels import REFUSED, YUV, Lying, PixelFormat, PixelsUnusable
from runtime.daemon.clock import now_ns, wrong_capture, wrong_deadline
from runtime.daemon.connection import Connection
from runtime.daemon.limits import MAX_ALL_RINGS_BYTES
from runtime.daemon.messages import Configure, Submit
from runtime.daemon.ring import Ring
from runtime.daemon.slots import MAX_RING_BYTES, MAX_SLOT_BYTES, MAX_SLOTS, SlotLayout
from runtime.daemon.wire import ErrorCode, ProtocolError


def check_ring(wanted: Configure, used_bytes: int, most_bytes: int = MAX_ALL_RINGS_BYTES) -> None:
    """Raises `ProtocolError` for a ring that cannot be had. used_bytes: of the rings that count, of most_bytes."""
    asked = f"{wanted.slots} slots of {wanted.slot_bytes} bytes"
    if wanted.slots > MAX_SLOTS or wanted.slot_bytes > MAX_SLOT_BYTES:
        text = f"{asked}, at most {MAX_SLOTS} of {MAX_SLOT_BYTES}"
        raise ProtocolError(ErrorCode.RING_REFUSED, text, MAX_RING_BYTES)
    needed = SlotLayout(wanted.slots, wanted.slot_bytes).ring_bytes
    most = max(0, min(MAX_RING_BYTES, most_bytes - used_bytes))
    if needed > most:
        raise ProtocolError(ErrorCode.RING_REFUSED, f"{asked} need {needed} bytes, {most} are to be had", most)


def check_frame(connection: Connection, frame: Submit, ready: bool) -> Ring:
    """The ring that the frame lies in. Raises `ProtocolError`, in the order that PROTOCOL.md gives."""
    ring = connection.ring
    if ring is None:
        raise ProtocolError(ErrorCode.NOT_CONFIGURED, "SUBMIT before CONFIGURE")
    if not ready:
        raise ProtocolError(ErrorCode.NOT_READY, "the engine is not loaded yet; submit again")
    slots, room = ring.layout.slots, ring.layout.slot_bytes
    if frame.slot >= slots:
        raise ProtocolError(ErrorCode.SLOT_RANGE, f"slot {frame.slot}, the ring has {slots}", slots)
    if frame.slot in connection.busy:
        raise ProtocolError(ErrorCode.SLOT_IN_USE, f"slot {frame.slot} holds a frame that is not read", frame.slot)
    check_pixels(frame, room)
    if frame.generation == 0 or frame.generation % 2:
        text = f"generation {frame.generation}, expected even, not 0"
        raise ProtocolError(ErrorCode.BAD_GENERATION, text, frame.generation)
    now = now_ns()
    if problem := wrong_capture(frame.captured_ns, now) or wrong_deadline(frame.deadline_ns, now):
        raise ProtocolError(ErrorCode.BAD_TIME, problem, now)
    return ring


def check_pixels(frame: Submit, room: int) -> Lying:
    """Where the frame's pixels lie in its slot of `room` bytes. Raises `ProtocolError`."""
    try:
        lying = lying_of(frame)
    except PixelsUnusable as error:
        code = ErrorCode.BAD_FORMAT if frame.format in REFUSED or frame.format in YUV else ErrorCode.BAD_DIMENSIONS
        raise ProtocolError(code, str(error)) from None
    side = max(lying.width, lying.height, lying.stride)
    if side > MAX_SLOT_BYTES:  # before anything is multiplied by it
        text = f"{lying.width} x {lying.height}, stride {lying.stride}: each at most {MAX_SLOT_BYTES}"
        raise ProtocolError(ErrorCode.BAD_DIMENSIONS, text, side)
    if lying.format is PixelFormat.JPEG and 3 * lying.width * lying.height > MAX_SLOT_BYTES:
        text = f"JPEG of {lying.width} x {lying.height}: at most {MAX_SLOT_BYTES // 3} pixels"
        raise ProtocolError(ErrorCode.BAD_DIMENSIONS, text, 3 * lying.width * lying.height)
    if lying.bytes > room:
        shape = f"{frame.width} x {frame.height}, stride {frame.stride}, {frame.format.name}"
        text = f"{shape}: needs {lying.bytes} bytes, a slot has {room}"
        raise ProtocolError(ErrorCode.BAD_DIMENSIONS, text, lying.bytes)
    return lying


def lying_of(frame: Submit) -> Lying:
    """How SUBMIT says that the pixels lie. Raises `PixelsUnusable`."""
    return Lying(
        frame.format,
        frame.width,
        frame.height,
        frame.stride,
        frame.matrix,
        frame.range,
        frame.chroma_offset,
        frame.data_bytes,
    )
