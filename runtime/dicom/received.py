"""What peers send, read strictly: a value is what was meant, or it is unreadable; it is never guessed.

pydicom reads an unknown or absent character set as Latin-1, puts U+FFFD for bytes that it cannot decode, and gives
several values where one is allowed; a name would be another one then. So values are taken here as bytes.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pydicom import charset
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import PersonName

from runtime.dicom.misread import is_utf_8, misread
from runtime.exam.naming import cleaned, spoilt

LONGEST_BYTES = 16 * 1024
"""Of one value; more is nothing that any of these attributes may hold."""
_TEXT_VRS = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UT"))
_OF_THE_CHARACTER_SET = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_NAME_ENDS, _TEXT_ENDS = set(b"\\^=\r\n\t\f"), set(b"\\\r\n\t\f")
"""What ends a code extension (PS3.5 6.1.2.5.3)."""
_MORE = {"ISO_IR 203": "iso8859_15", "ISO 2022 IR 203": "iso8859_15"}
_ESCAPES = {**charset.CODES_TO_ENCODINGS, b"\x1b-b": "iso8859_15"}
"""Latin 9 is DICOM's since 2021, and not known to pydicom 3.0."""
_WINDOWS = {"latin_1": "cp1252", "iso_ir_148": "cp1254"}
_EIGHT_BITS = {"latin_1", "iso8859_15", *(f"iso8859_{n}" for n in (2, 3, 4))}
_EIGHT_BITS |= {f"iso_ir_{n}" for n in (126, 127, 138, 144, 148, 166)}
_ASCII = ("", "ISO_IR 6", "ISO 2022 IR 6")


class Unreadable(ValueError):
    """A value that cannot be had as it was meant; its text says why and repeats nothing of it."""


LEFT_OUT = "that was left out"
"""At the end of what is wrong with a text whose character set nobody named."""


@contextmanager
def quietly() -> Iterator[None]:
    """What a peer says may break DICOM's rules; a warning would write the infant's name into a log."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def character_set(dataset: Dataset, otherwise: Sequence[str] = ("",)) -> tuple[str, ...]:
    """Values of Specific Character Set; `otherwise` where it is absent or empty: the parent's, or what a site says."""
    try:
        said = values(dataset, "SpecificCharacterSet")
    except Unreadable:
        return ("unreadable",)
    return tuple(said) if any(said) else tuple(otherwise)


