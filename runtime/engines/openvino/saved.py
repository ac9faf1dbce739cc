"""Graphs that a bundle holds as OpenVINO IR, changed for a CPU when it was built: loaded as they are.

Read from the bytes that the manifest's hashes were just held against, weights included: OpenVINO opens no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.manifest import SavedGraphs


def saved_for(bundle: Bundle, precision: Mapping[str, str], handed_on: str) -> SavedGraphs | None:
    """The pair of that precision which hands its maps on in that element type; None where the bundle holds none."""
    fitting = (
        saved
        for saved in bundle.manifest.saved_graphs
        if (dict(saved.precision), saved.handed_on) == (dict(precision), handed_on)
    )
    return next(fitting, None)


def read_saved(core: Any, bundle: Bundle, saved: SavedGraphs) -> list[Any]:
    """Its parts as `openvino.Model`s, in the manifest's order. Raises `BundleError` for one that was altered."""
    from openvino import Tensor

    models = []
    for part in saved.parts:
        text, weights = (bundle.read(f"{saved.folder}/{part}.{ending}") for ending in ("xml", "bin"))
        models.append(core.read_model(text, Tensor(np.frombuffer(weights, np.uint8).copy())))
    return models
