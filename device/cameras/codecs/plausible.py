"""Whether an ICC profile can be what its maker wrote: a damaged one opens as well, and makes other colours.

Sources: ICC.1:2022 (profile ID 7.2.18; matrix profiles 8.3.3; curves 10.6, 10.18), ICC.1:2001-04.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping

import numpy as np

_D50 = np.array([0.9642, 1.0, 0.8249])
_WHITE_TOLERANCE = 0.03
"""By so much the colorants may miss white, each of X, Y, Z. 43 of 43 profiles of others hold that."""
_FALLS_MOST = 128 / 65535
"""A curve may fall by so much from one entry to the next: rounding, of 8 bits at the coarsest."""
_GAMMAS = (0.25, 6.0)
_PARAMETERS = (1, 3, 4, 5, 7)
"""Of a parametric curve, by its type."""


def plausible(profile: bytes) -> bool:
    """False where its own check sum does not fit, where a matrix profile's colorants do not make its white, or where a
    curve goes up and down. Of tables (LUTs) in profiles without a check sum nothing can be said.
    """
    if len(profile) < 132 or profile[36:40] != b"acsp" or int.from_bytes(profile[:4], "big") > len(profile):
        return False
    if any(profile[84:100]) and profile[84:100] != _identifier(profile):
        return False
    tags = _tags(profile)
    return _make_white(tags) and all(_goes_one_way(block) for name, block in tags.items() if name.endswith(b"TRC"))


def _identifier(profile: bytes) -> bytes:
    """MD5 over all but flags, rendering intent and itself."""
    size = int.from_bytes(profile[:4], "big")
    parts = (profile[:44], bytes(4), profile[48:64], bytes(4), profile[68:84], bytes(16), profile[100:size])
    return hashlib.md5(b"".join(parts), usedforsecurity=False).digest()


def _tags(profile: bytes) -> Mapping[bytes, bytes]:
    count = min(int.from_bytes(profile[128:132], "big"), 200)
    entries = [profile[132 + 12 * k : 144 + 12 * k] for k in range(count)]
    placed = [(one[:4], *struct.unpack(">II", one[4:])) for one in entries if len(one) == 12]
    return {name: profile[start : start + size] for name, start, size in placed}


def _make_white(tags: Mapping[bytes, bytes]) -> bool:
    """Under D50, or under the profile's own white, as before version 4 some are."""
    colorants = [_xyz(tags.get(name + b"XYZ", b"")) for name in (b"r", b"g", b"b")]
    found = [one for one in colorants if one is not None]
    if not found:
        return True
    own = _xyz(tags.get(b"wtpt", b""))
    whites = [_D50] if own is None else [_D50, own]
    return len(found) == 3 and any(np.abs(sum(found) - white).max() <= _WHITE_TOLERANCE for white in whites)


def _xyz(block: bytes) -> np.ndarray | None:
    return np.array(struct.unpack(">3i", block[8:20])) / 65536 if block[:4] == b"XYZ " and len(block) >= 20 else None


def _goes_one_way(block: bytes) -> bool:
    if block[:4] == b"curv" and len(block) >= 12:
        count = int.from_bytes(block[8:12], "big")
        values = np.frombuffer(block[12 : 12 + 2 * count][: 2 * (len(block[12:]) // 2)], ">u2").astype(float)
        if len(values) != count:
            return False
        return _GAMMAS[0] <= values[0] / 256 <= _GAMMAS[1] if count == 1 else _one_way(values / 65535)
    if block[:4] == b"para" and len(block) >= 12 and (kind := int.from_bytes(block[8:10], "big")) < len(_PARAMETERS):
        found = block[12 : 12 + 4 * _PARAMETERS[kind]]
        if len(found) != 4 * _PARAMETERS[kind]:
            return False
        values = np.array(struct.unpack(f">{_PARAMETERS[kind]}i", found)) / 65536
        return bool(_GAMMAS[0] <= values[0] <= _GAMMAS[1]) and _one_way(_parametric(kind, *values))
    return False


def _one_way(light: np.ndarray) -> bool:
    steps = np.diff(light)
    return bool(
        np.isfinite(light).all() and (steps.min(initial=0) >= -_FALLS_MOST or steps.max(initial=0) <= _FALLS_MOST)
    )


def _parametric(kind: int, g: float, a: float = 1, b: float = 0, *more: float) -> np.ndarray:
    signal = np.linspace(0, 1, 257)
    with np.errstate(all="ignore"):
        curved = np.where(a * signal + b >= 0, np.abs(a * signal + b), 0) ** g
        if kind < 3:
            low = -b / a if kind and a else 0.0
            c = more[0] if more else 0.0
            return np.asarray(np.where(signal >= low, curved, 0) + c)
        c, d = more[:2]
        e, f = more[2:] if kind == 4 else (0.0, 0.0)
        return np.asarray(np.where(signal >= d, curved + e, c * signal + f))
