"""What is wrong with a value of a file is said as got and expected; in no validator's own words, and never a secret."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from device.refused_value import refused_value


class Colour(Enum):
    RED = "red"


class Part(BaseModel):
    number: int = 0


class Everything(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    truth: bool = True
    sure: Literal[True] = True
    word: Literal["a", "b"] = "a"
    colour: Annotated[Colour, Field(strict=False)] = Colour.RED
    whole: Annotated[int, Field(ge=1, le=9)] = 1
    share: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.5
    title: Annotated[str, Field(min_length=2, max_length=4, pattern="^[A-Z]+$")] = "AB"
    several: Annotated[tuple[int, ...], Field(min_length=1, max_length=2)] = (1,)
    table: dict[str, int] = {}
    part: Part = Part()
    either: int | bool = 1
    path: Path = Path()
    pin_hash: Annotated[str, Field(pattern="^[0-9a-f]{4}$")] = "0000"
    source: Literal["sim:"] = "sim:"
    own: str = ""

    @field_validator("own")
    @classmethod
    def _own(cls, given: str) -> str:
        if given:
            raise ValueError("got two, expected one; say it once")
        return given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"truth": "yes"}, "got 'yes', expected true or false"),
        ({"sure": False}, "got false, expected true"),
        ({"word": "c"}, "got 'c', expected 'a' or 'b'"),
        ({"word": None}, "got null, expected 'a' or 'b'"),
        ({"colour": "blue"}, "got 'blue', expected 'red'"),
        ({"whole": 0}, "got 0, expected greater than or equal to 1"),
        ({"whole": "x" * 500}, f"got '{'x' * 59}..., expected a whole number"),
        ({"whole": [1, 2]}, "got a list of 2, expected a whole number"),
        ({"share": 2.0}, "got 2.0, expected less than 1"),
        ({"share": float("nan")}, "got nan, expected a finite number"),
        ({"title": "ab"}, "got 'ab', expected text of the form ^[A-Z]+$"),
        ({"title": "A"}, "got 'A', expected at least 2 characters"),
        ({"several": ()}, "got a list of 0, expected at least 1 item"),
        ({"several": (1, 2, 3)}, "got a list of 3, expected at most 2 items"),
        ({"table": []}, "got a list of 0, expected a table of names and values"),
        ({"part": 3}, "got 3, expected a table of names and values"),
        ({"other": 1}, "no such key; remove it"),
        ({"pin_hash": "zz99"}, "expected text of the form ^[0-9a-f]{4}$"),
        ({"source": "rtsp://u:secret@h/"}, "got 'rtsp://***@h/', expected 'sim:'"),
        ({"own": "x"}, "got two, expected one; say it once"),
    ],
)
def test_every_kind_of_refusal_is_in_words(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Everything(**given)
    problem = refused.value.errors()[0]
    assert refused_value(problem) == said
