"""Fixtures of the runtime's tests: a bundle without networks, and frames that pass the gate."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from device.frame import Frame
from runtime.bundle import Bundle, open_bundle
from tests.pictures import retina


def manifest_content(files: dict[str, bytes]) -> dict[str, Any]:
    """A valid manifest for the given files, as a dict that tests may spoil."""
    return {
        "schema": "rop.bundle/1",
        "name": "test",
        "version": "3",
        "created": "2026-11-01",
        "network": {"architecture": "SegImgNet", "size": "edge", "parameters": 1},
        "input": {
            "width": 256,
            "height": 256,
            "layout": "NHWC",
            "dtype": "uint8",
            "color": "RGB",
            "resize": "antialiased bilinear",
        },
        "disease": "retinopathy of prematurity",
        "intended_use": "Tests.",
        "clinical_use": False,
        "classes": [
            {"name": "no_ridge", "meaning": "None seen.", "refer": False},
            {"name": "ridge", "meaning": "One seen.", "refer": True},
        ],
        "refer_threshold": 0.5,
        "training_data": [],
        "metrics": [],
        "default_precision": {"openvino": {"segmentation": "fp32", "classifier": "fp32"}},
        "tools": {},
        "files": [
            {"path": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for name, content in files.items()
        ],
    }


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """A compiled module by name, built anew from its source, so that what is tested is never an older one."""
    folder = tmp_path_factory.mktemp("compiled")
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-temp", str(folder), "--build-lib", str(folder)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)

    def module(name: str) -> Any:
        built = list((folder / Path(*name.split("."))).parent.glob(name.split(".")[-1] + "*"))
        if not built:
            pytest.skip(f"{name} cannot be built here (compiler or Python.h?): {done.stderr[-300:]}")
        spec = util.spec_from_file_location(name, built[0])
        assert spec is not None
        assert spec.loader is not None
        made = util.module_from_spec(spec)
        spec.loader.exec_module(made)
        return made

    return module


@pytest.fixture
def write_bundle(tmp_path: Path) -> Callable[..., Path]:
    """Write a bundle of stand-in graphs; keyword arguments replace parts of its manifest."""

    def write(**changes: Any) -> Path:
        files = {"segmentation.fp32.onnx": b"segmentation graph", "classifier.fp32.onnx": b"classifier graph"}
        folder = tmp_path / "bundle"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (folder / "manifest.json").write_text(json.dumps(manifest_content(files) | changes))
        return folder

    return write


@pytest.fixture
def bundle(write_bundle: Callable[..., Path]) -> Bundle:
    return open_bundle(write_bundle())


@pytest.fixture
def frame() -> Frame:
    return Frame(retina(), sequence=0, source="retina.png")
