"""No `Literal` of a request or a file takes what merely equals it: 1 and 1.0 are no True, true is no version 1."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

import runtime

ROOT = Path(runtime.__file__).parent


def fields() -> dict[str, tuple[Any, Any]]:
    """Every field of every model of `runtime` with a `Literal` that is not text, and what it may hold."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        if "BaseModel" in (source := path.read_text(encoding="utf-8")) and "Literal[" in source:
            module = import_module(".".join(("runtime", *path.relative_to(ROOT).with_suffix("").parts)))
            for model in vars(module).values():
                if isinstance(model, type) and issubclass(model, BaseModel):
                    for name, field in model.model_fields.items():
                        held = [value for value in meant(field.annotation) if isinstance(value, (bool, int))]
                        if held:
                            whole: Any = field.annotation
                            for more in field.metadata:
                                whole = Annotated[whole, more]
                            found[f"{model.__name__}.{name}"] = (whole, held)
    return found


def meant(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    else:
        for part in get_args(annotation):
            yield from meant(part)


FIELDS = fields()


def test_they_are_found() -> None:
    assert {"OpenBody.wrist_band_checked", "LightSection.protocol", "InputFacts.width"} <= set(FIELDS)


@pytest.mark.parametrize(("field", "held"), FIELDS.values(), ids=FIELDS.keys())
def test_what_is_equal_but_of_another_type_is_refused(field: Any, held: list[Any]) -> None:
    checks = TypeAdapter(field)
    for value in held:
        assert checks.validate_python(value) is value
        equal: list[Any] = [
            other for kind in (bool, int, float) if (other := kind(value)) == value and kind is not type(value)
        ]
        for other in [*equal, str(value), [value], None]:
            with pytest.raises(ValidationError):
                checks.validate_python(other)
