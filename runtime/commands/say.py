"""Saying something to people, whatever the terminal's encoding: escaped where it has no letter for it."""

from __future__ import annotations

import io
import json
import sys
from typing import Any, TextIO

from runtime.commands.text import error_text, escaped_json, printable_lines
from runtime.errors import OutputError


def say(*lines: str, stream: TextIO | None = None) -> None:
    """Lines to standard output, or to another stream, each without what in a text from outside could act on a terminal.

    One may be of several lines. A character that the stream cannot show is written as `\\u0159`. Raises `OutputError`
    when they cannot be written, `BrokenPipeError` as it is.
    """
    out = stream or sys.stdout
    if out is None:  # as Python has it where the program was started with `>&-`
        raise OutputError("cannot write to standard output: it is closed")
    if isinstance(out, io.TextIOWrapper) and out.errors == "strict":
        out.reconfigure(errors="backslashreplace")  # for those, too, who write to it by other ways
    encoding = out.encoding or "utf-8"
    try:
        for line in lines:
            out.write(printable_lines(line).encode(encoding, "backslashreplace").decode(encoding) + "\n")
        out.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror}") from error


def aside(*lines: object) -> None:
    """Lines beside the answer, to standard error."""
    say(*map(error_text, lines), stream=sys.stderr)


def say_json(content: Any) -> None:
    """One JSON object, on one line; in ASCII where standard output is not UTF-8, and JSON all the same."""
    utf8 = (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "") == "utf8"
    say(escaped_json(json.dumps(content, ensure_ascii=not utf8)))
