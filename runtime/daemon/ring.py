"""The ring of frames in shared memory: made and sealed by the daemon, mapped by both sides."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass

import numpy as np

from runtime.arrays import UInt8Array
from runtime.daemon.mapping import can_watch, collapse, lost, map_shared
from runtime.daemon.messages import Obtained, RingLayout
from runtime.daemon.slots import (
    GENERATION_AT,
    HUGE_PAGE,
    VESSEL_BYTES,
    VESSEL_SIDE,
    VESSELS_GENERATION_AT,
    SlotLayout,
)

SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


class Ring:
    """A mapped ring. It is unmapped when nothing refers to it or to a view of it any more.

    layout: as RING tells it. descriptor: of the memfd; the caller closes it. gives_back: its pages go back to the
    system with the mapping, whoever else still maps them.
    """

    def __init__(self, descriptor: int, layout: RingLayout, gives_back: bool = False) -> None:
        self.layout = layout
        self._bytes = map_shared(descriptor, layout.ring_bytes, gives_back)
        starts = [slot * layout.slot_stride for slot in range(layout.slots)]
        self._generations = [self._bytes[s + GENERATION_AT :][:8].view(np.uint64) for s in starts]
        self._map_generations = [self._bytes[s + VESSELS_GENERATION_AT :][:8].view(np.uint64) for s in starts]

    def collapse(self) -> bool:
        """Ask the kernel for 2 MiB pages under the ring; whether it gave them."""
        return collapse(self._bytes)

    def generation(self, slot: int) -> int:
        """The client's counter of a slot, as it stands now; -1 for good once the other side took pages of it away."""
        return -1 if lost(self._bytes) else int(self._generations[slot][0])

    def set_generation(self, slot: int, value: int) -> None:
        """For the client."""
        self._generations[slot][0] = value

    def pixels(self, slot: int) -> UInt8Array:
        """The bytes of a slot that pixels may lie in, uint8 [slot_bytes]; a view."""
        start = slot * self.layout.slot_stride + self.layout.pixels_offset
        return self._bytes[start : start + self.layout.slot_bytes]

    def vessels_generation(self, slot: int) -> int:
        """Generation of the frame whose vessel map the slot holds, 0 for none."""
        return int(self._map_generations[slot][0])

    def vessels(self, slot: int) -> UInt8Array:
        """Where the vessel map lies, uint8 [256, 256]; a view."""
        start = slot * self.layout.slot_stride + self.layout.vessels_offset
        return self._bytes[start : start + VESSEL_BYTES].reshape(VESSEL_SIDE, VESSEL_SIDE)

    def write_vessels(self, slot: int, generation: int, vessels: UInt8Array) -> None:
        """For the daemon. vessels: uint8 [256, 256]."""
        self._map_generations[slot][0] = 0
        self.vessels(slot)[:] = vessels
        self._map_generations[slot][0] = generation


@dataclass(frozen=True)
class SealedRing:
    """A ring and the descriptor that is to be passed on and closed."""

    ring: Ring
    descriptor: int


def make_ring(slots: int, slot_bytes: int, huge_pages: bool = False) -> SealedRing:
    """A new ring: every page allocated, size sealed. Raises `OSError` when there is no memory for it.

    huge_pages: reserved 2 MiB pages where the system has as many free; `layout.huge_pages` tells. Without them the
    kernel is asked to put such pages together, which it may refuse or take back. Reserved ones are not taken where
    nothing would catch a client that takes one away (`can_watch`).
    """
    plan = SlotLayout(slots, slot_bytes)
    obtained = Obtained.REFUSED if huge_pages else Obtained.NOT_ASKED
    size, descriptor = plan.ring_bytes, -1
    if huge_pages and can_watch():
        size = -(-plan.ring_bytes // HUGE_PAGE) * HUGE_PAGE
        try:
            descriptor = _memory(size, os.MFD_HUGETLB | os.MFD_HUGE_2MB)
            obtained = Obtained.OBTAINED
        except OSError:
            size = plan.ring_bytes
    if descriptor < 0:
        descriptor = _memory(size, 0)
    try:
        layout = RingLayout(
            size, plan.slot_stride, plan.pixels_offset, plan.vessels_offset, slots, slot_bytes, obtained
        )
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
        ring = Ring(descriptor, layout, gives_back=True)
        if obtained is not Obtained.OBTAINED:
            ring.collapse()
        return SealedRing(ring, descriptor)
    except BaseException:
        os.close(descriptor)
        raise


def _memory(size: int, flags: int) -> int:
    """A memfd with all its pages: a page that is missing later would kill the daemon (SIGBUS) instead of saying so."""
    descriptor = os.memfd_create("ropscreend-ring", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING | flags)
    try:
        os.ftruncate(descriptor, size)
        os.posix_fallocate(descriptor, 0, size)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
