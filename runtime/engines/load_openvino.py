"""Loads OpenVINO, the one place that does, and keeps it from speaking to anybody."""

from __future__ import annotations

import sys
from typing import Any

from runtime.errors import EngineError


def keep_silent() -> None:
    """Let OpenVINO find no `openvino_telemetry`: loading it would look up a host and write into the home folder.

    OpenVINO then takes the stand-in that it ships for machines without that package. To be called before anything of
    OpenVINO is imported; a program that imported OpenVINO itself before has let it speak already.
    """
    if "openvino_telemetry" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # how Python marks what must not be found


def load_openvino() -> Any:
    """The module `openvino`. Raises `EngineError` where it cannot be imported."""
    keep_silent()
    try:
        import openvino
    except ImportError as error:
        raise EngineError(f"openvino: cannot be imported ({error}); install it: pip install openvino") from error
    return openvino
