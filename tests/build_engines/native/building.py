"""Builds rop-read, and makes a bundle of tiny networks that it can read."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest

from build_engines.__main__ import main
from build_engines.familiar.fit import encodings
from runtime.bundle import Bundle, open_bundle
from runtime.familiar import Familiar, distances
from runtime.manifest import FAMILIAR, FileEntry, graph_name
from runtime.preprocess import network_input
from tests.pictures import retina
from tests.runtime.engines.tiny import tiny_bundle

NATIVE = Path(__file__).parents[3] / "runtime" / "native"


def build(folder: Path, *options: str, target: str = "rop-read") -> Path:
    """The program; a test is skipped where a compiler or a library is missing."""
    for program in ("cmake", "c++", "make"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} on this machine")
    where = Path(openvino.__file__).parent / "cmake"
    if not where.is_dir():
        pytest.skip("this openvino comes without headers")
    configured = run(
        "cmake", "-S", NATIVE, "-B", folder, f"-DOpenVINO_DIR={where}", "-DCMAKE_BUILD_TYPE=None", *options
    )
    if configured.returncode and any(
        word in configured.stderr for word in ("Could NOT find", "not found", "required packages")
    ):
        pytest.skip(f"a library is missing: {configured.stderr.strip().splitlines()[-1]}")
    assert configured.returncode == 0, configured.stderr
    built = run("cmake", "--build", folder, "--parallel", "2", "--target", target)
    if "cannot find -l" in built.stderr or "cannot find /" in built.stderr:
        pytest.skip("no sanitizer libraries on this machine")
    assert built.returncode == 0, built.stdout + built.stderr
    return folder / target


def run(*command: str | Path, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run to the end, nobody's site configured."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("ROP_")}
    # What OpenVINO keeps until the process ends is no leak of ours; what we free too late or twice is a fault.
    own |= {"ASAN_OPTIONS": "detect_leaks=0", **(environment or {})}
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=900, env=own, check=False
    )


def readable_bundle(folder: Path) -> Bundle:
    """Tiny networks with self-test, stage vectors and saved graphs for this CPU."""
    bundle = tiny_bundle(folder)
    assert main(["trust", str(bundle.path)]) == 0
    assert main(["ir", str(bundle.path), "--cpu-class", "avx2", "--precision", "fp32"]) == 0
    return open_bundle(folder)


def learnt(bundle: Bundle) -> dict[str, Any]:
    """A test of what is a fundus for the tiny networks, whose limit lies in the middle of what drawn retinas have."""
    images = [network_input(retina(seed, 320 + seed, 240 + 3 * seed))[0] for seed in range(4)]
    logs = np.log1p(encodings(bundle, "fp32", images))
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(logs.shape[1], 2)))[0].T
    fitted = Familiar(logs.mean(axis=0) + 0.01, logs.std(axis=0) + 0.01, axes, np.array([1.5, 0.5]), 2.0, 1.0)
    graphs = {entry.path: entry.sha256 for entry in bundle.manifest.files}
    return {
        "schema": "rop.familiar/1",
        "segmentation_sha256": graphs[graph_name("segmentation", "fp32")],
        "mean": fitted.mean.tolist(),
        "scale": fitted.scale.tolist(),
        "axes": axes.tolist(),
        "variances": fitted.variances.tolist(),
        "rest": fitted.rest,
        "limit": float(np.median(distances(np.expm1(logs), fitted))),
        "cameras": {"drawn": {"frames": 4, "kept": 2}},
    }


def with_learnt(bundle: Bundle, content: dict[str, Any]) -> Bundle:
    """The bundle with that for its learnt test, changed in its place."""
    path = bundle.path / FAMILIAR
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content))
    return listed(bundle, FAMILIAR)


def listed(bundle: Bundle, *more: str) -> Bundle:
    """The bundle with its files as they are now in its manifest, and these besides."""
    manifest = bundle.path / "manifest.json"
    facts = json.loads(manifest.read_text())
    paths = dict.fromkeys([*(entry["path"] for entry in facts["files"]), *more])
    contents = {path: (bundle.path / path).read_bytes() for path in paths}
    facts["files"] = [
        FileEntry(path=path, size=len(content), sha256=hashlib.sha256(content).hexdigest()).model_dump()
        for path, content in contents.items()
    ]
    manifest.write_text(json.dumps(facts))
    return open_bundle(bundle.path)
