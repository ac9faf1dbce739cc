"""Fixtures that every test folder shares."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the public image data sets; ROP_DATA names another place than ../shared/data."""
    root = Path(os.environ.get("ROP_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (root / "hvdropdb_vessels" / "labels.csv").is_file():
        pytest.skip(f"no image data sets at {root} (set ROP_DATA to their folder)")
    return root
