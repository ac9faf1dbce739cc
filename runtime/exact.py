"""`EXACT`: a `Literal` of numbers or truth values that takes these alone. Python's 1, 1.0 and True are equal, and
pydantic's `Literal`, even where it is strict, takes each for the others."""

from __future__ import annotations

from typing import Any

from pydantic import ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import PydanticKnownError


def _exact(given: Any, checks: ValidatorFunctionWrapHandler) -> Any:
    meant = checks(given)
    if type(given) is type(meant):
        return meant
    if isinstance(meant, bool):
        raise PydanticKnownError("literal_error", {"expected": repr(meant)})
    raise PydanticKnownError("int_type")


EXACT = WrapValidator(_exact)
"""For `Annotated[Literal[...], EXACT]`."""
