"""Modules that moved are still found under their old names, with a word of where they are now."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

import pytest

from runtime.moved import MOVED

PUBLIC = {
    "runtime.engines.cpu_class": ("cpu_class", "CPU_CLASSES"),
    "runtime.exam.views": ("Eye", "View", "place"),
    "runtime.trust.apply": ("screener_for", "site_rules"),
    "runtime.trust.facts": ("TrustFacts", "Signature"),
}
"""What users of the old modules asked them for."""


def test_every_moved_module_has_names_to_try() -> None:
    assert set(PUBLIC) == set(MOVED)


@pytest.mark.parametrize("old", MOVED)
def test_the_old_name_gives_what_the_new_one_has(old: str) -> None:
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} moved to {MOVED[old][0]}"):
        module = import_module(old)
    for name in PUBLIC[old]:
        assert getattr(module, name) in [getattr(import_module(home), name, None) for home in MOVED[old]]
    with pytest.raises(ImportError):
        exec(f"from {old} import nothing_of_this_name")


@pytest.mark.parametrize("home", sorted({home for homes in MOVED.values() for home in homes}))
def test_the_new_names_are_there(home: str) -> None:
    assert find_spec(home) is not None
    assert home not in MOVED
