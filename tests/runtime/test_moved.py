"""Modules that moved are still found under their old names, with a word of where they are now."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

import pytest

from runtime.moved import MOVED

SPLIT = {"runtime.trust.apply": ("screener_for", "site_rules")}
"""What users of an old module asked it for, where that is in several places now."""


@pytest.mark.parametrize("old", MOVED)
def test_the_old_name_gives_what_the_new_one_has(old: str) -> None:
    sys.modules.pop(old, None)
    with pytest.warns(DeprecationWarning, match=f"{old} moved to {MOVED[old][0]}"):
        module = import_module(old)
    homes = [import_module(home) for home in MOVED[old]]
    names = SPLIT[old] if len(homes) > 1 else [name for name in vars(homes[0]) if not name.startswith("_")]
    assert names
    for name in names:
        assert getattr(module, name) in [getattr(home, name, None) for home in homes]
    with pytest.raises(ImportError):
        exec(f"from {old} import nothing_of_this_name")


@pytest.mark.parametrize("home", sorted({home for homes in MOVED.values() for home in homes}))
def test_the_new_names_are_there(home: str) -> None:
    assert find_spec(home) is not None
    assert home not in MOVED


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("runtime.bench.report", "Report"),
        ("runtime.engines.openvino", "OpenVINOEngine"),
        ("runtime.engines.tensorrt", "load_tensorrt"),
    ],
)
def test_a_module_that_became_a_folder_still_gives_its_names(package: str, name: str) -> None:
    assert getattr(import_module(package), name).__name__ == name
    with pytest.raises(ImportError):
        exec(f"from {package} import nothing_of_this_name")
