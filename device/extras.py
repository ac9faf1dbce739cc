"""What each extra of the project brings, and the one line that says which is missing here."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from device.version import PROJECT

EXTRAS: dict[str, tuple[str, ...]] = {
    "build": ("torch", "onnx", "onnxscript", "modelopt"),
    "evaluate": ("markdown_it", "matplotlib"),
    "fleet": ("pyarrow", "ray"),
    "plans": ("onnx",),
    "triton": ("tritonclient", "grpc"),
    "video": ("av",),
    "light": ("cryptography", "serial"),
    "exam": ("cryptography", "isal"),
    "jpeg": ("gdcm",),
    "dicom": ("cryptography", "fpdf", "highdicom", "pydicom", "pynetdicom", "uharfbuzz"),
}
"""The modules that a command imports, by the extra of setup.cfg that installs them."""

_TREE = Path(__file__).parents[1]


def how_to_install(extra: str) -> str:
    """The command that brings an extra, to end a message with.

    From a clone its folder is named: by the name alone pip would ask an index, where anybody may have taken it.
    """
    if (_TREE / "setup.cfg").is_file():
        return f"install it: pip install -e '{_TREE}[{extra}]'"
    return f"install it: pip install '{PROJECT}[{extra}]'"


def missing(extra: str) -> str:
    """One line that says what of an extra is not installed and how to get it; empty where all is there."""
    absent = [module for module in EXTRAS[extra] if find_spec(module) is None]
    if not absent:
        return ""
    return f"{', '.join(absent)}: not installed, and needed for this (extra {extra}); {how_to_install(extra)}"
