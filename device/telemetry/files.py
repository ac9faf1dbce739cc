"""Reads the small text files of sysfs and procfs below a root folder, remembering what could not be read."""

from __future__ import annotations

import math
import re
from contextlib import suppress
from pathlib import Path


class Files:
    """The files below a root: `/` on a machine, a recorded tree in a test. Only ever reads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.problems: list[str] = []

    def text(self, path: str) -> str | None:
        """The stripped text of a file; None when it is not there or cannot be read."""
        try:
            # Device-tree strings end in a zero byte.
            return (self._root / path).read_text(encoding="utf-8", errors="replace").strip("\0 \n")
        except FileNotFoundError:
            return None
        except OSError as error:
            # A sensor that is off answers with an error; its neighbours are still read.
            self.problems.append(f"/{path}: {error.strerror}")
            return None

    def number(self, path: str, scale: float = 1.0) -> float | None:
        """The number in a file times `scale`; None when there is none."""
        text = self.text(path)
        if text is None:
            return None
        with suppress(ValueError):
            value = float(text) * scale
            if math.isfinite(value):
                return value
        self.problems.append(f"/{path}: got {text[:20]!r}, expected a number")
        return None

    def folders(self, pattern: str) -> list[str]:
        """Paths that fit a glob pattern, in the order of the numbers in their names."""
        found = [str(path.relative_to(self._root)) for path in self._root.glob(pattern)]
        return sorted(
            found, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
        )
