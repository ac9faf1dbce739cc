"""What the pages say, by language: gettext catalogues beside this file, English where one has no word."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

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
    """All catalogues of a folder: `CODE.po` each. Adding a language is adding a file."""

    def __init__(self, folder: Path = CATALOGUES) -> None:
        self._folder = folder

    @property
    def languages(self) -> list[dict[str, str]]:
        """Code and own name of every language, English first."""
        found = [_read(path) for path in sorted(self._folder.glob("*.po"))]
        return [{"code": "en", "name": "English"}, *({"code": one.code, "name": one.name} for one in found)]

    def catalogue(self, code: str) -> dict[str, Any]:
        """Everything that a page needs of a language; English for an unknown one."""
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
