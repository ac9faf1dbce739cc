"""Plans for this machine's GPU, where the builder is installed beside the runtime; else said what is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from runtime.cuda.probe import has_driver
from runtime.trust.site import Site

TIMEOUT_S = 1800.0
BUILDER = "rop-build"


def find_builder() -> Sequence[str] | None:
    """The build side's command: beside this Python, or on the path; None where it is not installed."""
    beside = Path(sys.executable).with_name(BUILDER)
    found = str(beside) if beside.is_file() else shutil.which(BUILDER)
    return None if found is None else (found,)


def build_plans(bundle: Path, site: Site, builder: Sequence[str] | None, *, gpu: bool | None = None) -> str:
    """Have plans built into the bundle's folder; what came of it, in one line, "" where there is no GPU. Never raises.

    builder: the words of its command. gpu: None looks. A plan that a cart builds is signed by nobody, so a site with
    keys has to allow such plans.
    """
    if not (has_driver() if gpu is None else gpu):
        return ""
    if any(bundle.glob("plans/*/plan.json")):
        return "plans: the package brings some; the engine takes the one that fits this GPU"
    if site.keys is not None and not (site.profile is not None and site.profile.allow_unsigned_plans):
        return "plans: none built, this site runs signed ones only; have them built and signed: rop-build sign"
    if builder is None:
        return "plans: none built, no builder is installed here; build them elsewhere: rop-build --target tensorrt"
    try:
        ended = subprocess.run(
            [*builder, "--target", "tensorrt", str(bundle)], capture_output=True, check=False, timeout=TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"plans: none built, the builder failed ({str(error)[:200]})"
    if ended.returncode:
        last = ended.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [f"code {ended.returncode}"]
        return f"plans: none built, the builder failed ({last[0][:200]})"
    return "plans: built for this GPU"
