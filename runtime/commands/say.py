"""Saying something to people, whatever the terminal's encoding: escaped where it has no letter for it."""

from __future__ import annotations

import io
import json
import sys
from typing import Any, TextIO

from runtime.commands.text import printable
from runtime.errors import OutputError


def say(*lines: str, stream: TextIO | None = None) -> None:
    """Lines to standard output, or to another stream; a character that it cannot show is written as `\\u0159`.

    Raises `OutputError` when they cannot be written, `BrokenPipeError` as it is.
    """
    out = stream or sys.stdout
    if out is None:  # as Python has it where the program was started with `>&-`
        raise OutputError("cannot write to standard output: it is closed")
    if isinstance(out, io.TextIOWrapper) and out.errors == "strict":
        out.reconfigure(errors="backslashreplace")  # for those, too, who write to it by other ways
    encoding = out.encoding or "utf-8"
    try:
        for line in lines:
            out.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror}") from error


def aside(*lines: object) -> None:
    """Lines beside the answer, to standard error, each without what in a text from outside could act on a terminal."""
    say(*(printable(str(line)) for line in lines), stream=sys.stderr)


def say_json(content: Any) -> None:
    """One JSON object, on one line; in ASCII where standard output is not UTF-8, and JSON all the same."""
    utf8 = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"
    text = json.dumps(content, ensure_ascii=not utf8)
    say(text if _has_no_halves(text) else json.dumps(content))


def _has_no_halves(text: str) -> bool:
    """Whether there is no half of a character, which UTF-8 has no bytes for."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
