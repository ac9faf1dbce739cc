"""Words for people: the outcome's, and text from outside made safe to show (`device.shown`)."""

from __future__ import annotations

import errno
import os

from device.secrets import hide_secrets
from device.shown import escaped_json, printable, printable_lines
from runtime.outcome import Outcome

__all__ = ["error_text", "escaped_json", "printable", "printable_lines", "word"]


def word(outcome: Outcome) -> str:
    """The outcome as it is written for people."""
    return outcome.value.replace("_", " ")


def error_text(error: object) -> str:
    """An error's text, without passwords that an address or a pipeline in it holds; of the system's own, which says a
    number first, what it is about, why, and what to do."""
    if isinstance(error, OSError) and error.filename is not None:
        reason = error.strerror or type(error).__name__
        named = hide_secrets(os.fsdecode(error.filename))
        return f"{named}: {reason}; look whether it is there and may be used, or name another"
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return f"cannot be written: {error.strerror}; make room, or name another place"
    return hide_secrets(str(error))


_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EBADF, errno.EIO)
"""What a write ends with that names no file: one of ours, or standard output."""
