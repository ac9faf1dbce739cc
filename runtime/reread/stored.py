"""`Stored`: one stored frame that is to be read again, with what is known of it, and no name of a person."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Stored:
    """Where a frame lies and what was said of it. Travels to the reader's process or node."""

    reading: str
    """Identifies the frame in the table: `JOURNAL/EXAM/NUMBER`, or a source's number and a hash for a file."""
    order: tuple[int, int]
    """Number of the source, and of the frame within it: the order of the table."""
    folder: str
    """Absolute: of the journal, or of the source; or an address of an object storage."""
    file: str | None
    """Of a picture, from the folder; None for a journal's."""
    size: int = -1
    """Bytes of the file when it was listed."""
    mtime_ns: int = -1
    image_sha256: str | None = None
    """Of a journal's image file."""
    frame_sha256: str | None = None
    """Of the RGB bytes that were read then; None where nobody knows."""
    site: str = ""
    camera: str = ""
    exam: str = ""
    eye: str = ""
    view: str = ""
    excluded: bool = False
    """A person took the frame out of its exam."""
    label: bool | None = None
    """Whether it is truly to be referred; None where nobody says."""
    old_outcome: str | None = None
    old_probability: float | None = None
    """Of referral."""
    old_bundle: str | None = None
    """SHA-256 of the manifest of the bundle that read it then."""
    show_file: bool = False
    """Whether the table may name the file."""

    @property
    def state(self) -> str:
        """Short hash of all that is known of it but its place in the list: what it was read as, when it was."""
        known = [getattr(self, field.name) for field in fields(self) if field.name != "order"]
        return hashlib.sha256(repr(known).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    @property
    def weight_bytes(self) -> int:
        """Roughly what it takes of memory while it travels or waits."""
        return 1024
