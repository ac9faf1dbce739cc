"""What a camera that answers with a still may yet answer with, kept over a restart of the program."""

from __future__ import annotations

import json
import os
from collections import deque
from contextlib import suppress
from pathlib import Path

from device.checked_file import read_whole, strict_json
from device.errors import CameraError
from device.outputs import writing

MOST = 256
"""So many of the last pictures are known again."""
LIMIT_BYTES = 1 << 16
"""Of the file, which holds a hash for each of them."""


class StillMemory:
    """Whether the camera owes the picture of an earlier press, and which pictures came; in a file, where one is named.

    A file that cannot be read owes one: what was asked before this start is not known then.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self.owes = False
        self._came: deque[str] = deque(maxlen=MOST)
        if path is not None and path.exists():
            try:
                kept = strict_json(read_whole(path, LIMIT_BYTES))
                self.owes = kept["owes"] is not False
                self._came.extend(one for one in kept["came"] if isinstance(one, str))
            except (OSError, ValueError, KeyError, TypeError):
                self.owes = True

    def came_before(self, sha256: str) -> bool:
        """Whether that picture came already; it is known from now on."""
        before = sha256 in self._came
        if not before:
            self._came.append(sha256)
        return before

    def ask(self) -> None:
        """A picture is about to be asked for. Raises `CameraError`, and it must not be, where that cannot be kept."""
        self.owes = True
        try:
            self._keep()
        except OSError as error:
            raise CameraError(
                f"still: that a picture is asked for cannot be kept ({error.strerror}); nothing was taken; "
                "look at the disk"
            ) from None

    def answered(self, owes: bool = False) -> None:
        """The answer came; owes: one of an earlier press may still come. What cannot be kept stays owed on the disk."""
        self.owes = owes
        with suppress(OSError):
            self._keep()

    def _keep(self) -> None:
        if self._path is None:
            return
        with writing(self._path) as file:
            file.write(json.dumps({"owes": self.owes, "came": list(self._came)}).encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
