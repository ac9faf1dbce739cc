"""A bundle measured as on a lesser class of CPU: by a process of its own, with OpenVINO held to that class's kernels.

Which kernels run really changes: OpenVINO's own names of them say so (`brgconv_avx2_f32` in the place of
`brgconv_avx512_amx_bf16`). Caches and clock stay this machine's, so ratios are carried over, not milliseconds.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from build_engines.errors import BuildError
from build_engines.report.schema import ParityReport
from runtime.cpu_class import CPU_CLASSES, LIMIT, LIMITS, cpu_class


def require_classes(text: str) -> tuple[str, ...]:
    """Names with commas between, each of a lesser class than this CPU's. Raises `BuildError`."""
    names = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    own = cpu_class()
    lesser = CPU_CLASSES[: CPU_CLASSES.index(own)] if own else ()
    for name in names:
        if name not in lesser:
            can = ", ".join(lesser) or "none"
            raise BuildError(f"--cpu-class: got {name!r}; this CPU ({own or 'of no known class'}) can stand for: {can}")
    return names


def measure_as(name: str, bundle: Path, arguments: Sequence[str]) -> ParityReport:
    """The report that `python -m build_engines report BUNDLE ARGUMENTS` gives on a CPU of a lesser class.

    Raises `BuildError` when the process fails or did not run as that class.
    """
    command = [sys.executable, "-m", "build_engines", "report", str(bundle), *arguments, "--json"]
    environment = {**os.environ, LIMIT: LIMITS[name]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    try:
        report = ParityReport.model_validate_json(done.stdout)
    except ValidationError:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:] or [f"exit code {done.returncode}"]
        raise BuildError(f"--cpu-class {name}: measuring failed: {last[0]}") from None
    if report.machine.cpu_class != name:
        raise BuildError(f"--cpu-class {name}: ran as {report.machine.cpu_class}; expected {name}; leave it out")
    return report
