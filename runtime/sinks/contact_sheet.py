"""A bounded choice of a run's frames for the contact sheet, spread evenly over the run."""

from __future__ import annotations

from dataclasses import dataclass, field

from runtime.outcome import Outcome

MOST_CARDS = 200
FEWEST_OTHERS = 50
"""What the frames that are not marked keep when there are many marked ones."""


@dataclass(frozen=True)
class Card:
    """One frame on the contact sheet."""

    source: str
    sequence: int
    outcome: Outcome
    reason: str
    latency_ms: float | None
    thumbnail: bytes | None
    """JPEG; None when there were no pixels."""


@dataclass
class _Series:
    """Every `step`-th card of one kind, as (number within the kind, card)."""

    step: int = 1
    seen: int = 0
    kept: list[tuple[int, Card]] = field(default_factory=list)

    def thin(self) -> None:
        self.step *= 2
        self.kept = [(number, card) for number, card in self.kept if number % self.step == 0]


class ContactSheet:
    """Keeps every k-th card, k doubling whenever there are too many.

    Marked frames (REFER and NO_RESULT) and the others are thinned apart, the others first, so that the few frames
    that matter are all there. The choice depends on the order of reading alone.
    """

    def __init__(self) -> None:
        self._marked = _Series()
        self._others = _Series()

    def wants(self, outcome: Outcome) -> bool:
        """Whether the next frame, with this outcome, is to be kept; to be asked once a frame."""
        series = self._series(outcome)
        series.seen += 1
        return (series.seen - 1) % series.step == 0

    def add(self, card: Card) -> None:
        """Keep the card of the frame that `wants` was just asked about."""
        series = self._series(card.outcome)
        series.kept.append((series.seen - 1, card))
        if len(self._marked.kept) + len(self._others.kept) > MOST_CARDS:
            (self._others if len(self._others.kept) > FEWEST_OTHERS else self._marked).thin()

    @property
    def cards(self) -> list[Card]:
        """The cards that are kept, in the order of reading."""
        return sorted((card for s in (self._marked, self._others) for _, card in s.kept), key=lambda c: c.sequence)

    def _series(self, outcome: Outcome) -> _Series:
        return self._marked if outcome in (Outcome.REFER, Outcome.NO_RESULT) else self._others
