"""What the daemon allows its clients: who may connect, how many, how much memory, how long a silence."""

from __future__ import annotations

import os
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

MAX_CLIENTS = 32
KEPT_FOR_ROOT = 2
"""Places that nobody but root has."""
KEPT_FOR_OWN = 2
"""Further places that nobody but root and the daemon's own user have."""
MAX_CLIENTS_A_USER = 8
"""Of another user than these two."""
MAX_ALL_RINGS_BYTES = 2 * 2**30
MAX_RINGS_A_USER_BYTES = 512 * 2**20
"""Of another user than root and the daemon's own."""
SO_PEERGROUPS = 59
"""Linux 4.13."""
_MOST_GROUPS = 65536


@dataclass(frozen=True)
class Limits:
    """Times, and who may connect."""

    uids: frozenset[int] = frozenset()
    """Users that may connect beside root and the daemon's own."""
    group: int | None = None
    """Members of this group may connect too, where `uids` names nobody."""
    max_age_ms: float = 2000.0
    """A frame that was captured longer ago than this when its reading is done has no result."""
    hello_s: float = 2.0
    """A connection that did not say HELLO by then is closed."""
    idle_s: float = 600.0
    """A connection from which nothing came for so long, and that waits for nothing, is closed."""
    rings_bytes: int = MAX_ALL_RINGS_BYTES
    """All rings together."""

    def admits(self, uid: int, connected: socket.socket) -> bool:
        """Whether the user at the other end may connect."""
        if uid in (0, os.geteuid()) or uid in self.uids:
            return True
        return self.group is not None and not self.uids and self.group in groups_of(connected)


def is_trusted(uid: int) -> bool:
    """Whether it is root or the daemon's own user."""
    return uid in (0, os.geteuid())


def may_join(uid: int, others: list[int]) -> int:
    """0 when there is a place for one more of that user; otherwise how many it may have. others: who is there."""
    if uid == 0:
        return MAX_CLIENTS if len(others) >= MAX_CLIENTS else 0
    most = MAX_CLIENTS - KEPT_FOR_ROOT
    if uid == os.geteuid():
        return most if len(others) >= most else 0
    if others.count(uid) >= MAX_CLIENTS_A_USER:
        return MAX_CLIENTS_A_USER
    strangers = sum(not is_trusted(other) for other in others)
    return most - KEPT_FOR_OWN if strangers >= most - KEPT_FOR_OWN or len(others) >= most else 0


def groups_of(connected: socket.socket) -> set[int]:
    """All groups of the user at the other end, as the kernel says."""
    _, _, gid = struct.unpack("iII", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    try:
        data = connected.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 4 * 1024)
    except OSError:
        try:
            data = connected.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, 4 * _MOST_GROUPS)
        except (OSError, ValueError):
            return {gid}
    return {gid, *struct.unpack(f"{len(data) // 4}I", data)}


def rings_bytes(root: Path = Path("/")) -> int:
    """Room for all rings: at most half of the memory that this process may have, by its control group or the machine.

    root: where /proc and /sys are.
    """
    allowed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
        group = next(line[3:].strip("/") for line in lines if line.startswith("0::"))
        folder = root / "sys/fs/cgroup" / group
        for place in (folder, *folder.parents):
            limit = place / "memory.max"
            if limit.is_file() and (text := limit.read_text().strip()).isdigit():
                allowed = min(allowed, int(text))
            if place == root / "sys/fs/cgroup":
                break
    except (OSError, StopIteration):
        pass
    return min(MAX_ALL_RINGS_BYTES, allowed // 2)