def items(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Items of a sequence, none where it is absent. Raises `Unreadable` when it is no sequence."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    if tag not in dataset:
        return []
    try:
        found = dataset[tag].value
        whole = [] if found is None else list(found)
    except Exception as error:  # whatever pydicom stumbles over in what a peer sent
        raise Unreadable(f"{keyword}: it cannot be read ({type(error).__name__})") from None
    if not all(isinstance(item, Dataset) for item in whole):
        raise Unreadable(f"{keyword}: it is no sequence")
    return whole


def one(dataset: Dataset, keyword: str, character_sets: Sequence[str] = ("",), *, exact: bool = False) -> str:
    """The value of an attribute that has one, empty where it has none; without padding. Raises `Unreadable`.

    exact: it names somebody or something, see `decoded`.
    """
    found = values(dataset, keyword, character_sets, exact=exact)
    if len(found) > 1:
        raise Unreadable(f"{keyword}: {len(found)} values where one is allowed")
    return found[0] if found else ""


def identifier(dataset: Dataset, keyword: str, character_sets: Sequence[str] = ("",)) -> str:
    """An identifier, as it is but for outer spaces. Raises `Unreadable`, also for what no identifier can hold."""
    found = one(dataset, keyword, character_sets, exact=True)
    if any(map(spoilt, found)):
        raise Unreadable(f"{keyword}: it holds control characters")
    return found


def line(dataset: Dataset, keyword: str, character_sets: Sequence[str] = ("",)) -> str:
    """A name or description on one line. Raises `Unreadable`."""
    return cleaned(one(dataset, keyword, character_sets))


def values(dataset: Dataset, keyword: str, character_sets: Sequence[str] = ("",), *, exact: bool = False) -> list[str]:
    """All values of an attribute that is text, without padding. Raises `Unreadable`."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    if tag not in dataset:
        return []
    try:
        element: object = dataset.get_item(tag)
    except Exception as error:  # as above
        raise Unreadable(f"{keyword}: it cannot be read ({type(error).__name__})") from None
    if isinstance(element, DataElement):
        return _from_text(element, keyword)
    assert isinstance(element, RawDataElement)
    return _from_bytes(element, keyword, dictionary_VR(tag), character_sets, exact)


def _from_bytes(
    element: RawDataElement, keyword: str, known: str, character_sets: Sequence[str], exact: bool
) -> list[str]:
    vr = known if element.VR in (None, "UN") else str(element.VR)
    if vr not in _TEXT_VRS:
        raise Unreadable(f"{keyword}: its value representation is none of text")
    raw = element.value or b""
    if not isinstance(raw, bytes) or len(raw) > LONGEST_BYTES:
        raise Unreadable(f"{keyword}: it holds more than {LONGEST_BYTES} bytes")
    sets = character_sets if known in _OF_THE_CHARACTER_SET else ("",)
    text = decoded(raw.rstrip(b"\0"), sets, name=known == "PN", exact=exact, keyword=keyword)
    return _parted(text)


def _from_text(element: DataElement, keyword: str) -> list[str]:
    """From an element that was made, or read already by someone else."""
    if element.VR not in _TEXT_VRS:
        raise Unreadable(f"{keyword}: its value representation is none of text")
    found = element.value
    whole = list(found) if isinstance(found, (MultiValue, list, tuple)) else [] if found is None else [found]
    if not all(isinstance(value, (str, PersonName)) for value in whole):
        raise Unreadable(f"{keyword}: it is no text")
    text = "\\".join(str(value) for value in whole)
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise Unreadable(f"{keyword}: it was not decoded whole")
    return _parted(text)


def _parted(text: str) -> list[str]:
    found = [value.strip(" \0") for value in text.split("\\")]
    return found if any(found) else []


def decoded(
    raw: bytes, character_sets: Sequence[str], *, name: bool = False, exact: bool = False, keyword: str = "value"
) -> str:
    """Text from bytes in the character sets that were declared (PS3.3 C.12.1.1.2). Raises `Unreadable`.

    Bytes that mean the same in every character set of DICOM need none. In ISO 8859-1 and -9 the codes that no printable
    character has are read as Windows has them, which is what those who send them mean; Windows' other code pages differ
    from ISO's in more than these. A name (`name`) or an identifier (`exact`) must not read as another one: what was
    written in another character set is refused, as far as it can be told.
    """
    if raw.isascii() and charset.ESC not in raw:
        return raw.decode("ascii")
    encodings = _encodings(character_sets, keyword)
    try:
        if charset.ESC not in raw:
            text = raw.decode(encodings[0])
        else:
            parts = re.findall(rb"^[^\x1b]+|\x1b[^\x1b]*", raw)
            text = "".join(_extended(part, encodings, _NAME_ENDS if name else _TEXT_ENDS) for part in parts)
    except (UnicodeError, LookupError):
        text = "\N{REPLACEMENT CHARACTER}"
    if encodings[0] in _WINDOWS:
        text = _windows(text, _WINDOWS[encodings[0]])
    plain = charset.ESC not in raw
    other = plain and (_of_another(raw, text, encodings[0]) if name else exact and is_utf_8(raw, encodings[0]))
    if "\N{REPLACEMENT CHARACTER}" in text or "\x1b" in text or other:
        raise Unreadable(f"{keyword}: its bytes are not of the character set {_called(character_sets)}")
    return text


def _extended(part: bytes, encodings: Sequence[str], ends: set[int]) -> str:
    """What an escape sequence begins, up to the next one (PS3.5 6.1.2.5.3); raises `UnicodeError` or `LookupError`."""
    if not part.startswith(b"\x1b"):
        return part.decode(encodings[0])
    code = part[: 4 if part.startswith((b"\x1b$(", b"\x1b$)")) else 3]
    encoding = "ascii" if code == b"\x1b(B" else _ESCAPES[code]
    if code == b"\x1b(J" and encoding not in encodings:
        encoding = "ascii"  # Roman letters of Japan, to which kanji often go back where nobody declared them
    if encoding not in (*encodings, "ascii"):
        raise LookupError("nobody declared it")
    if encoding.startswith("iso2022"):  # of two bytes a letter, which may be any; Python knows its escapes
        return part.decode(encoding)
    said = part[len(code) :]
    end = next((at for at, byte in enumerate(said) if byte in ends), len(said))
    return said[:end].decode(encoding) + said[end:].decode(encodings[0])


def _of_another(raw: bytes, text: str, encoding: str) -> bool:
    """Whether a name without escapes that can be read in a character set was written in another one.

    Controls stand for letters of Windows' code pages, which have others elsewhere too.
    """
    controls = encoding in _EIGHT_BITS and any("\x80" <= character <= "\x9f" for character in text)
    return controls or misread(raw, text, encoding)


def _encodings(character_sets: Sequence[str], keyword: str) -> list[str]:
    """Python's names; the default repertoire is ASCII and nothing more."""
    alone = [name for name in character_sets if name in charset.STAND_ALONE_ENCODINGS]
    wanted = alone[:1] if alone and character_sets[0] == alone[0] else [n for n in character_sets if n not in alone]
    found = []
    for name in wanted or [""]:
        encoding = "ascii" if name in _ASCII else charset.python_encoding.get(name) or _MORE.get(name)
        if encoding is None:
            raise Unreadable(f"{keyword}: the character set {_called(character_sets)} is not known")
        found.append(encoding)
    return found


def _called(character_sets: Sequence[str]) -> str:
    shown = "\\".join(character_sets)[:40]
    return LEFT_OUT if not shown else ascii(shown)


def _windows(text: str, code_page: str) -> str:
    if not any("\x80" <= c <= "\x9f" for c in text):
        return text
    try:
        return "".join(c.encode("latin-1").decode(code_page) if "\x80" <= c <= "\x9f" else c for c in text)
    except UnicodeError:
        return text  # five codes mean nothing there either
