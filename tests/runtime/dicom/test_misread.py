"""Names in a character set that is not the declared one: read as what was meant, or not at all."""

from __future__ import annotations

import random
from io import BytesIO

import pytest

pytest.importorskip("pydicom", reason="needs the extra `dicom`")

from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode

from runtime.dicom.received import Unreadable, decoded, identifier

MEANT = {
    "ISO_IR 100": ["Müller^Zoë", "O´Brien^Sean", "D’Angelo^Zoë", "Ö^Åsa", "Bebé 2°^Núñez", "Þór^Óðinn"],
    "ISO_IR 101": ["Łoś^Żółć", "Wałęsa^Łucja"],
    "ISO_IR 126": ["Διονυσιος"],
    "ISO_IR 127": ["قباني^لنزار"],
    "ISO_IR 138": ["Cohen^Baby=כהן^ילד A"],
    "ISO_IR 144": ["Люкceмбypг", "Иванова^Baby A"],
    "ISO_IR 13": ["ﾔﾏﾀﾞ^ﾀﾛｳ"],
    "ISO_IR 166": ["นาย^สมชาย"],
    "GB18030": ["Wang^XiaoDong=王^小东B", "Müller^Zoë", "魏^伟", "Люкceмбypг"],
    "GBK": ["张^三", "欧阳^小明", "魏^伟"],
}
ENCODINGS = {"ISO_IR 100": "cp1252", "ISO_IR 101": "iso8859-2", "ISO_IR 126": "iso8859-7", "ISO_IR 127": "iso8859-6"}
ENCODINGS |= {"ISO_IR 138": "iso8859-8", "ISO_IR 144": "iso8859-5", "ISO_IR 13": "shift_jis", "ISO_IR 166": "tis-620"}
ENCODINGS |= {"GB18030": "gb18030", "GBK": "gbk"}
OTHERS = [
    ("张^三", "gbk", "ISO_IR 100"),
    ("Zhang^San=张^三", "gb18030", "ISO_IR 100"),
    ("张^三", "gbk", "ISO_IR 101"),
    ("张^三", "gbk", "ISO_IR 148"),
    ("Hong^Gildong=洪^吉洞=홍^길동", "cp949", "ISO_IR 100"),
    ("Yamada^Taro=山田^太郎", "shift_jis", "ISO_IR 100"),
    ("Yamada^Taro=山田^太郎", "euc-jp", "ISO_IR 148"),
    ("ﾔﾏﾀﾞ^ﾀﾛｳ", "shift_jis", "ISO_IR 100"),
    ("قباني^لنزار", "iso8859-6", "ISO_IR 100"),
    ("שרון^דבורה", "iso8859-8", "ISO_IR 100"),
    ("Διονυσιος", "iso8859-7", "ISO_IR 100"),
    ("สมชาย", "tis-620", "ISO_IR 100"),
    ("Wałęsa^Łucja", "iso8859-2", "ISO_IR 100"),
    ("Müller^Zoë", "latin-1", "ISO_IR 126"),
    ("Müller^Zoë", "latin-1", "ISO_IR 144"),
    ("Núñez^Íñigo", "latin-1", "ISO_IR 166"),
    ("Núñez^Íñigo", "latin-1", "GB18030"),
    ("Çağlar^İbrahim", "iso8859-9", "GBK"),
    ("Müller^Zoë", "utf-8", "GB18030"),
    ("Müller^Zoë", "utf-8", "ISO_IR 13"),
    ("欧阳^小明", "utf-8", "GBK"),
    ("قباني^نزار", "utf-8", "GBK"),
]


@pytest.mark.parametrize("declared", MEANT)
def test_a_name_in_the_declared_character_set_is_what_was_meant(declared: str) -> None:
    for name in MEANT[declared]:
        assert decoded(name.encode(ENCODINGS[declared]), (declared,), name=True) == name


@pytest.mark.parametrize(("name", "encoding", "declared"), OTHERS)
def test_a_name_in_another_character_set_is_not_read_as_another_name(name: str, encoding: str, declared: str) -> None:
    with pytest.raises(Unreadable, match="not of the character set"):
        decoded(name.encode(encoding), (declared,), name=True)


def test_names_of_china_are_next_to_never_taken_for_another_character_set() -> None:
    drawn = random.Random(5)
    common = [
        code.decode("gbk") for row in range(0xB0, 0xD7) for cell in range(0xA1, 0xFF) for code in [bytes((row, cell))]
    ]
    refused = 0
    for _ in range(20_000):
        name = "^".join("".join(drawn.choices(common, k=drawn.choice((1, 2)))) for _ in range(2))
        try:
            assert decoded(name.encode("gbk"), ("GBK",), name=True) == name
        except Unreadable:
            refused += 1
    assert refused <= 2


@pytest.mark.parametrize("declared", ["ISO_IR 100", "ISO_IR 144", "GBK", "ISO_IR 13"])
def test_an_identifier_in_utf_8_is_not_read_as_another_one(declared: str) -> None:
    answer = Dataset()
    answer.SpecificCharacterSet = "ISO_IR 192"
    answer.PatientID = "\u6d2a\u6d2a-12"
    sent = decode(BytesIO(encode(answer, True, True) or b""), True, True)
    with pytest.raises(Unreadable, match="PatientID: its bytes are not of the character set"):
        identifier(sent, "PatientID", (declared,))
    assert identifier(sent, "PatientID", ("ISO_IR 192",)) == "\u6d2a\u6d2a-12"


def test_an_identifier_that_is_of_its_character_set_stays_as_it_is() -> None:
    assert decoded("\u00dc-12".encode("latin-1"), ("ISO_IR 100",), exact=True) == "\u00dc-12"
    assert decoded("\u5f20\u4e09-12".encode("gbk"), ("GBK",), exact=True) == "\u5f20\u4e09-12"


def test_an_identifier_with_escapes_is_taken_by_them() -> None:
    raw = b"\x1b$)C\xc8\xab\xc8\xab-12"
    assert decoded(raw, ("ISO 2022 IR 100", "ISO 2022 IR 149"), exact=True) == raw[4:].decode("euc-kr")
