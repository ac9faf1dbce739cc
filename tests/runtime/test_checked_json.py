from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError, model_validator

from runtime.checked_json import NotJson, OtherSchema, first_problem, parsed, read_at_most


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
    assert problem('{"sizes": []}') == "thing: Value error, nothing there"


def test_one_byte_more_than_the_limit_tells_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_at_most(path, 5) == b"12345"
    assert read_at_most(path, 3) == b"1234"
    with pytest.raises(FileNotFoundError):
        read_at_most(tmp_path / "none", 3)
