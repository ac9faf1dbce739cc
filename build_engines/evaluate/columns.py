"""Columns that part a table: where they are cut, and what in them is no value of an infant."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from build_engines.evaluate.cases import MOST_NAMED, Case
from build_engines.evaluate.errors import EvaluationError
from runtime.exam.errors import InfantInvalid
from runtime.exam.infant import GESTATION_DAYS, WEIGHT_G, Weeks

MOST_VALUES = 12
"""A column of numbers with more values than this is cut."""
NOT_STATED = "not stated"
NO_PARTS = {
    "refer": "is the truth itself, by which sensitivity and specificity are told already",
    "image": "is another one in each row",
    "sha256": "is another one in each row",
}
"""Columns that part nothing, and why."""
NOT_OF_INFANTS = ("eye", "view")
"""Columns in which every infant has several values."""


@dataclass(frozen=True)
class Measure:
    """What an infant is measured by."""

    cuts: tuple[float, ...]
    """Where people cut: extremely and very preterm (WHO), extremely and very low weight."""
    low: float
    high: float
    odd: str
    """What a value is called that no infant has."""
    expected: str

    def told(self, text: str) -> str:
        """The text, or `odd` where it is meant as a number and is none of an infant; words stay (`unknown`)."""
        value = _number(text, weeks=self is AGE)
        if value is None:
            return self.odd if re.search(r"\d|^[-+]?(nan|inf)", text, re.IGNORECASE) else text
        return text if self.low <= value <= self.high else self.odd


AGE = Measure(
    (28.0, 32.0),
    GESTATION_DAYS[0] / 7,
    GESTATION_DAYS[1] / 7,
    "no gestational age",
    "weeks from 20 to 45, like 27, 27.4, 27w3d or 27+3",
)
WEIGHT = Measure((1000.0, 1500.0), *WEIGHT_G, "no birth weight", "grams from 200 to 6000")
KNOWN = {"gestational_age": AGE, "ga": AGE, "birth_weight": WEIGHT}


def parse_by(texts: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """`COLUMN` or `COLUMN:28,32`. Raises `EvaluationError`."""
    found: dict[str, tuple[float, ...]] = {}
    for text in texts:
        column, colon, cuts = text.partition(":")
        if not column or (colon and not re.fullmatch(r"-?\d+(\.\d+)?(,-?\d+(\.\d+)?)*", cuts)):
            raise EvaluationError(f"--by {text!r}: expected COLUMN, or COLUMN:CUT,CUT with numbers, like bw:1000,1500")
        if column in NO_PARTS:
            raise EvaluationError(f"--by {column}: {NO_PARTS[column]}; name another column")
        if column in found:
            raise EvaluationError(f"--by {column}: is asked for twice; name it once, with its cuts")
        found[column] = tuple(float(cut) for cut in cuts.split(",")) if colon else ()
        if any(low >= high for low, high in pairwise(found[column])):
            raise EvaluationError(f"--by {text!r}: got cuts that do not rise, expected like 1000,1500")
    return found


def parts(cases: Sequence[Case], column: str, cuts: tuple[float, ...]) -> dict[str, list[int]]:
    """The cases by a column's value; numbers are cut where asked, where people do, or into thirds.

    Where people cut, 27w3d and 27+3 are numbers too, and what is none (`unknown`) is a part of its own beside them, as
    is what no infant is: `27w9d`, -3 weeks. Raises `EvaluationError`.
    """
    texts = [case.columns.get(column, "") for case in cases]
    known = KNOWN.get(column.lower())
    usual = known.cuts if known else ()
    texts = [known.told(text) for text in texts] if known else texts
    stated = [text for text in texts if text]
    numbers = {text: value for text in stated if (value := _number(text, weeks=known is AGE)) is not None}
    if cuts and (wrong := next((t for t in stated if t not in numbers and not (known and t == known.odd)), None)):
        raise EvaluationError(f"--by {column}: got {wrong!r} in the table; expected numbers where cuts are named")
    numeric = bool(numbers) and (bool(usual) or len(numbers) == len(set(stated)))
    if numeric and not cuts:
        cuts = usual
        if not cuts and len(numbers) > MOST_VALUES:
            cuts = tuple(float(cut) for cut in np.quantile([numbers[text] for text in stated], (1 / 3, 2 / 3)))
    found: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        name = NOT_STATED if not text else _span(numbers[text], cuts) if cuts and text in numbers else text
        found.setdefault(name, []).append(number)

    def order(value: str) -> tuple[bool, tuple[float, str]]:
        return value == NOT_STATED, min(
            (numbers.get(texts[number], float("inf")), texts[number]) for number in found[value]
        )

    return {value: found[value] for value in sorted(found, key=order)}


def odd_values(cases: Sequence[Case]) -> list[str]:
    """In words, of each column that measures infants, the values in it that no infant has."""
    found = []
    for column in dict.fromkeys(name for case in cases for name in case.columns):
        measure = KNOWN.get(column.lower())
        texts = [text for case in cases if (text := case.columns.get(column, ""))] if measure else []
        odd = [text for text in texts if measure and measure.told(text) == measure.odd]
        if measure and odd:
            named = ", ".join(text[:20] for text in list(dict.fromkeys(odd))[:MOST_NAMED])
            found.append(
                f"{len(odd)} rows state a {column} that none is ({named}; expected {measure.expected}): they are a "
                f"part by themselves."
            )
    return found


def told_otherwise(cases: Sequence[Case], by: Mapping[str, tuple[float, ...]]) -> list[str]:
    """In words, of each column that parts the table or measures infants, the infants of whom it says several things.

    by: the columns that part the table, with their cuts.
    """
    columns = dict.fromkeys((*by, *(name for case in cases for name in case.columns if name.lower() in KNOWN)))
    found = []
    for column in columns:
        if column in NOT_OF_INFANTS:
            continue
        several = {
            code: values for code, values in _values(cases, column, by.get(column, ())).items() if len(values) > 1
        }
        if several:
            named = "; ".join(
                f"{code}: {' and '.join(text[:20] for text in list(values)[:MOST_NAMED])}"
                for code, values in list(several.items())[:MOST_NAMED]
            )
            who = f"{len(several)} infant{'s' * (len(several) > 1)}"
            if column.lower() in KNOWN:
                found.append(
                    f"{who} with several values in {column} ({named}), where an infant has one: mend the table."
                )
            else:
                found.append(
                    f"{who} in several parts of {column} ({named}): each counts them; mend the table where it errs."
                )
    return found


def _values(cases: Sequence[Case], column: str, cuts: tuple[float, ...]) -> dict[str, dict[str, None]]:
    """By infant what is said in a column: numbers of what infants are measured by, parts of all else."""
    known = KNOWN.get(column.lower())
    found: dict[str, dict[str, None]] = {}
    if known is None:
        for part, members in parts(cases, column, cuts).items():
            for number in members:
                if infant := cases[number].infant:
                    found.setdefault(infant, {})[part] = None
        return found
    said: dict[str, dict[float | str, str]] = {}
    for case in cases:
        text = case.columns.get(column, "")
        value = _number(text, weeks=known is AGE)
        if case.infant:
            said.setdefault(case.infant, {}).setdefault(text if value is None else round(value, 1), text or NOT_STATED)
    return {infant: dict.fromkeys(texts.values()) for infant, texts in said.items()}


def _number(text: str, *, weeks: bool) -> float | None:
    """What a cell says as a number; of an age in weeks and days in weeks."""
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    try:
        return Weeks.parse(text).days / 7 if weeks else None
    except InfantInvalid:
        return None


def _span(value: float, cuts: tuple[float, ...]) -> str:
    below = [cut for cut in cuts if value >= cut]
    above = [cut for cut in cuts if value < cut]
    if not below:
        return f"under {above[0]:g}"
    return f"{below[-1]:g} to under {above[0]:g}" if above else f"{below[-1]:g} and over"
