from __future__ import annotations

import subprocess
import sys

import runtime

HEAVY = ("torch", "onnx", "openvino", "tensorrt", "pycuda", "cuda", "PIL", "pydantic", "rich", "build_engines")


def test_the_public_names_are_these_and_no_others() -> None:
    assert sorted(runtime.__all__) == [
        "Budget",
        "Bundle",
        "BundleError",
        "DeadlineMissed",
        "EngineError",
        "Frame",
        "IncompatiblePlan",
        "Outcome",
        "OutputError",
        "QualityLimits",
        "Reading",
        "Screener",
        "ScreeningError",
        "open_bundle",
    ]
    assert all(hasattr(runtime, name) for name in runtime.__all__)


def test_import_brings_neither_an_engine_nor_anything_of_the_build_side() -> None:
    code = f"import runtime, sys; print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
