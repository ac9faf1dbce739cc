"""NOTICE credits every data set that the shipped weights were trained on, and goes with the package."""

from __future__ import annotations

import configparser
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MANIFESTS = sorted((ROOT / "runtime" / "bundles").glob("*/manifest.json"))


def missing(notice: str, manifest: Path) -> list[str]:
    """What the manifest says of its training data and the notice does not: citation, licence or address."""
    words = " ".join(notice.split())
    sets = json.loads(manifest.read_text(encoding="utf-8"))["training_data"]
    assert sets, f"{manifest} names no training data"
    return [one[key] for one in sets for key in ("citation", "licence", "source") if one[key] not in words]


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.parent.name)
def test_every_data_set_of_a_shipped_bundle_is_credited(manifest: Path) -> None:
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    assert missing(notice, manifest) == []
    assert missing(notice.replace("Data in Brief", ""), manifest) != []


def test_the_package_carries_it() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    assert config["metadata"]["license_files"].split() == ["LICENSE", "NOTICE"]
