"""Words of other languages that say that nothing is known: as an infant's code they are one for all who have none, and
on a card they would pass for a statement."""

from __future__ import annotations

import re
import unicodedata

_WORDS = (
    "unbekannt, nicht bekannt, nicht angegeben, nicht verfügbar, nicht vorhanden, nicht zutreffend, keine, "
    "keine angabe, keine angaben, keine daten, entfällt, noch offen, siehe oben, siehe unten, "
    "inconnu, inconnue, non connu, non renseigné, non renseignée, non communiqué, non précisé, non précisée, "
    "non spécifié, non spécifiée, non disponible, aucun, aucune, néant, sans objet, à compléter, à définir, "
    "à préciser, pas de données, "
    "desconocido, desconocida, no especificado, no especificada, no disponible, no aplica, no consta, no indicado, "
    "sin datos, sin información, sin especificar, ninguno, ninguna, pendiente, por definir, "
    "desconhecido, desconhecida, não informado, não especificado, não disponível, não se aplica, sem dados, nenhum, "
    "nenhuma, a definir, "
    "sconosciuto, sconosciuta, non noto, non specificato, non disponibile, non applicabile, non indicato, nessuno, "
    "nessuna, da definire, "
    "onbekend, niet bekend, niet vermeld, niet beschikbaar, niet van toepassing, nvt, n v t, geen, "
    "okänd, okänt, ej angivet, saknas, ukendt, ikke oplyst, ukjent, ikke oppgitt, tuntematon, ei tiedossa, "
    "nieznany, nieznana, nieznane, nie podano, brak, brak danych, nie dotyczy, neznámý, neznámá, neznámé, neuvedeno, "
    "není známo, ismeretlen, nem ismert, nincs adat, nincs megadva, necunoscut, nespecificat, "
    "bilinmiyor, belirtilmemiş, yok, không rõ, không có, tidak diketahui, tidak ada, "
    "άγνωστο, άγνωστος, μη διαθέσιμο, "
    "неизвестно, неизвестен, не известно, не указано, не указан, нет, нет данных, нет информации, не применимо, "
    "отсутствует, невідомо, не вказано, немає даних, "
    "未知, 不明, 不详, 不詳, 未定, 待定, 无, 無, 暂无, 暫無, 没有, 沒有, 未提供, 未说明, 未說明, 未指定, 未填, 不适用, "
    "不適用, なし, 無し, 該当なし, 記載なし, 情報なし, 未記入, 未記載, "
    "미정, 미상, 없음, 모름, 알 수 없음, 해당 없음, 정보 없음, "
    "غير معروف, غير محدد, غير متوفر, مجهول, لا يوجد, لا ينطبق, نامشخص, לא ידוע, לא צוין, אין, "
    "अज्ञात, उपलब्ध नहीं, लागू नहीं, ไม่ทราบ, ไม่มี"
)


def plain_words(text: str) -> str:
    """Letters and digits alone, in small letters, one space between words: signs and marks of a script are nothing."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(
        re.sub(r"\W", " ", "".join(c for c in plain if not unicodedata.category(c).startswith("M"))).split()
    )


UNKNOWN = frozenset(map(plain_words, _WORDS.split(", ")))


def is_unknown_elsewhere(text: str) -> bool:
    """Whether a text is, in another language than English, that nothing is known, and no more than that."""
    return plain_words(text) in UNKNOWN
