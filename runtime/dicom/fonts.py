"""Fonts of the system for the report's page: which are there, and what of a text none of them can show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))


@dataclass(frozen=True)
class Font:
    """A font file and the Debian package that brings it."""

    name: str
    file: str
    package: str
    scripts: str


KNOWN = (
    Font("sans", "NotoSans-Regular.ttf", "fonts-noto-core", "Latin, Greek, Cyrillic"),
    Font("sans", "DejaVuSans.ttf", "fonts-dejavu-core", "Latin, Greek, Cyrillic"),
    Font("arabic", "NotoSansArabic-Regular.ttf", "fonts-noto-core", "Arabic"),
    Font("devanagari", "NotoSansDevanagari-Regular.ttf", "fonts-noto-core", "Devanagari"),
    Font("bengali", "NotoSansBengali-Regular.ttf", "fonts-noto-core", "Bengali"),
    Font("tamil", "NotoSansTamil-Regular.ttf", "fonts-noto-core", "Tamil"),
    Font("thai", "NotoSansThai-Regular.ttf", "fonts-noto-core", "Thai"),
    Font("hebrew", "NotoSansHebrew-Regular.ttf", "fonts-noto-core", "Hebrew"),
    Font("ethiopic", "NotoSansEthiopic-Regular.ttf", "fonts-noto-core", "Ethiopic"),
    Font("cjk", "DroidSansFallbackFull.ttf", "fonts-droid-fallback", "Chinese, Japanese, Korean"),
)
"""The first of a name that is there is taken; the first name is the page's own."""
PACKAGES = tuple(dict.fromkeys(font.package for font in KNOWN if font.file != "DejaVuSans.ttf"))


@lru_cache(maxsize=1)
def installed() -> tuple[tuple[Font, Path], ...]:
    """Those that are there, in the order of `KNOWN`, one of each name."""
    there = {path.name: path for folder in FOLDERS if folder.is_dir() for path in sorted(folder.rglob("*.ttf"))}
    found: dict[str, tuple[Font, Path]] = {}
    for font in KNOWN:
        if font.file in there:
            found.setdefault(font.name, (font, there[font.file]))
    return tuple(found.values())


def identity() -> str:
    """Which fonts a page is made with: it looks another with others."""
    return ",".join(f"{path.name}:{path.stat().st_size}" for _, path in installed())


@lru_cache(maxsize=len(KNOWN))
def _letters(path: Path) -> frozenset[int]:
    from fontTools.ttLib import TTFont

    with TTFont(path, lazy=True) as font:
        return frozenset(font.getBestCmap())


@dataclass(frozen=True)
class PageFonts:
    """What a page needs."""

    fonts: tuple[tuple[Font, Path], ...]
    """The page's own first, then those that have a letter which none before has."""
    unshown: str
    """Letters that no font here has, each once."""


def chosen(texts: Iterable[str]) -> PageFonts:
    """The fonts for these texts."""
    left = {letter for text in texts for letter in text if letter.isprintable()}
    found = []
    for font, path in installed():
        has = {letter for letter in left if ord(letter) in _letters(path)}
        if has or font.name == "sans":
            found.append((font, path))
        left -= has
        if not left:
            break
    return PageFonts(tuple(found), "".join(sorted(left)))
