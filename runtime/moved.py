"""Modules that moved in 0.2.0, found under their old names for one release."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

MOVED: dict[str, tuple[str, ...]] = {
    "runtime.engines.cpu_class": ("runtime.cpu_class",),
    "runtime.exam.views": ("runtime.views",),
    "runtime.trust.apply": ("runtime.site_screener", "runtime.exam.site_rules"),
    "runtime.trust.facts": ("runtime.reading",),
}
"""Old name: where its public names are now."""


class _OldName(MetaPathFinder, Loader):
    """Asked by the import system last of all, so that a module that is there is never hidden."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        return ModuleSpec(name, self) if name in MOVED else None

    def exec_module(self, module: ModuleType) -> None:
        homes = MOVED[module.__name__]
        old = module.__name__
        warnings.warn(
            f"{old} moved to {' and '.join(homes)}; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )

        def find(name: str) -> Any:
            for home in homes:
                if not name.startswith("_") and hasattr(found := import_module(home), name):
                    return getattr(found, name)
            raise AttributeError(f"module {old!r} has no attribute {name!r}")

        module.__dict__["__getattr__"] = find


def serve_old_names() -> None:
    """Called once, by `import runtime`."""
    sys.meta_path.append(_OldName())
