"""The options by which every command that gives a reading is told its site, and which of its carts this is."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_site_options(parser: argparse.ArgumentParser) -> None:
    """Add `--site-profile`, `--trusted-keys` and `--station`, as `site_profile`, `trusted_keys` and `station`."""
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
    site.add_argument(
        "--station",
        default="",
        metavar="NAME",
        help="which cart, for a profile that names some (default: $ROP_STATION)",
    )
