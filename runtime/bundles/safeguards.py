"""What keeps a bundle from reading wrongly, and what of that a new one lacks: each in words, for a person to decide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from runtime.bundle import Bundle
from runtime.bundles.strangers import draw_strangers
from runtime.familiar import open_familiar
from runtime.manifest import FAMILIAR
from runtime.outcome import Outcome
from runtime.quality import QualityLimits
from runtime.screener import Screener
from runtime.trust.drift import FEATURES, REFERENCE, WINDOW, DriftState, Reference, drifted
from runtime.trust.selftest import SELF_TEST, must_refer
from runtime.trust.vectors import VECTORS
from runtime.trust.watch import open_reference
from runtime.trust.word import bundles_limits

BROUGHT = {VECTORS: "tests of its stages", FAMILIAR: "test of strangers", REFERENCE: "reference for drift"}
"""What a bundle may do without, unless the active one has it. (Without a self-test is always said.)"""
HIGHEST_THRESHOLD = 0.9
"""Screening refers at far less; over this hardly anything would be."""
FARTHEST = 50.0
"""A test of strangers whose limit is larger knows none: frames of its own fit lie at about 2 (`runtime.familiar`)."""
STRANGERS, MOST_KNOWN = 12, 3
"""Pictures of no fundus that a test of strangers is tried on, and how many of them it may let pass."""
LOOSEST = QualityLimits(
    brightness_min=16.0,
    brightness_max=244.0,
    glare_share_max=0.5,
    field_share_min=0.25,
    detail_min=1.0,
    detail_max=28.0,
    edge_ratio_min=3.2,
    fields_max=1.5,
    redness_min=0.015,
    green_excess_max=0.08,
    dark_twentieth_min=0.1,
    dark_third_min=0.27,
    glare_spot_max=0.3,
    blank_max=0.3,
    edge_lit_max=0.78,
    corner_lit_max=0.7,
    relief_min=0.07,
)
"""About half way from the software's own limits to where each keeps nothing out."""


def lacking(bundle: Bundle, running: Bundle | None) -> Iterator[str]:
    """What a checked bundle does without. running: the active one, None where there is none.

    Raises `BundleError` for parts that cannot be used.
    """
    files, had = ({entry.path for entry in b.manifest.files} if b else set() for b in (bundle, running))
    if SELF_TEST not in files:
        yield "it holds no self-test: nothing shows that it can refer at all"
    elif not must_refer(bundle):
        yield "its self-test knows no frame that has to be referred"
    lost = [what for path, what in BROUGHT.items() if path in had - files]
    if lost:
        yield f"it lacks what the active bundle has: {', '.join(lost)}"
    threshold = bundle.manifest.refer_threshold
    if threshold > HIGHEST_THRESHOLD:
        yield f"its refer threshold is {threshold:g}: hardly anything would be referred"
    loose = list(_loose(bundles_limits(bundle)))
    if loose:
        yield f"its quality gate is far looser than this software's: {', '.join(loose)}"
    reference = open_reference(bundle)
    unseen = [] if reference is None else [*_unseen(reference)]
    if unseen:
        yield f"its reference for drift is blind: whatever the frames are, nothing is told of {', '.join(unseen)}"
    familiar = open_familiar(bundle)
    if familiar is not None and familiar.limit > FARTHEST:
        yield f"its test of strangers lets all pass: limit {familiar.limit:g}, expected at most {FARTHEST:g}"


def not_referred(fresh: Screener, running: Bundle) -> Iterator[str]:
    """What the active bundle's self-test has to be referred, and the new bundle does not refer.

    Raises `BundleError` for a self-test that cannot be read, `EngineError` where the engine cannot be asked.
    """
    images = must_refer(running)
    missed = sum(fresh.outcome_of(image) is not Outcome.REFER for image in images)
    if missed:
        yield f"{missed} of {len(images)} frames that the active bundle's self-test has referred, it does not refer"


def strangers_known(fresh: Screener) -> Iterator[str]:
    """What the bundle's test of strangers, where it has one, makes of pictures that are no fundus.

    Its limit alone tells little: variances, scale or rest that are too large bring every distance down.
    Raises `EngineError` where the engine cannot be asked.
    """
    known = sum(fresh.knows(image) is True for image in draw_strangers(STRANGERS))
    if known > MOST_KNOWN:
        yield f"its test of strangers lets {known} of {STRANGERS} drawn pictures pass that are no fundus"


def _unseen(reference: Reference) -> Iterator[str]:
    """What never alarms: not where no frame is gradable, and not where all frames lie at one end or the other."""
    lengths = [len(reference.features[name].edges) for name in FEATURES]
    ends = (
        DriftState(WINDOW, 0, tuple((0,) * (length + 1) for length in lengths)),
        DriftState(WINDOW, WINDOW, tuple((WINDOW, *(0,) * length) for length in lengths)),
        DriftState(WINDOW, WINDOW, tuple((*(0,) * length, WINDOW) for length in lengths)),
    )
    seen = {reason.partition(":")[0] for state in ends for reason in drifted(state, reference)}
    yield from (name for name in ("gradable", *FEATURES) if name not in seen)


def _loose(limits: QualityLimits) -> Iterator[str]:
    usual = QualityLimits()
    for limit in fields(QualityLimits):
        value, loosest = getattr(limits, limit.name), getattr(LOOSEST, limit.name)
        if value < loosest if limit.name.endswith("_min") else value > loosest:
            yield f"{limit.name} {value:g} (usual {getattr(usual, limit.name):g})"
