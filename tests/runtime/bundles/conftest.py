"""A cart's slots with two signed bundles, and nothing configured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import runtime.bundles.actions
import runtime.bundles.starts
from runtime.bundles.actions import Means
from runtime.bundles.trial import Trial, TrialRequest
from tests.runtime.bundles.making import KEY, WORKS, bundle_folder, keys_folder


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ROP_SITE_PROFILE", "ROP_TRUSTED_KEYS", "ROP_STATION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROP_SITE_STATE", str(tmp_path / "state"))


@pytest.fixture
def means(tmp_path: Path) -> Means:
    return Means(tmp_path / "slots", trusted_keys=keys_folder(tmp_path / "keys", maker=KEY), station="cart-1")


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return bundle_folder(tmp_path / "one", version="1", issue=1)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return bundle_folder(tmp_path / "two", version="2", issue=2)


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> Callable[[Trial], list[TrialRequest]]:
    """Let every trial find this from now on; gives what was asked."""
    asked: list[TrialRequest] = []

    def finds(found: Trial) -> list[TrialRequest]:
        def try_bundle(what: TrialRequest) -> Trial:
            asked.append(what)
            return found

        for module in (runtime.bundles.actions, runtime.bundles.starts):
            monkeypatch.setattr(module, "try_bundle", try_bundle)
        return asked

    finds(WORKS)
    return finds
