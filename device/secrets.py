"""Hides user names and passwords in whatever text an address or a pipeline may stand in: the one place that does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote

_ADDRESS = re.compile(
    r"(?i)\b([a-z][a-z0-9+.-]*://|(?:https?|rtsps?|s?ftps?|s3|gs|abfss?|hdfs|triton|ray|wss?):/)(\S*)"
)
"""Also with the one slash that a path makes of two."""
_QUOTED = re.compile(r"""(?i)(["'])([a-z][a-z0-9+.-]*://)([^"']*\s[^"']*)(?=\1)""")
"""An address with blanks in it, as a pipeline's words may hold one; it ends with its quotation."""
_NO_SCHEME = re.compile(r"""(?<![^\s"'=(])((?::?//)?[^\s"'/:@]+:)(?!/)([^\s"']*)(?=@)""")
"""User and password of an address that lacks its `rtsp://`, or the slashes of it."""
_PROPERTY = re.compile(
    r"""(?<![^\s!"'(])([\w.:-]+)(\s*=\s*(?:\([\w/-]+\))?)"""
    r"""("(?:\\.|[^"\\])*(?:"|$)|'(?:\\.|[^'\\])*(?:'|$)|(?:\\.|[^\s\\])+)"""
)
"""A property of an element as GStreamer's pipelines have it: name, `=` with a type or without, value."""
_AT_FIRST = r"pin|pw|pwd|pass(?:w(?:or)?d|phrase|code)?|secret|token|psk|cookies?|headers?|credentials?"
_AT_LAST = r"keys?(?:[-_]id)?|user(?:name)?|login|(?:user|proxy|client)[-_]id|auth(?:orization)?"
_SECRET_NAME = re.compile(rf"(?i)(?:^|[-_.:])(?:(?:{_AT_FIRST})(?:$|[-_])|(?:{_AT_LAST})$)")
"""Names of properties whose values are for one camera's or server's ears (`user-pw`, `proxy-id`, `passphrase`)."""
_AMONG_SETTINGS = re.compile(
    rf"""(?i)(?<=[,#])((?:[\w.:-]*[-_.:])?(?:(?:{_AT_FIRST})(?:[-_][\w.:-]*)?|{_AT_LAST})=)([^\s"']+)"""
)
"""A setting of such a name, where settings stand behind one another: behind `#` or in `camera:0,password=...`."""
_WITH_BLANKS = re.compile(r"(?is)\A([a-z][a-z0-9+.-]*://)([^\s@/:]+:[^\s@/]+\s.*@.*)\Z")
"""Nothing but an address, whose password holds blanks."""
_QUOTE = r"['\"](?=[\w%*@#$+-])"
"""One within a value, or before it: behind the last word of a text another sign follows, or none."""
_VALUE_IN_PATH = re.compile(rf"=((?:[^=&;/\s'\"]|{_QUOTE})+)")
_VALUE_IN_QUERY = re.compile(rf"=((?:[^=&;\s'\"]|{_QUOTE})+)|(?<=[?&;])((?:[^=&;\s'\"]|{_QUOTE})+)(?=[&;\s'\"]|\Z)")
"""Also one without a name."""
_BY_NUMBERS = re.compile(r"""[^\s'"]*%[0-9A-Fa-f]{2}[^\s'"]*""")
"""A word with signs that are written by their numbers."""
_NUMBERED_TIMES = 4
"""So often signs are looked for behind their numbers: programs that hand on an address number them anew."""
_SETTING = r"(?:transport|\w+_timeout_s)=[\w.]*"
_SETTINGS = re.compile(rf"(?:{_SETTING}(?:,{_SETTING})*)?\W*")
"""What may stand behind `#` where a value stands before it; all else may be the rest of a password that holds one."""

_AS_GIVEN = ("utf-8", "surrogateescape")
_SHOWN_MAX = 300
"""Characters of a source that a message shows."""


def hide_secrets(text: str) -> str:
    """The text with `***` for all up to the last `@` of each address in it, for every value in its path and query, and
    for the values of a pipeline's properties that are secret by their names.

    Passwords hold `#`, `/`, `?` and `@` themselves, written as they are, so nothing before the last `@` is shown. Where
    signs are written by their numbers (`%3A`) and only these show a secret, the word is shown without them.
    """
    return _BY_NUMBERS.sub(lambda word: _behind_numbers(word[0]) or word[0], _hidden(text, lambda secret: "***"))


def _behind_numbers(word: str) -> str | None:
    """The word without numbers for signs and with `***` for the secrets in it; None where there are none but stars."""
    plain = word
    for _ in range(_NUMBERED_TIMES):
        plain = unquote(plain)
    shown = _hidden(plain, lambda secret: secret if set(secret) == {"*"} else "***")
    return None if shown == plain else shown


def _hidden(text: str, stars: Callable[[str], str]) -> str:
    """The text with stars in place of each secret."""
    text = _WITH_BLANKS.sub(lambda found: found[1] + _with_stars(found[2], stars), text)
    text = _ADDRESS.sub(lambda found: found[1] + _with_stars(found[2], stars), text)
    text = _QUOTED.sub(lambda found: found[1] + found[2] + _with_stars(found[3], stars), text)
    text = _NO_SCHEME.sub(lambda found: found[1] + stars(found[2]), text)
    text = _PROPERTY.sub(
        lambda found: found[1] + found[2] + stars(found[3]) if _SECRET_NAME.search(found[1]) else found[0], text
    )
    return _AMONG_SETTINGS.sub(lambda found: found[1] + stars(found[2]), text)


def _with_stars(rest: str, stars: Callable[[str], str]) -> str:
    """An address from behind its `://`, with stars in place of each secret."""
    parts, shown_to = [], 0
    for begin, end in _secrets(rest):
        parts += [rest[shown_to:begin], stars(rest[begin:end])]
        shown_to = end
    return "".join([*parts, rest[shown_to:]])


def _secrets(rest: str) -> Iterator[tuple[int, int]]:
    """Where each secret of an address begins and ends, in their order."""
    path = rest.rfind("@") + 1
    if path > 1:
        yield 0, path - 1
    settings = rest.find("#", path)
    end = settings if settings >= 0 else len(rest)
    query = rest.find("?", path, end)
    query = query if query >= 0 else end
    values = [found.span(1) for found in _VALUE_IN_PATH.finditer(rest, path, query)]
    values += [found.span(found.lastindex or 0) for found in _VALUE_IN_QUERY.finditer(rest, query, end)]
    yield from values
    if settings >= 0 and values and not _SETTINGS.fullmatch(rest, settings + 1):
        yield settings + 1, len(rest)


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
            hidden = _same_length(argument.decode(*_AS_GIVEN))
            ctypes.memmove(begin + at, hidden.encode(*_AS_GIVEN), len(argument))


def _arguments(line: bytes) -> list[tuple[int, bytes]]:
    """Where each argument that may hold a secret begins, and its bytes."""
    found, at = [], 0
    for argument in line.split(b"\0"):
        if b"=" in argument or b"://" in argument or b"%" in argument:
            found.append((at, argument))
        at += len(argument) + 1
    return found


def _same_length(argument: str) -> str:
    """The argument with a star for each byte that is secret; where numbers for signs hide one, for the whole word."""

    def stars(secret: str) -> str:
        return "*" * len(secret.encode(*_AS_GIVEN))

    return _BY_NUMBERS.sub(
        lambda word: word[0] if _behind_numbers(word[0]) is None else stars(word[0]), _hidden(argument, stars)
    )
