"""Where things lie in the ring: slot header, pixels, vessel map."""

from __future__ import annotations

from dataclasses import dataclass

PAGE = 4096
HUGE_PAGE = 2 * 2**20
VESSEL_SIDE = 256
VESSEL_BYTES = VESSEL_SIDE * VESSEL_SIDE
GENERATION_AT = 0
"""Offset in a slot of the client's u64 counter: odd while the pixels are written, even when they are whole."""
VESSELS_GENERATION_AT = 64
"""Offset in a slot of the daemon's u64: the generation of the frame whose vessel map the slot holds; 0 for none.
A cache line of its own, so that the two sides do not slow each other down."""
MAX_SLOTS = 16
MAX_SLOT_BYTES = 64 * 2**20
MAX_RING_BYTES = 512 * 2**20


@dataclass(frozen=True)
class SlotLayout:
    """Bytes from a slot's begin, and from one slot to the next."""

    slots: int
    slot_bytes: int
    """Room for pixels in each slot."""

    @property
    def pixels_offset(self) -> int:
        """Page-aligned, so that a camera's DMA can write there."""
        return PAGE

    @property
    def vessels_offset(self) -> int:
        """Of the vessel map, 65536 bytes."""
        return PAGE + -(-self.slot_bytes // PAGE) * PAGE

    @property
    def slot_stride(self) -> int:
        """A whole number of pages."""
        return self.vessels_offset + VESSEL_BYTES

    @property
    def ring_bytes(self) -> int:
        """All slots."""
        return self.slots * self.slot_stride
