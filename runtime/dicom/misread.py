"""Whether a name was written in another character set than the one that it was read in: what is no name tells it.

Bytes of one character set are mostly bytes of another, too, so that nothing fails when they are read wrongly: the name
of another person stands there. What reads as signs, as a word of two scripts or as UTF-8 by its bytes is nobody's name.
"""

from __future__ import annotations

import re
import unicodedata

from runtime.dicom.orthography import lost_letters, misspelt

_LATIN = {"latin_1", "iso8859_15", "iso_ir_148", *(f"iso8859_{n}" for n in (2, 3, 4))}
_LATIN |= {f"iso_ir_{n}" for n in (101, 109, 110)}
_OTHER = {"iso_ir_126", "iso_ir_127", "iso_ir_138", "iso_ir_144", "iso_ir_166"}
_KOREAN = {"euc_kr"}
_ASIAN = {"GB18030", "GBK", "iso_ir_58", "GB2312", "shift_jis", *_KOREAN}
_DRAWN_ALIKE = {"iso_ir_144": set("ABCEHIJKMOPSTXYaceijopsxy"), "iso_ir_126": set("ABEHIKMNOPTXYZov")}
"""Latin letters that stand in Cyrillic and Greek words for those drawn like them, as in PS3.5's own example."""
_SURELY = 4
"""So many letters of one script are no chance; two are: Wei Wei in GBK is two letters of Greek in UTF-8."""
_OF_NAMES = set("\u00a0\u00b0\u00b4\u0384\u200e\u200f\u2013\u2014\u2018\u2019\u201c\u201d\u201e")
"""Signs beyond ASCII that names have: a space, apostrophes and what stands for them, quotes, dashes, 2° for a second
twin, marks of the direction."""
_LATIN_SIGNS = re.compile("(?<=[lL])\u00b7(?=[lL])|(?<=[\\w.])(?<![^\\W\\d_]{5})[\u00aa\u00ba](?![a-z])")
"""Catalan's point, and Mª for María: what is cut is short."""
_SYMBOLS = ("So", "Sm", "Sk", "Sc", "Pc")
_WIDE = "\u309b\u309c"
"""Signs of Japan that stand by themselves; all the others that are no letters have wide forms, which names may have."""
_EAST = "\u2e80-\u9fff\uac00-\ud7a3\uf900-\ufaff\uff61-\uff9f"
_MIXED = re.compile(f"[a-z][{_EAST}]|[{_EAST}][a-z]")
"""A small Latin letter at an ideograph, a kana or a syllable of Hangul; twins are called by capitals behind theirs."""
_HANGUL, _HANJA = re.compile("[\uac00-\ud7a3]"), re.compile("[\u4e00-\u9fff\uf900-\ufaff]")
_TWIN = re.compile(r"(?<=[^\x00-\x7f]{2})[A-H]$|(?<=[^\x00-\x7f] )[A-H]$")
"""What a twin is called by, behind a name of another script than that of the letter."""
_WORD = re.compile(r"[^\^=\s\-'\u2019.,()/0-9]+")


def misread(raw: bytes, text: str, encoding: str) -> bool:
    """Whether a name, which was read from bytes without escapes, cannot have been meant.

    encoding: Python's or pydicom's name of the character set.
    """
    if is_utf_8(raw, encoding):
        return True
    if encoding in _LATIN:
        text = _LATIN_SIGNS.sub("", text)
        return not all(map(_latin, text)) or _no_latin(text) or _any_misspelt(text, encoding)
    if encoding in _OTHER:
        return not all(map(_of_a_name, text)) or _of_two_scripts(text, encoding) or _any_misspelt(text, encoding)
    if encoding in _ASIAN:
        strange = any(map(_symbol, text)) or _MIXED.search(text) is not None
        strange |= encoding in _KOREAN and any(
            _HANGUL.search(group) and _HANJA.search(group) for group in text.split("=")
        )
        return strange or (encoding == "shift_jis" and _any_misspelt(text, encoding))
    return False


def _any_misspelt(text: str, encoding: str) -> bool:
    return lost_letters(text, encoding) or any(misspelt(word, encoding) for word in _WORD.findall(text))


def is_utf_8(raw: bytes, encoding: str) -> bool:
    """Whether a text, which was read in a character set of one or two bytes a letter, is letters in UTF-8."""
    if encoding in _LATIN | _OTHER:
        return _is_utf_8(raw, 2)
    return encoding in _ASIAN and _is_utf_8(raw, 3)


def _of_a_name(one: str) -> bool:
    return (
        one.isascii() or unicodedata.category(one)[0] in "LM" or unicodedata.category(one) == "Nd" or one in _OF_NAMES
    )


def _latin(one: str) -> bool:
    return one.isascii() or unicodedata.category(one) in ("Lu", "Ll") or one in _OF_NAMES


def _symbol(one: str) -> bool:
    """What stands in no name of Asia: signs, drawn boxes, characters that nobody has defined."""
    unknown = unicodedata.category(one) in ("Co", "Cn")
    wide = one.isascii() or "\uff00" <= one <= "\uffef" or one in _WIDE or one in _OF_NAMES
    return unknown or (unicodedata.category(one) in _SYMBOLS and not wide)


def _is_utf_8(raw: bytes, least: int) -> bool:
    """Whether it is letters in UTF-8, one of them of at least so many bytes, or four of one script."""
    try:
        beyond = [one for one in raw.decode("utf-8") if not one.isascii()]
    except UnicodeDecodeError:
        return False
    if any(unicodedata.category(one)[0] not in "LM" for one in beyond):
        return False
    scripts = {unicodedata.name(one, "").partition(" ")[0] for one in beyond}
    return any(len(one.encode()) >= least for one in beyond) or (len(beyond) >= _SURELY and len(scripts) == 1)


def _no_latin(text: str) -> bool:
    """A group of a name of three and more letters, all accented but for the one that a twin is called by, or a word of
    five such: another script's."""

    def accented(part: str, least: int) -> bool:
        letters = [one for one in _TWIN.sub("", part) if one.isalpha()]
        return len(letters) >= least and not any(one.isascii() for one in letters)

    words = _WORD.findall(text)
    return any(accented(group, 3) for group in text.split("=")) or any(accented(word, 5) for word in words)


def _of_two_scripts(text: str, encoding: str) -> bool:
    """A word of this script with Latin letters that none of its own is drawn like."""
    alike = _DRAWN_ALIKE.get(encoding, set())

    def strange(one: str) -> bool:
        return one.isascii() and one.isalpha() and one not in alike

    words = (_TWIN.sub("", word) for word in _WORD.findall(text))
    return any(any(map(strange, word)) and not word.isascii() for word in words)
