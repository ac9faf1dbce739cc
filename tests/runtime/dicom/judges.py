"""The programs that judge an object: dicom3tools' dciodvfy and dcmtk's dcmdump."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ALLOWED = re.compile(
    r"Unrecognized defined term = <99ROPSCREEN>"  # designators that begin with 99 are there for private schemes
    r"|PatientName.*Length invalid for this VR = <127>"  # 64 characters, as allowed; dciodvfy counts UTF-8's bytes
)


def complaints(path: Path) -> list[str]:
    """Errors and warnings of both, but for those that are known to be mistaken."""
    judged = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, text=True, errors="replace")
    lines = [line for line in (judged.stdout + judged.stderr).splitlines() if line.startswith(("Error", "Warning"))]
    found = [line for line in lines if not ALLOWED.search(line)]
    if judged.returncode and not lines:
        found.append(f"dciodvfy ended with {judged.returncode}")
    dumped = subprocess.run(["dcmdump", "-q", str(path)], capture_output=True, text=True, errors="replace")
    if dumped.returncode or dumped.stderr:
        found.append(f"dcmdump ended with {dumped.returncode}: {dumped.stderr}")
    return found
