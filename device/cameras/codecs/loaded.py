"""Libraries that an imported package has loaded into this process and offers no way of its own to."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def loaded_libraries(name: str) -> Iterator[ctypes.CDLL]:
    """Those whose file's name begins so; none where the system does not tell (`/proc/self/maps`)."""
    with suppress(OSError):
        maps = Path("/proc/self/maps").read_text("utf-8", "replace")
        for path in sorted(set(re.findall(rf"(/\S*/{name}[^/\s]*\.so[^/\s]*)$", maps, re.MULTILINE))):
            with suppress(OSError):
                yield ctypes.CDLL(path)
