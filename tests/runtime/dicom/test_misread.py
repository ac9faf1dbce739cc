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
    "ISO_IR 100": [
        *("Müller^Zoë", "O´Brien^Sean", "D’Angelo^Zoë", "Ö^Åsa", "Bebé 2°^Núñez", "Þór^Óðinn", "Guðmundsdóttir^Þóra"),
        *("Ægir^Ísak", "Étienne^Éloïse", "Muñoz^Íñigo", "São João^Conceição", "Ó hÉigeartaigh^Áine", "Ñúñez^Mª Ángel"),
        *("Al·là^Òscar", "Ørsted^Kjærsti", "L’Œuvre^Zoé", "’t Hooft^Zoë", "MacÉamonn^Éire", "Ibáñez^BABY A"),
        *("Dvorák^Tomáš", "Žižek^Ján", "Pérez^Fcoº Javier"),
    ],
    "ISO_IR 203": ["Lœffler^Zoë", "Škoda^Žofie"],
    "ISO_IR 101": [
        *("Łoś^Żółć", "Wałęsa^Łucja", "Gżegżółka^Źdźbło", "Dvořák^Žofie", "Šťastný^Jiří", "Müllerová^Čeňka"),
        *("Kőszegi^Győző", "Đorđević^Đurđa", "Ţîrlea^Ştefan", "Ľuboš^Ďuriš", "Ćwięk^Żaneta", "Ößmann^Jürgen"),
    ],
    "ISO_IR 110": [
        *("Bērziņš^Āris", "Žukauskaitė^Ūla", "Õunapuu^Ülle", "Šķēle^Ņina", "Vaičiūnaitė^Žydrūnė", "Jurgėla^Ąžuolas"),
        *("Jørgensen^Pær", "Müller^Zoé", "Sámmol^Máhtte Čáhci"),
    ],
    "ISO_IR 148": ["Şahin^İpek", "Öztürk^Çağrı", "Ağaoğlu^Işıl", "Üçgül^Göğüş"],
    "ISO_IR 126": ["Διονυσιος", "Παπαδοπούλου^Άννα", "Οικονόμου^Ιωάννης", "ΠΑΠΑΣ^ΑΝΝΑ B", "Μαΐου^’Αννα", "Smith^ΑΝΝΑ"],
    "ISO_IR 127": ["قباني^لنزار", "عبد الله^محمد", "فاطمة^ليلى", "Ali^Layla=علي^ليلى"],
    "ISO_IR 138": ["Cohen^Baby=כהן^ילד A", "שרון^דבורה", "ז'בוטינסקי^צ'רלי", "בן-דוד^בתB"],
    "ISO_IR 144": [
        *("Люкceмбypг", "Иванова^Baby A", "Щербакова^Ёлка", "Петренко^Їжак", "Ђорђевић^Љиљана", "Ѓорѓиев^Ќиро"),
        *("ИВАНОВА^ДЕВОЧКА II", "МакДональд^Ян", "Іваноў^Ілля", "Иванова^реб. 1"),
    ],
    "ISO_IR 13": ["ﾔﾏﾀﾞ^ﾀﾛｳ", "ｵｵﾀﾆ^ｼｮｳﾍｲ A", "ｳﾞｨｸﾄﾘｱ･ﾊﾟｰｸ^BABY"],
    "ISO_IR 166": ["นาย^สมชาย", "ด.ญ.น้ำฝน^แซ่ลิ้ม", "เกาะแก้ว^ทารก ๒", "ฐิติ^ญาณีB"],
    "GB18030": [
        *("Wang^XiaoDong=王^小东B", "Müller^Zoë", "魏^伟", "Люкceмбypг", "买买提·艾力^张（大）", "𠮷^太", "䶮^㛃"),
    ],
    "GBK": ["张^三", "欧阳^小明", "魏^伟"],
    "ISO 2022 IR 58": ["张^三", "欧阳^小明B"],
    "ISO 2022 IR 149": ["홍^길동", "Hong^Gildong=洪^吉洞=홍^길동", "김^희중A"],
    "ISO_IR 192": ["Nguyễn Thị^Ngọc Ánh", "क्\u200dषेत्र^अनिल", "አበበ^ቢቂላ", "გელაშვილი^ნინო", "សុខ^ខ្មែរ"],
}
"""Each name whole: how people of these places are called, with twins and what wards write into names."""
ENCODINGS = {"ISO_IR 100": "cp1252", "ISO_IR 101": "iso8859-2", "ISO_IR 126": "iso8859-7", "ISO_IR 127": "iso8859-6"}
ENCODINGS |= {"ISO_IR 138": "iso8859-8", "ISO_IR 144": "iso8859-5", "ISO_IR 13": "shift_jis", "ISO_IR 166": "tis-620"}
ENCODINGS |= {"GB18030": "gb18030", "GBK": "gbk", "ISO_IR 203": "iso8859-15", "ISO_IR 110": "iso8859-4"}
ENCODINGS |= {"ISO_IR 148": "iso8859-9", "ISO_IR 192": "utf-8"}
ENCODINGS |= {"ISO 2022 IR 58": "gb2312", "ISO 2022 IR 149": "euc-kr"}
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
    # Words that no language has, in a script that the bytes could be of.
    ("Οικονόμου^Ιωάννης", "iso8859-7", "ISO_IR 144"),
    ("ΠΑΠΑΣ^ΑΝΝΑ", "iso8859-7", "ISO_IR 166"),
    ("Παπαδοπούλου^Άννα", "cp1253", "ISO_IR 126"),
    ("Παπαδοπούλου^Άννα B", "iso8859-7", "ISO_IR 101"),
    ("Иванова^Анна", "koi8-r", "ISO_IR 126"),
    ("Иванова^Анна", "koi8-r", "ISO_IR 138"),
    ("Иванова^Анна", "koi8-r", "ISO_IR 144"),
    ("Ковалёва^Ольга", "iso8859-5", "ISO_IR 166"),
    ("Ковалёва^Ольга", "iso8859-5", "ISO_IR 13"),
    ("Иванова^BABY", "cp1251", "ISO_IR 100"),
    ("فاطمة^ليلى", "cp1256", "ISO_IR 127"),
    ("قباني^لنزار", "iso8859-6", "ISO_IR 144"),
    ("כהן^נועה", "iso8859-8", "ISO_IR 126"),
    ("קרן^שרון", "iso8859-8", "ISO_IR 127"),
    ("ด.ญ.น้ำฝน^แซ่ลิ้ม", "tis-620", "ISO_IR 13"),
    ("张^三B", "gbk", "ISO_IR 100"),
    ("欧阳^娜娜", "gbk", "ISO_IR 126"),
    ("ﾔﾏﾀﾞ^ﾀﾛｳ", "shift_jis", "ISO_IR 144"),
    ("Öztürk^Çağrı", "iso8859-9", "ISO_IR 100"),
    ("Göğüş^Güneş", "iso8859-9", "ISO_IR 100"),
    ("Kovačević^Ana", "iso8859-2", "ISO_IR 100"),
    ("Guðmundsdóttir^Þóra", "latin-1", "ISO_IR 101"),
    ("Guðmundsdóttir^Þóra", "latin-1", "ISO_IR 148"),
    ("Müller^Zoë", "utf-8", "ISO 2022 IR 149"),
    ("Müller^Zoë", "utf-8", "ISO 2022 IR 58"),
    ("欧阳^小明", "gbk", "ISO 2022 IR 149"),
    ("山田^太郎", "euc-jp", "ISO 2022 IR 149"),
    ("Mureşan^Ilinca", "iso8859-2", "ISO_IR 100"),
    ("Grigoraş^Ana", "iso8859-2", "ISO_IR 100"),
    ("Kříž^Ondřej", "cp1250", "ISO_IR 100"),
    ("Wałęsa^Łucja", "iso8859-2", "ISO_IR 110"),
    ("Öztürk^Çağrı", "iso8859-9", "ISO_IR 110"),
    ("Bērziņš^Āris", "cp1257", "ISO_IR 110"),
]


@pytest.mark.parametrize("declared", MEANT)
def test_a_name_in_the_declared_character_set_is_what_was_meant(declared: str) -> None:
    for name in MEANT[declared]:
        assert decoded(name.encode(ENCODINGS[declared]), (declared,), name=True) == name


@pytest.mark.parametrize(("name", "encoding", "declared"), OTHERS)
def test_a_name_in_another_character_set_is_not_read_as_another_name(name: str, encoding: str, declared: str) -> None:
    with pytest.raises(Unreadable, match="not of the character set"):
        decoded(name.encode(encoding), (declared,), name=True)


def test_latin_9_by_an_escape_is_read() -> None:
    raw = b"\x1b-bL\xbdffler^\x1b-bZo\xeb"
    assert decoded(raw, ("", "ISO 2022 IR 203"), name=True) == "Lœffler^Zoë"
    with pytest.raises(Unreadable):
        decoded(raw, ("", "ISO 2022 IR 100"), name=True)


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
