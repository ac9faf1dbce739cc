"""What the pages say, by language: gettext catalogues beside this file, English where one has no word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from runtime.cart.errors import CartError

CATALOGUES = Path(__file__).with_name("catalogues")
RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})
UNREVIEWED = "not reviewed by a native speaker"
"""In a catalogue's header comment; the pages say it too."""


@dataclass(frozen=True)
class Language:
    """One catalogue."""

    code: str
    name: str
    """In the language itself."""
    reviewed: bool
    texts: dict[str, str]


class Texts:
    """All catalogues of a folder: `CODE.po` each. Adding a language is adding a file.

    only: the codes that are offered, the first for whoever asks for another; empty: all, and English. Raises
    `CartError` for one that has no catalogue.
    """

    def __init__(self, folder: Path = CATALOGUES, only: Sequence[str] = ()) -> None:
        self._folder = folder
        there = {"en": "English"} | {one.code: one.name for one in map(_read, sorted(folder.glob("*.po")))}
        for code in only:
            if code not in there:
                raise CartError(f"languages: there is no {code!r}; choose of {', '.join(there)}")
        self._offered = {code: there[code] for code in only or there}

    @property
    def languages(self) -> list[dict[str, str]]:
        """Code and own name of every language that is offered."""
        return [{"code": code, "name": name} for code, name in self._offered.items()]

    def catalogue(self, code: str) -> dict[str, Any]:
        """Everything that a page needs of a language; for one that is not offered the first that is."""
        code = code if code in self._offered else next(iter(self._offered))
        path = next((path for path in self._folder.glob("*.po") if path.stem == code), None)
        if path is None:
            return {"language": "en", "direction": "ltr", "reviewed": True, "texts": {}}
        found = _read(path)
        direction = "rtl" if code.partition("_")[0] in RIGHT_TO_LEFT else "ltr"
        return {"language": code, "direction": direction, "reviewed": found.reviewed, "texts": found.texts}


@cache
def _read(path: Path) -> Language:
    import polib

    catalogue = polib.pofile(str(path), encoding="utf-8")
    texts = {entry.msgid: entry.msgstr for entry in catalogue.translated_entries()}
    name = catalogue.metadata.get("X-Language-Name", path.stem)
    return Language(path.stem, name, UNREVIEWED not in catalogue.header, texts)
