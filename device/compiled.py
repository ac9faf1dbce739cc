"""Compiled parts: of the very sources that lie beside them, or not used. `setup.py` has the digest from here."""

from __future__ import annotations

import sys
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import ModuleType


def sources_digest(folder: Path) -> str:
    """Of the C files of a folder, names and bytes; empty where none lie there."""
    files = sorted(path for path in folder.iterdir() if path.suffix in (".c", ".h"))
    digest = sha256()
    for path in files:
        digest.update(b"%s\0%s\0" % (path.name.encode(), path.read_bytes()))
    return digest.hexdigest()[:16] if files else ""


def of_these_sources(part: ModuleType) -> bool:
    """Whether a compiled part (its constant SOURCES) was made of what lies in its folder; else it is said, in one line.

    One of an earlier build is not to be called: it takes other arguments, or measures otherwise. What does without a
    compiler takes its place then, with the same numbers, later.
    """
    made_of, file = getattr(part, "SOURCES", None), Path(str(part.__file__))
    found = ""
    with suppress(OSError):
        found = sources_digest(file.parent)
    if made_of is not None and found in ("", made_of):
        return True
    if sys.stderr is not None:
        sys.stderr.write(
            f"{file}: not used, it was compiled of other sources than lie beside it; run make again, "
            "or python setup.py build_ext --inplace --force\n"
        )
    return False
