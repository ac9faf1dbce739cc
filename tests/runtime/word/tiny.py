"""A signed bundle that loads in a moment, for tests that drive the real commands: graphs of a kilobyte each.

The graphs are those of `tests/runtime/engines/tiny.py`; the brighter a picture, the more probable its ridge.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from runtime.bundle import open_bundle
from runtime.engines import load_engine
from runtime.trust.selftest import SELF_TEST, ask
from tests.pictures import retina
from tests.runtime.conftest import manifest_content
from tests.runtime.engines.tiny import tiny_graph

THRESHOLD = 0.7
PICTURE = retina(0)
"""Its ridge has probability 0.82."""
KNOWN = {"dark": 1 / 3, "bright": 1.3}
"""The self-test's frames, 0.64 and 0.88: the picture, so many times as bright."""


def write_tiny_bundle(folder: Path, **changes: Any) -> Path:
    """A bundle with a self-test that OpenVINO passes; keyword arguments replace parts of its manifest."""
    (folder / "selftest").mkdir(parents=True)
    files = {f"{name}.fp32.onnx": tiny_graph(name) for name in ("segmentation", "classifier")}
    _write(folder, files, changes)
    images = {name: np.clip(cv2.resize(PICTURE, (256, 256)) * share, 0, 255) for name, share in KNOWN.items()}
    with load_engine(open_bundle(folder), "openvino", "fp32") as engine:
        answers = [ask(engine, image.astype(np.uint8)[np.newaxis]) for image in images.values()]
    known = [{"probabilities": a.probabilities.tolist(), "vessels": a.blocks.tolist()} for a in answers]
    for name, image in images.items():
        encoded = cv2.imencode(".png", image[..., ::-1].astype(np.uint8))[1]
        files[f"selftest/{name}.png"] = encoded.tobytes()
    content = {
        "schema": "rop.selftest/1",
        "made_by": "tests",
        "frames": [f"selftest/{name}.png" for name in images],
        "meaning": {
            "classes": ["no_ridge", "ridge"],
            "refer_classes": ["ridge"],
            "frames": [{"class_name": "ridge", "refer": name == "bright"} for name in images],
        },
        "answers": {"fp32": {"probability_tolerance": 0.005, "vessels_tolerance": 0.005, "frames": known}},
    }
    files[SELF_TEST] = json.dumps(content).encode()
    _write(folder, files, changes)
    return folder


def _write(folder: Path, files: dict[str, bytes], changes: dict[str, Any]) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    manifest = manifest_content(files) | {"refer_threshold": THRESHOLD} | changes
    (folder / "manifest.json").write_text(json.dumps(manifest))


def sha256_of(bundle: Path) -> str:
    """By which a profile names it."""
    return hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
