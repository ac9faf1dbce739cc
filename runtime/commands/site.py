"""The two options by which every command that gives a reading is told its site."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_site_options(parser: argparse.ArgumentParser) -> None:
    """Add `--site-profile` and `--trusted-keys`, as `site_profile` and `trusted_keys`."""
    site = parser.add_argument_group("site")
    site.add_argument(
        "--site-profile",
        type=Path,
        metavar="FILE",
        help="the site's signed profile: threshold, limits, what may run (default: $ROP_SITE_PROFILE)",
    )
    site.add_argument(
        "--trusted-keys",
        type=Path,
        metavar="DIR",
        help="public keys (*.pem) of those who may sign; a bundle must then be signed (default: $ROP_TRUSTED_KEYS)",
    )
