"""What is asked of `screener_for` reaches the guard and the Screener, and nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import runtime.site_screener
from runtime.budget import Budget
from runtime.bundle import Bundle
from runtime.engines.fake import FakeEngine
from runtime.site_screener import screener_for
from runtime.trust.site import Site

UNASKED: dict[str, Any] = {
    "engine": "auto",
    "precision": "auto",
    "threads": None,
    "budget": Budget(),
    "reject_repeats": True,
    "threshold": None,
    "gates": False,
    "occlusion": False,
}
ASKED: dict[str, Any] = {
    "engine": FakeEngine(),
    "precision": "int8",
    "threads": 3,
    "budget": Budget(total=9),
    "reject_repeats": False,
    "threshold": 0.3,
    "gates": True,
    "occlusion": True,
}
OF_THE_GUARD: dict[str, Any] = {"drift_file": Path("drift.json"), "repeats": True}


@pytest.mark.parametrize(
    ("given", "guarded"), [({}, {"drift_file": None, "repeats": False}), (ASKED | OF_THE_GUARD, OF_THE_GUARD)]
)
def test_everything_reaches_its_place(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], guarded: dict[str, Any]
) -> None:
    seen: dict[str, tuple[Any, ...]] = {}

    def noting(name: str) -> Any:
        def note(*positional: object, **named: object) -> str:
            seen[name] = (positional, named)
            return name

        return note

    for name in ("Guard", "Screener"):
        monkeypatch.setattr(runtime.site_screener, name, noting(name))
    site = Site()
    made: object = screener_for(site, bundle, **given)
    assert made == "Screener"
    assert seen["Guard"] == ((bundle, site), guarded)
    asked = {name: given.get(name, usual) for name, usual in UNASKED.items()}
    assert seen["Screener"] == ((bundle,), {**asked, "trust": "Guard"})
