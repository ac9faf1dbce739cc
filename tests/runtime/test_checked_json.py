from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError, model_validator

from runtime.checked_json import NotJson, OtherSchema, first_problem, model_from, parsed


class Thing(BaseModel):
    sizes: list[int]

    @model_validator(mode="after")
    def _has_some(self) -> Thing:
        if not self.sizes:
            raise ValueError("nothing there")
        return self


def problem(raw: str) -> str:
    with pytest.raises(ValidationError) as caught:
        Thing.model_validate_json(raw)
    return first_problem(caught.value, "thing")


def test_an_object_of_the_schema_is_given() -> None:
    assert parsed(b'{"schema": "a/1", "b": 2}', "a/1") == {"schema": "a/1", "b": 2}


@pytest.mark.parametrize(
    "raw", [b"", b'{"schema": "a/1"', b"\xff", b"[" * 100_000], ids=["empty", "cut", "bytes", "deep"]
)
def test_what_is_not_json_is_told(raw: bytes) -> None:
    with pytest.raises(NotJson, match=r"^not JSON"):
        parsed(raw, "a/1")


@pytest.mark.parametrize(
    ("raw", "found"), [(b'{"schema": "a/2"}', "'a/2'"), (b"{}", "None"), (b"[]", "None"), (b'"a/1"', "None")]
)
def test_another_schema_is_told_with_the_expected_one(raw: bytes, found: str) -> None:
    with pytest.raises(OtherSchema, match=f"schema is {found}, this version reads 'a/1'"):
        parsed(raw, "a/1")


def test_the_first_problem_is_named_with_its_place() -> None:
    assert problem('{"sizes": [1, "x", "y"]}').startswith("sizes.1: ")
    assert problem('{"sizes": []}') == "thing: nothing there"


class Strict(BaseModel):
    flag: bool = False
    count: int = 0
    share: float = 0.0
    name: str = ""


@pytest.mark.parametrize(
    "raw",
    [
        '{"flag": "false"}',
        '{"flag": "no"}',
        '{"flag": 0}',
        '{"flag": 1.0}',
        '{"flag": null}',
        '{"count": "3"}',
        '{"count": 3.0}',
        '{"count": true}',
        '{"share": "0.5"}',
        '{"share": true}',
        '{"name": 7}',
        '{"flag": false, "flag": true}',
        '{"share": NaN}',
    ],
)
def test_nothing_is_taken_for_something_else(raw: str) -> None:
    with pytest.raises((ValidationError, NotJson)):
        model_from(Strict, raw)


def test_what_is_spelled_as_it_must_be_is_taken() -> None:
    assert model_from(Strict, b'{"flag": true, "count": 3, "share": 1, "name": "x"}').share == 1.0
