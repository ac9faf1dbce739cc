"""Text that names somebody or something: what may stand in it, and whether two names are one.

Hospitals write names in every script. A name keeps what a script needs (ideographic and no-break spaces, joiners);
only what no name holds is replaced: controls, line breaks, halves of characters, marks that turn the reading order.
"""

from __future__ import annotations

import unicodedata

_SPOILS = ("Cc", "Cs", "Zl", "Zp")
_UNSEEN = (*_SPOILS, "Zs", "Cf")
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Bidirectional embeddings, overrides and isolates: with them a name reads as another one."""
_NO_FAMILY = frozenset(("baby", "boy", "girl", "infant", "newborn", "twin", "of", "male", "female", "ii", "iii"))
"""Words of a name in free form that name nobody's family."""
_BLANK = "\u115f\u1160\u3164\uffa0\u2800"
"""Fillers and the empty Braille cell: letters and signs to Unicode, nothing to the eye."""
_UNIFIED = str.maketrans({"\u2019": "'", "\u02bc": "'", "`": "'", "\u2010": "-", "\u2011": "-", "\u2013": "-"})


def spoilt(character: str) -> bool:
    """Whether a character can stand in no name, identifier or description."""
    return unicodedata.category(character) in _SPOILS or character in _TURNS


def cleaned(text: str) -> str:
    """One line: what is spoilt becomes a space, runs of plain spaces become one, the rest stays as it is (NFC)."""
    kept = "".join(" " if spoilt(character) else character for character in text)
    return unicodedata.normalize("NFC", " ".join(part for part in kept.split(" ") if part))


def says_nothing(text: str) -> bool:
    """Whether a name or a reason holds nothing but delimiters, spaces and what cannot be seen."""
    return all(c in "^=\\" or c in _BLANK or unicodedata.category(c) in _UNSEEN for c in text)


def same_name(first: str, second: str) -> bool:
    """Whether two names are one, as hospitals write them: case, width, kinds of apostrophe and padding do not matter.

    DICOM's groups (alphabetic, ideographic, phonetic; `=` parts them) are compared one by one where both names have
    them; names without a group in common differ. A name in free form has its words in any order.
    """
    pairs = [(a, b) for a, b in zip(_groups(first), _groups(second), strict=False) if a and b]
    return bool(pairs) and all(_same_group(a, b) for a, b in pairs)


def name_keys(name: str) -> list[tuple[int, str]]:
    """What two names have one of in common where `same_name` holds, to find them by."""
    groups = enumerate(_groups(name))
    return [(number, " ".join(sorted(_compared(group.replace("^", " ")).split()))) for number, group in groups if group]


def family_names(name: str) -> frozenset[str]:
    """What twins share: the family name of each group as it compares; of one in free form each word that may be it."""
    found: set[str] = set()
    for group in cleaned(name).split("="):
        family, parted, _ = group.partition("^")
        words = [family] if parted else [word for word in group.split() if len(word) > 1]
        found |= {_compared(word) for word in words} - _NO_FAMILY
    return frozenset(found - {""})


def _groups(name: str) -> list[str]:
    return [group.strip("^ ") for group in cleaned(name).split("=")]


def _same_group(first: str, second: str) -> bool:
    if "^" in first and "^" in second:
        return _parts(first) == _parts(second)
    return sorted(_compared(first.replace("^", " ")).split()) == sorted(_compared(second.replace("^", " ")).split())


def _parts(group: str) -> list[str]:
    return [_compared(part) for part in group.split("^")]


def _compared(text: str) -> str:
    """As names compare; case after NFKC, for a wide letter has a case too."""
    plain = unicodedata.normalize("NFKC", text.translate(_UNIFIED)).casefold()
    seen = "".join(c for c in unicodedata.normalize("NFKC", plain) if unicodedata.category(c) != "Cf")
    return " ".join(seen.split())


def readable_name(name: str) -> str:
    """A name as people read it: `Doe^Baby^^^` is `Baby Doe`, `山田^太郎` keeps its order; other scripts in brackets."""
    groups = [_read(group) for group in name.split("=")]
    said = [group for group in groups if group]
    return said[0] + "".join(f" ({group})" for group in said[1:]) if said else name


def _read(group: str) -> str:
    family, given, middle, prefix, suffix = (*group.split("^"), "", "", "", "")[:5]
    family_first = any("\u2e80" <= character <= "\ud7ff" for character in family)  # CJK, kana and hangul
    order = (prefix, family, given, middle, suffix) if family_first else (prefix, given, middle, family, suffix)
    return " ".join(part.strip() for part in order if part.strip())
