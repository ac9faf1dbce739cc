"""What a correction made of the infant's fields and of the order, by the names of the fields.

No sentence here repeats an identifier or a name: messages reach logs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runtime.exam.infant import Infant
from runtime.exam.order import Order

_INFANT = {
    "infant_id": "identifier",
    "name": "name",
    "born_at": "birth",
    "gestational_age": "gestational age",
    "birth_weight_g": "birth weight",
    "sex": "sex",
}
_ORDER = {
    "accession": "accession number",
    "study_uid": "study",
    "requested_procedure_id": "requested procedure",
    "step_id": "step",
    "referring_physician": "referring physician",
    "description": "description",
}


def corrected(before: tuple[Infant, Order | None], after: tuple[Infant, Order | None]) -> list[str]:
    """Sentences on the infant, and on the order where there is or was one: changed, new, and no longer there."""
    infants = [one.to_dict() | {"born_at": one.born} for one in (before[0], after[0])]
    orders = [(order or Order()).to_dict() for order in (before[1], after[1])]
    found = [f"infant: {_told(infants[0], infants[1], _INFANT)}"]
    if any(any(order.values()) for order in orders):
        found.append(f"order: {_told(orders[0], orders[1], _ORDER)}")
    return found


def _told(before: Mapping[str, Any], after: Mapping[str, Any], words: Mapping[str, str]) -> str:
    other = [name for name in words if before.get(name, "") != after.get(name, "")]
    kinds = {
        "changed": [name for name in other if before.get(name) and after.get(name)],
        "new": [name for name in other if not before.get(name)],
        "no longer there": [name for name in other if not after.get(name)],
    }
    said = [f"{kind}: {', '.join(words[name] for name in names)}" for kind, names in kinds.items() if names]
    return "; ".join(said) or "as before"
