"""Hides user names and passwords in whatever text a source's address may stand in: the one place that does."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

_ADDRESS = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)(\S*)")
_QUERY_VALUE = re.compile(r"([?&;][^=&;#\s]*=)[^&;#\s'\"]+")

_SHOWN_MAX = 300
"""Characters of a source that a message shows."""


def hide_secrets(text: str) -> str:
    """The text with `***` for all up to the last `@` of each address in it, and for every value of a query.

    Passwords hold `#`, `/`, `?` and `@` themselves, written as they are, so nothing before the last `@` is shown.
    """
    return _ADDRESS.sub(_hidden, text)


def _hidden(found: re.Match[str]) -> str:
    scheme, rest = found[1], found[2]
    before, at, after = rest.rpartition("@")
    if at:
        after = _QUERY_VALUE.sub(r"\1***", after)
        return f"{scheme}***@{after}" if before else f"{scheme}@{after}"
    return scheme + _QUERY_VALUE.sub(r"\1***", rest)


def shortened(text: str) -> str:
    """The text, or its beginning and end with its length where it is longer than anyone reads."""
    if len(text) <= _SHOWN_MAX:
        return text
    return f"{text[: _SHOWN_MAX - 60]}...{text[-40:]} ({len(text)} characters)"


def hide_own_arguments() -> None:
    """Write stars over what is secret in this process's command line, which every user of the machine can read (`ps`).

    Where the kernel does not tell where it lies, it stays as it is.
    """
    import ctypes

    with suppress(OSError, ValueError, IndexError):
        numbers = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        begin, end = int(numbers[45]), int(numbers[46])  # fields 48 and 49 of proc(5), arg_start and arg_end
        if not 0 < begin < end:
            return
        for at, argument in _arguments(ctypes.string_at(begin, end - begin)):
            hidden = _same_length(argument.decode("utf-8", "surrogateescape"))
            ctypes.memmove(begin + at, hidden.encode("utf-8", "surrogateescape"), len(argument))


def _arguments(line: bytes) -> list[tuple[int, bytes]]:
    """Where each argument with an address begins, and its bytes."""
    found, at = [], 0
    for argument in line.split(b"\0"):
        if b"://" in argument:
            found.append((at, argument))
        at += len(argument) + 1
    return found


def _same_length(text: str) -> str:
    """The argument with a star for each byte that is secret."""
    shown = hide_secrets(text)
    if shown == text:
        return text
    scheme, _, rest = text.partition("://")
    before, at, after = rest.rpartition("@")
    stars = "*" * len(before.encode("utf-8", "surrogateescape"))
    after = _QUERY_VALUE.sub(lambda value: value[1] + "*" * (len(value[0]) - len(value[1])), after)
    return f"{scheme}://{stars}{at}{after}"
