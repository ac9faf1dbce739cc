"""The drift reference of a bundle: how its scores and measures are spread over frames, by camera; statistics only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from build_engines.errors import BuildError
from device.cameras import open_camera
from device.errors import FrameUnreadable
from device.secrets import hide_secrets
from runtime.bundle import Bundle
from runtime.decide import refer_probability
from runtime.screener import Screener
from runtime.trust.drift import EVERYTHING, FEATURES, FEWEST, REFERENCE, REFERENCE_SCHEMA, References

RANKS = np.arange(0.05, 1.0, 0.05)
"""Edges of the bins lie at these shares of the frames."""
Rows = list[dict[str, float]]


def write_reference(
    bundle: Bundle,
    sources: Mapping[str, Sequence[str]],
    gradable_share: float,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[str, ...]:
    """Read frames with the bundle and write `reference/drift.json`.

    sources: by camera, what `python -m runtime.screen` takes. Gives the file's name, for the manifest, which does not
    list it yet. Raises `BuildError` where a camera has too few gradable frames, `CameraError` for a source.
    """
    rows: dict[str, Rows] = {}
    with Screener(bundle, engine="openvino", reject_repeats=False) as screener:
        refer = tuple(label.name for label in bundle.manifest.classes if label.refer)
        for name, texts in sources.items():
            report(f"{name}: reading {', '.join(map(hide_secrets, texts))}")
            rows[name] = [row for text in texts for row in _rows(screener, text, refer)]
            report(f"{name}: {len(rows[name])} gradable frames")
    rows[EVERYTHING] = [row for found in rows.values() for row in found]
    content = {
        "schema": REFERENCE_SCHEMA,
        "references": {name: _reference(name, found, gradable_share) for name, found in rows.items()},
    }
    path = bundle.path / REFERENCE
    path.parent.mkdir(exist_ok=True)
    text = References.model_validate(content).model_dump_json(by_alias=True, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    return (REFERENCE,)


def _rows(screener: Screener, source: str, refer: tuple[str, ...]) -> Rows:
    rows: Rows = []
    with open_camera(source) as camera:
        while True:
            try:
                frame = camera.read()
            except FrameUnreadable:
                continue
            if frame is None:
                return rows
            reading = screener.screen(frame)
            if reading.probabilities is not None and reading.quality is not None:
                known = {
                    **reading.quality.measures,
                    "score": refer_probability(reading.probabilities, refer),
                    "vessel_fraction": reading.vessel_fraction or 0.0,
                }
                rows.append({feature: known[feature] for feature in FEATURES})


def _reference(name: str, rows: Rows, gradable_share: float) -> dict[str, object]:
    if len(rows) < FEWEST:
        raise BuildError(f"reference {name}: got {len(rows)} gradable frames, needed {FEWEST}; name more")
    features = {}
    for feature in FEATURES:
        values = np.array([row[feature] for row in rows])
        edges = np.unique(np.round(np.quantile(values, RANKS), 6))
        below = [round(float((values < edge).mean()), 6) for edge in edges]
        features[feature] = {"edges": edges.tolist(), "below": below}
    return {"frames": len(rows), "gradable_share": gradable_share, "features": features}
