"""Tables and stored readings of studies that never were, and a bundle whose classes they are by."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runtime.bundle import Bundle
from runtime.decide import decide
from runtime.outcome import Outcome
from tests.runtime.engines.tiny import tiny_bundle

THRESHOLD = 0.5


def row(image: str, refer: int, score: float | None, **columns: object) -> dict[str, Any]:
    """A case with the score that it is given; None for a frame that is not gradable."""
    return {"image": image, "refer": refer, "score": score, **columns}


def study(infants: int = 30, seed: int = 0, silent: float = 0.05) -> list[dict[str, Any]]:
    """Two eyes of two views each, ill infants with higher scores, some frames without an answer."""
    rng = np.random.default_rng(seed)
    rows = []
    for infant in range(infants):
        ill = infant % 3 == 0
        own = rng.normal(0.62 if ill else 0.3, 0.12)
        for eye in ("right", "left"):
            for view in ("posterior", "temporal"):
                score = None if rng.random() < silent else float(np.clip(rng.normal(own, 0.08), 0.001, 0.999))
                image = f"p{infant:04d}/{eye}_{view}.jpg"
                device = ("RetCam", "Neo")[infant % 2]
                weeks = 24 + infant % 11
                rows.append(
                    row(image, int(ill), score, infant=f"i{infant}", eye=eye, view=view, device=device,
                        gestational_age=weeks)
                )  # fmt: skip
    return rows


def write_table(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [name for name in rows[0] if name not in ("score", "pixels", "at")]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_readings(path: Path, rows: Sequence[Mapping[str, Any]], bundle: Bundle, precision: str = "fp32") -> Path:
    """Readings as `runtime.screen` writes them, as far as they are looked at."""
    lines = []
    for number, of in enumerate(rows):
        score = of["score"]
        probabilities = None if score is None else {"no_ridge": 1 - score, "ridge": score}
        outcome, reason = (
            (Outcome.RETAKE, "blurred") if probabilities is None else decide(probabilities, ("ridge",), THRESHOLD)
        )
        lines.append(
            json.dumps(
                {
                    "schema": "rop.reading/1",
                    "frame": {
                        "source": of["image"],
                        "sequence": number,
                        "sha256": of.get("pixels", f"{number:064x}"),
                        **({"captured_at": of["at"]} if "at" in of else {}),
                    },
                    "outcome": outcome.value,
                    "reason": reason,
                    "probabilities": probabilities,
                    "bundle": {"name": "test", "version": "3", "sha256": bundle.sha256},
                    "engine": {"backend": "openvino", "precision": precision, "device": "CPU"},
                }
            )
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def bundle_in(folder: Path) -> Bundle:
    return tiny_bundle(folder / "bundle")
