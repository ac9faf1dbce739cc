"""What the daemon refuses, though the message is whole: rings that are too large, frames that cannot be in a slot."""

from __future__ import annotations

from runtime.daemon.connection import Connection
from runtime.daemon.messages import Configure, Submit
from runtime.daemon.ring import Ring
from runtime.daemon.slots import MAX_RING_BYTES, MAX_SLOT_BYTES, MAX_SLOTS, SlotLayout
from runtime.daemon.wire import ErrorCode, ProtocolError

MAX_ALL_RINGS_BYTES = 2 * 2**30


def check_ring(wanted: Configure, used_bytes: int) -> None:
    """Raises `ProtocolError` for a ring that cannot be had. used_bytes: of the rings that there are."""
    asked = f"{wanted.slots} slots of {wanted.slot_bytes} bytes"
    if wanted.slots > MAX_SLOTS or wanted.slot_bytes > MAX_SLOT_BYTES:
        text = f"{asked}, at most {MAX_SLOTS} of {MAX_SLOT_BYTES}"
        raise ProtocolError(ErrorCode.RING_REFUSED, text, MAX_RING_BYTES)
    needed = SlotLayout(wanted.slots, wanted.slot_bytes).ring_bytes
    most = max(0, min(MAX_RING_BYTES, MAX_ALL_RINGS_BYTES - used_bytes))
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
    needed, row = frame.stride * frame.height, frame.width * frame.format.channels
    if not (0 < row <= frame.stride and 0 < needed <= room):
        shape = f"{frame.width} x {frame.height}, stride {frame.stride}, {frame.format.name}"
        raise ProtocolError(ErrorCode.BAD_DIMENSIONS, f"{shape}: expected up to {room} bytes", needed)
    if frame.generation == 0 or frame.generation % 2:
        text = f"generation {frame.generation}, expected even, not 0"
        raise ProtocolError(ErrorCode.BAD_GENERATION, text, frame.generation)
    return ring
