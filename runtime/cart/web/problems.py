"""Errors as `application/problem+json` (RFC 9457): what, got, expected, do this."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from device.checked_file import place_of
from device.errors import DeviceError, SettingRefused
from runtime.cart.errors import CartBusy, DeskGone, NotNow, NotYours, SignInRefused, in_words, shown, technical
from runtime.errors import ScreeningError
from runtime.exam.errors import ExamRefused, ExamUnknown, InfantInvalid, JournalFull, OrderInvalid


def problem(status: int, title: str, detail: str, **more: Any) -> JSONResponse:
    """One problem. more: further members, `retry_s` for example."""
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}
    return JSONResponse(content, status_code=status, media_type="application/problem+json")


async def of_ours(_: Request, error: Exception) -> JSONResponse:
    """What the cart's parts raise: `detail` is for the person at the screen; `technical`, where that leaves something
    out, for a technician who asks for it."""
    said, full = shown(error), technical(error)
    more = {"technical": full} if full else {}
    if isinstance(error, SignInRefused):
        return problem(429 if error.wait_s else 401, "sign in", said, retry_s=round(error.wait_s, 1))
    if isinstance(error, NotNow):
        return problem(409, "not now", said, retry_s=error.retry_s, **more)
    if isinstance(error, NotYours):
        return problem(403, "not yours", said, **more)
    if isinstance(error, DeskGone):
        return problem(503, "starting anew", said, **more)
    if isinstance(error, CartBusy):
        return problem(503, "busy", said, retry_s=1.0, **more)
    if isinstance(error, (InfantInvalid, OrderInvalid)):
        return problem(422, "not taken", said, **more)
    if isinstance(error, ExamUnknown):
        return problem(404, "not here", said, **more)
    if isinstance(error, ExamRefused):
        return problem(409, "refused", said, **more)
    if isinstance(error, JournalFull):
        return problem(507, "disk full", said, **more)
    if isinstance(error, SettingRefused):
        return problem(422, "not taken", said, **more)
    if isinstance(error, DeviceError):
        return problem(503, "equipment", said, **more)
    return problem(500, "cannot be done", said, **more)


async def of_a_body(_: Request, error: Exception) -> JSONResponse:
    """A body that is not what it should be. What was sent is not repeated: it may hold a name.

    `detail` is for the person at the screen, `fields` for whoever wrote what sent it.
    """
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    missing = [one for one in errors if one["type"] == "missing"]
    fields = [_where(one) for one in missing or errors]
    if missing:
        said = f"{', '.join(map(_called, missing))}: not sent; nothing was done, send it with the rest"
    else:
        said = f"{_called(errors[0])}: {_wrong(errors[0])}"
    return problem(422, "not taken", said, fields=fields)


def _where(error: dict[str, Any]) -> str:
    return place_of(part for part in error["loc"] if part != "body") or "the request's JSON body"


def _called(error: dict[str, Any]) -> str:
    """The field as a person knows it; the table that it stands in, as `infant`, says nothing more, nor does the type
    that pydantic names last where a field takes several."""
    if error["type"] == "json_invalid":
        return "the request"
    table, _, name = _where(error).rpartition(".")
    return in_words(table.rpartition(".")[2] if table and name in ("int", "float") else name)


def _wrong(error: dict[str, Any]) -> str:
    told = error.get("ctx", {})
    if told.get("expected") == "True":
        return "expected yes"
    return _WRONG.get(error["type"], "this cannot be taken; say it again").format(**told)


_WRONG = {
    "string_too_long": "it is longer than {max_length} characters; shorten it",
    "string_too_short": "it is empty; say it",
    "string_pattern_mismatch": "it is empty, or holds what it cannot; say it again",
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected yes or no",
    "literal_error": "expected {expected}",
    "extra_forbidden": "nothing is known by this name; leave it out",
    "json_invalid": "it cannot be read as JSON; send JSON",
    "model_attributes_type": "expected an object",
    "dict_type": "expected an object",
    "model_type": "expected an object",
    "greater_than_equal": "expected at least {ge}",
    "less_than_equal": "expected at most {le}",
    "finite_number": "expected a number",
}
"""By pydantic's names of what can be wrong; its own words are for programmers, and may repeat what was sent."""


async def of_http(_: Request, error: Exception) -> JSONResponse:
    """A path or a method that is not there."""
    assert isinstance(error, HTTPException)
    return problem(error.status_code, "not here", f"{error.detail}; what there is stands in /api/1/openapi.json")


async def of_a_fault(_: Request, error: Exception) -> JSONResponse:
    """Whatever nobody foresaw; its text may hold anything and is not shown."""
    return problem(500, "software fault", f"a fault of this software ({type(error).__name__}); report it")


HANDLERS = {
    ScreeningError: of_ours,
    DeviceError: of_ours,
    RequestValidationError: of_a_body,
    HTTPException: of_http,
    Exception: of_a_fault,
}
