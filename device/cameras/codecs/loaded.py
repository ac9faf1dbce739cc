"""Libraries that an imported package has loaded into this process and offers no way of its own to."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any


def loaded_libraries(name: str) -> Iterator[ctypes.CDLL]:
    """Those whose file's name begins so; none where the system does not tell (`/proc/self/maps`)."""
    with suppress(OSError):
        maps = Path("/proc/self/maps").read_text("utf-8", "replace")
        for path in sorted(set(re.findall(rf"(/\S*/{name}[^/\s]*\.so[^/\s]*)$", maps, re.MULTILINE))):
            with suppress(OSError):
                yield ctypes.CDLL(path)


def declared_library(name: str, functions: Iterable[tuple[str, Any, list[Any]]]) -> Any:
    """The first of `loaded_libraries` that has all the functions, each with its result's and arguments' types; None for
    none."""
    declared = tuple(functions)
    for library in loaded_libraries(name):
        try:
            for function_name, result, arguments in declared:
                function = getattr(library, function_name)
                function.restype, function.argtypes = result, arguments
        except AttributeError:  # another of its family
            continue
        return library
    return None
