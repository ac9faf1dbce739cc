"""Timing caches in the user's cache folder: a second build for the same GPU and library takes a fraction of the first.

They hold for one GPU model and one exact version of the library only, so both stand in the file's name, and none is
ever part of a bundle.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from build_engines.plans.machine import Machine
from device.outputs import PUBLIC, write_whole


def cache_file(machine: Machine) -> Path | None:
    """Where the cache for this machine lies; None without a GPU, where nothing is timed, or without a home."""
    if machine.gpu is None:
        return None
    try:
        root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    except RuntimeError:  # a user without a home
        return None
    words = (machine.gpu.name, machine.gpu.architecture, machine.module, machine.version)
    name = "_".join(re.sub(r"[^A-Za-z0-9.]+", "-", word).strip("-") for word in words)
    return Path(root) / "rop-screening" / "timing" / f"{name}.cache"


def take_cache(config: Any, file: Path) -> None:
    """Give the builder's configuration what an earlier build learned, or an empty cache."""
    try:
        known = file.read_bytes()
    except OSError:
        known = b""
    cache = config.create_timing_cache(known)
    # A cache that the library does not take, cut short or of another build, is begun anew.
    if cache is None or not config.set_timing_cache(cache, False):
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, False)


def keep_cache(config: Any, file: Path) -> str:
    """Write what this build learned. Returns why it could not be written, empty when it was."""
    cache = config.get_timing_cache()
    if cache is None:
        return ""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, bytes(memoryview(cache.serialize())), PUBLIC)
    except OSError as error:
        return f"the timing cache {file} cannot be written ({error.strerror or error}); the next build takes as long"
    return ""
