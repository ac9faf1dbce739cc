"""What no word of a script can be, whatever it means: bytes of another character set mostly read as such words.

Only what holds of every name is here; a name that nobody bears but that could be spelt so passes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_BASIC = "абвгдежзклмнопрстуфхцчш"
_ALPHABETS = tuple(
    set(_BASIC + more)
    for more in (
        "ийщъыьэюяё",  # Russian, Bulgarian
        "ийщьюяєії",  # Ukrainian
        "йыьэюяёіў",  # Belarusian
        "иђјљњћџ",  # Serbian
        "иѓѕјљњќџ",  # Macedonian
    )
)
_COMPANIONS = {
    "latin_1": (("ðþ", "áéíóúýæöøðþ"), ("æ", "áéíóúýäåæöøüðþ"), ("šž", "áäåéíóôöõúüýšž")),
    "iso_ir_101": (
        ("đ", "čćđšž"),
        ("ăşţ", "ăâîşţçöü"),
        ("ąęłńśźż", "ąćčęěłńóřśšźżžäéöüß"),
        ("ďěĺľňŕřťů", "áäčćďéěëíĺľłńňóôöőŕřšśťúůüűýžźß"),
    ),
    "iso8859_4": (
        ("āēīģķļņŗ", "āčēģīķļņōŗšūžäöü"),
        ("ąęėįų", "ąčęėįšųūž"),
        ("đŋŧ", "áâäåčđŋöšŧž"),
        ("ũĩĸ", "áâãêíîĩôúûũĸ"),
        ("æø", "áäåæéíöøúüē"),
    ),
    "iso_ir_148": (("ğşı", "çğıöşüâîû"), ("æ", "áéíóúäåæöøü")),
}
"""Letters of few languages, with all those beyond ASCII that stand beside them in a word."""
_NO_NORTH = re.compile("[^\\W\\d_]þ$|iæ$")
"""Ends of Turkish, Romanian and Croatian names that were read as Latin-1."""
_COMPANIONS |= {
    "iso_ir_110": _COMPANIONS["iso8859_4"],
    "iso8859_15": _COMPANIONS["latin_1"],
    "iso8859_2": _COMPANIONS["iso_ir_101"],
}
_KANA_BEFORE_VOICE = "ｳｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾊﾋﾌﾍﾎ"
_NO_GREEK = re.compile(r"ς[^\W\d_]|^[ΐΰ]")
_LOST_ALPHA = re.compile("(?:^|[\\^=\\s-])\u2019[α-ωά-ώ]")
"""Windows' capital alpha with an accent is an apostrophe elsewhere."""
_NO_ARABIC = re.compile(r"[ةى][\u0621-\u063a\u0641-\u064a]|[\u064b-\u064d][\u0621-\u0626\u0628-\u063a\u0641-\u064a]")
"""Letters that only end a word, and marks of its end (but for an alef that bears one) within it."""
_NO_HEBREW = re.compile("[ךםןףץ][א-ת]")
_NO_THAI = re.compile("[ฃฅ]|(?:^|[^ก-ฮ\u0e31\u0e34-\u0e3a\u0e45\u0e47-\u0e4e])[\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]")
"""Letters that nobody writes any more; a sign above or below that stands at no consonant, if over another one."""
_NO_THAI_VOWEL = re.compile("[เแโใไ](?:[^ก-ฮ]|$)|(?:^|[^ก-ฮ\u0e31\u0e34-\u0e3a\u0e47-\u0e4eา])[ะาำ]")
"""A vowel without its consonant."""
_NO_KANA = re.compile(
    f"^[ｧ-ｯｰ]|(?:^|[^{_KANA_BEFORE_VOICE}])ﾞ|(?:^|[^ﾊ-ﾎ])ﾟ|[｡-､]|[ｦ-ﾟ][\u2e80-\u9fff]|[\u2e80-\u9fff][ｦ-ﾟ]"
)
"""Small letters and long vowels at the beginning, voice marks at what has no voice, quotation marks, ideographs beside
half-width kana."""


def lost_letters(text: str, encoding: str) -> bool:
    """Whether a name, as `misspelt`, begins a word with what stands there for a letter of another character set."""
    return encoding == "iso_ir_126" and _LOST_ALPHA.search(text) is not None


def misspelt(word: str, encoding: str) -> bool:
    """Whether a word that was read in a character set of one byte a letter is no word of its script.

    encoding: Python's or pydicom's name of the character set.
    """
    first = unicodedata.category(word[0])
    if first.startswith("M") or (not word[0].isascii() and first == "Ll" and word != word.lower()):
        return True
    if _cased(word).count("lL") > 1:
        return True
    rule = _RULES.get(encoding)
    return _of_no_language(word, encoding) or (rule is not None and rule(word))


def _cased(word: str) -> str:
    """`L` for each capital beyond ASCII, `l` for each small letter, a space for all else."""
    return "".join("l" if c.islower() else "L" if c.isupper() and not c.isascii() else " " for c in word)


def _beyond_ascii(word: str) -> set[str]:
    """Its letters beyond ASCII, as small ones."""
    return {one for one in word.lower() if not one.isascii() and one.isalpha()}


def _of_no_language(word: str, encoding: str) -> bool:
    """Whether letters stand together in a Latin word that no language has both of."""
    beyond = _beyond_ascii(word)
    rules = _COMPANIONS.get(encoding, ())
    if encoding in ("latin_1", "iso8859_15", "iso_ir_148") and _NO_NORTH.search(word.lower()):
        return True
    return any(beyond & set(rare) and not beyond <= set(companions) for rare, companions in rules)


def _no_greek(word: str) -> bool:
    accents = sum("\u0301" in unicodedata.normalize("NFD", one) for one in word)
    return accents > 1 or _NO_GREEK.search(word) is not None


def _no_cyrillic(word: str) -> bool:
    letters = _beyond_ascii(word)
    return word[0] in "Ьь" or not any(letters <= alphabet for alphabet in _ALPHABETS)


def _no_thai(word: str) -> bool:
    return _NO_THAI.search(word) is not None or _NO_THAI_VOWEL.search(word) is not None


_RULES: dict[str, Callable[[str], bool]] = {
    "iso_ir_126": _no_greek,
    "iso_ir_127": lambda word: _NO_ARABIC.search(word) is not None,
    "iso_ir_138": lambda word: _NO_HEBREW.search(word) is not None,
    "iso_ir_144": _no_cyrillic,
    "iso_ir_166": _no_thai,
    "shift_jis": lambda word: _NO_KANA.search(word) is not None,
}
