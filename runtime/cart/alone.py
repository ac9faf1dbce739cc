"""`alone`: one cart at a time on one folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.cart.errors import CartError
from runtime.exam import alone as exam_alone


@contextmanager
def alone(folder: Path, called: str) -> Iterator[None]:
    """Hold a folder for this process; made where it is missing. called: as the user named it, for messages.

    Raises `CartError` where another process holds it, or it cannot be a folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise CartError(f"{called}: cannot be made a folder ({error.strerror}); name another") from None
    with exam_alone.alone(folder) as held:
        if not held:
            raise CartError(f"{called}: another cart runs on it; end that one, or name another folder")
        yield
