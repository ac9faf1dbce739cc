"""`install`: the systemd units."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from device.outputs import PUBLIC, write_whole
from runtime.daemon.arguments import serve_arguments
from runtime.daemon.units import NAME, DaemonUnitOptions, service_unit, socket_unit
from runtime.errors import OutputError
from runtime.site_state import ANCHOR_VARIABLE
from runtime.trust.site import KEYS_VARIABLE, PROFILE_VARIABLE, STATION_VARIABLE

SITE_VARIABLES = (PROFILE_VARIABLE, KEYS_VARIABLE, STATION_VARIABLE, ANCHOR_VARIABLE)
"""Taken over from the shell that installs."""


def install(options: argparse.Namespace) -> int:
    """Write the units, or print them with `--dry-run`. Raises `OutputError`."""
    wanted = DaemonUnitOptions(
        Path(os.path.abspath(sys.executable)),
        serve_arguments(options),
        Path(os.path.abspath(options.socket)),
        options.socket_group or "",
        bool(options.fifo or options.lock_memory),
        options.memory_max,
        [(name, os.environ[name]) for name in SITE_VARIABLES if name in os.environ],
        [Path(anchor).absolute()] if (anchor := os.environ.get(ANCHOR_VARIABLE)) else (),
    )
    files = {f"{NAME}.service": service_unit(wanted), f"{NAME}.socket": socket_unit(wanted)}
    for name, text in files.items():
        path = options.unit_dir / name
        if options.dry_run:
            print(f"# {path}\n{text}")
            continue
        try:
            write_whole(path, text.encode(), PUBLIC)
        except OSError as error:
            raise OutputError(
                f"{path}: {error.strerror or error}; run it as root, or name another --unit-dir"
            ) from None
        print(f"wrote {path}")
    print(
        f"{'# then: ' if options.dry_run else 'now: '}systemctl daemon-reload && systemctl enable --now {NAME}.socket"
    )
    return 0
