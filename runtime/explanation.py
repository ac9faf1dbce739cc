"""`Explanation`: what the networks let through for a frame, for the person who asks why. It decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.arrays import FloatArray

WORDS = (
    "The gates show where the classifier lets features of its vessel branch through; they do not show why it decided."
)
"""To be said wherever a picture of gates is shown."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """The classifier's gates for one frame, and what its two branches add to its answer.

    `log_odds` is the logarithm of the odds for referral by the networks' logits, before any threshold:
    `base + raw_share + seg_share`. A share is what the branch adds to it, by Shapley's formula for two players
    (Shapley 1953): the mean of what it adds to nothing and of what it adds to the other branch, where an absent branch
    gives zeros to the layers that join both. It says how this network adds up, not what is to be seen in the eye.
    """

    gates: tuple[FloatArray, ...]
    """From the finest on, each float32 [h, w] (64, 32, 16 and 8 a side): mean over the channels, 0 shut to 1 open."""
    log_odds: float
    base: float
    """With both branches absent."""
    raw_share: float
    """Of the branch that sees the picture."""
    seg_share: float
    """Of the branch that sees the picture where vessels are, through the gates."""
    occlusion: FloatArray | None = None
    """float32 [8, 8] where asked for: by how much `log_odds` falls when that part of the picture is covered with the
    mean colour of the field; not a number outside of the field."""
    took_ms: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """For a reading's JSON: the shares, how far the gates are open on average, the occlusion; no maps of gates."""
        found: dict[str, Any] = {
            "log_odds": round(self.log_odds, 4),
            "base": round(self.base, 4),
            "raw_share": round(self.raw_share, 4),
            "seg_share": round(self.seg_share, 4),
            "gates_open": [round(float(gate.mean()), 4) for gate in self.gates],
            "took_ms": round(self.took_ms, 1),
        }
        if self.occlusion is not None:
            found["occlusion"] = [
                [None if value != value else round(float(value), 4) for value in row] for row in self.occlusion
            ]
        return found
