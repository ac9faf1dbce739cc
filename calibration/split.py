"""Which groups of frames are held out of training: the one rule, for training, calibration sets and every figure."""

from __future__ import annotations

import hashlib


def held_out(group: str, share: float) -> bool:
    """Whether a group is held out: a fixed hash of its name, so that added frames never move others."""
    digest = hashlib.sha256(f"rop-split-1:{group}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < share * 2**32
