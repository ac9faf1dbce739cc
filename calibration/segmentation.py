"""The segmentation that tells vessel density: a bundle's, through the runtime's engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from calibration.facts import BundleUsed
from runtime.manifest import graph_name

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.engines.base import Engine

PRECISION = "fp32"
"""The figures must not depend on the quantization that a set is made for."""


@contextmanager
def segmentation(bundle: Bundle, engine: Engine | None = None) -> Iterator[Engine]:
    """A running engine: the one that is given, left open, or one for the bundle, closed at the end."""
    if engine is not None:
        yield engine
        return
    from runtime.engines import load_engine

    with load_engine(bundle, "auto", PRECISION) as loaded:
        yield loaded


def bundle_used(bundle: Bundle, engine: Engine) -> BundleUsed:
    """What a set says of the bundle and of what ran it."""
    graph = graph_name("segmentation", PRECISION)
    return BundleUsed(
        name=bundle.manifest.name,
        version=bundle.manifest.version,
        sha256=bundle.sha256,
        segmentation_sha256=next(entry.sha256 for entry in bundle.manifest.files if entry.path == graph),
        engine=f"{engine.facts.backend} {engine.facts.precision}",
    )
