"""`alone`: one cart at a time on one folder: a second would read the first one's pictures in the midst of a capture."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.cart.errors import CartError


@contextmanager
def alone(folder: Path, called: str) -> Iterator[None]:
    """Hold a folder for this process; made where it is missing. called: as the user named it, for messages.

    Raises `CartError` where another process holds it, or it cannot be a folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise CartError(f"{called}: cannot be made a folder ({error.strerror}); name another") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CartError(f"{called}: another cart runs on it; end that one, or name another folder") from None
        except OSError:  # a file system that locks no folders; it is a net, not what keeps the journal whole
            pass
        yield
    finally:
        os.close(descriptor)
