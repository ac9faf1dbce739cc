"""Where pictures lie: a folder of this machine, or one of an object storage, by pyarrow's file systems."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from device.cameras.files.decode import DICOM_SUFFIXES, FILE_BYTES_MAX, PICTURE_SUFFIXES
from device.cameras.files.sniff import says_nothing
from device.checked_file import read_whole
from device.extras import how_to_install
from device.secrets import hide_secrets
from runtime.exam.journal.opening import FILE as JOURNAL_FILE
from runtime.reread.errors import RereadError

if TYPE_CHECKING:
    from device.frame import Frame

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"(?i)[?&;][\w.-]*(?:key|secret|token|password|sig|credential)[\w.-]*=")
_HEAD_BYTES = 64 << 10


class EntryKind(Enum):
    """What an entry of a folder is."""

    FOLDER = "folder"
    PICTURE = "picture"
    OTHER = "other"


FileState = tuple[int, int]
"""Size in bytes, and time of the last change in nanoseconds."""


@dataclass(frozen=True)
class Entry:
    """One name in a folder."""

    name: str
    kind: EntryKind
    state: FileState | None = None
    """Where listing tells it at no further cost."""
    passed: str = ""
    """What it is, in words, where it is not to be read; empty for a hidden one without pictures."""


class PicturePlace(Protocol):
    """A folder of pictures and what lies below it; names are relative paths with slashes. Each raises `OSError`."""

    def entries(self, below: str) -> Sequence[Entry]:
        """Names in one folder, in any order; hidden ones are of kind OTHER. below: "" for the whole."""
        ...

    def state(self, name: str) -> FileState:
        """How a file is now."""
        ...

    def read(self, name: str, limit: int) -> bytes:
        """A file's bytes; an `OSError` also where they are more than `limit`."""
        ...

    def may_be_dicom(self, name: str) -> bool:
        """Whether it is worth a look inside."""
        ...

    def opened(self, name: str) -> IO[bytes]:
        """To look inside; it can be sought in."""
        ...

    def frame(self, name: str, sequence: int) -> Frame:
        """The picture. Raises also `FrameUnreadable`."""
        ...


def is_address(text: str) -> bool:
    """Whether it names an object storage (`s3://bucket/pictures`), and no folder of this machine."""
    return _ADDRESS.match(text) is not None


@lru_cache(64)
def picture_place(where: str) -> PicturePlace:
    """A folder's path, or an address. Raises `RereadError` for an address that cannot be used."""
    return StoragePlace(where) if is_address(where) else LocalPlace(Path(where))


def local_folder(where: str) -> Path | None:
    """Which folder of this machine a place is, by whatever address; None for one of a storage. As `picture_place`."""
    place = picture_place(where)
    return place.local if isinstance(place, StoragePlace) else Path(where)


def in_one_storage(inner: str, outer: str) -> bool:
    """Whether two addresses are of one storage, and the first one's folder is the second one's or in it."""
    one, other = picture_place(inner), picture_place(outer)
    return isinstance(one, StoragePlace) and isinstance(other, StoragePlace) and one.lies_in(other)


class LocalPlace:
    """A folder of this machine, or one that is mounted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def entries(self, below: str) -> Sequence[Entry]:
        """See `PicturePlace`. A link to a folder is not followed."""
        with os.scandir(self._folder / below) as entries:
            return [_entry(entry) for entry in entries]

    def state(self, name: str) -> FileState:
        """See `PicturePlace`."""
        found = os.stat(self._folder / name)
        return found.st_size, found.st_mtime_ns

    def read(self, name: str, limit: int) -> bytes:
        """See `PicturePlace`."""
        return read_whole(self._folder / name, limit)

    def may_be_dicom(self, name: str) -> bool:
        """Any: they are known by their content."""
        return True

    def opened(self, name: str) -> IO[bytes]:
        """See `PicturePlace`."""
        return (self._folder / name).open("rb")

    def frame(self, name: str, sequence: int) -> Frame:
        """See `PicturePlace`."""
        from device.cameras.files.folder import read_picture

        return read_picture(self._folder / name, sequence)


class StoragePlace:
    """A folder of an object storage. Who may read it says the environment (AWS_ACCESS_KEY_ID and such), as pyarrow has
    it: an address is written into reports. Raises `RereadError`."""

    def __init__(self, address: str) -> None:
        shown = hide_secrets(address)
        if _has_password(address):
            raise RereadError(
                f"{shown}: a password in an address would be written into the report; "
                "leave it to the environment, as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        try:
            from pyarrow import fs
        except ImportError:
            raise RereadError(f"{shown}: pyarrow is not installed here; {how_to_install('fleet')}") from None
        self._kinds, self._selector = fs.FileType, fs.FileSelector
        try:
            self._files, self._top = fs.FileSystem.from_uri(address)
        except (ValueError, OSError, NotImplementedError) as error:
            raise RereadError(f"{shown}: {_line(error)}; expected an address such as s3://bucket/folder") from None

    @property
    def local(self) -> Path | None:
        """The folder, where the storage is this machine's disk."""
        return Path(self._top) if self._files.type_name == "local" else None

    def lies_in(self, other: StoragePlace) -> bool:
        """Whether it is the other one, or in it."""
        mine, its = (one._top.strip("/") + "/" for one in (self, other))
        return bool(self._files.equals(other._files)) and mine.startswith(its)

    def _path(self, name: str) -> str:
        return "/".join(part for part in (self._top.rstrip("/"), name) if part)

    def entries(self, below: str) -> Sequence[Entry]:
        """See `PicturePlace`."""
        with _as_os_error():
            found = self._files.get_file_info(self._selector(self._path(below), recursive=False))
        return [self._entry(info) for info in found]

    def _entry(self, info: Any) -> Entry:
        from device.cameras.files.passed import HIDDEN_PICTURE, ending_kind

        name, kind = info.base_name, self._kind(info)
        if name.startswith("."):  # by its name alone, as all that is asked over the network
            known = os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES
            return Entry(name, EntryKind.OTHER, passed=HIDDEN_PICTURE if known else "")
        return Entry(name, kind, _state_of(info), ending_kind(name) if kind is EntryKind.OTHER else "")

    def _kind(self, info: Any) -> EntryKind:
        if info.type is self._kinds.Directory:
            return EntryKind.FOLDER
        if info.base_name == JOURNAL_FILE:
            raise RereadError(f"{info.path}: an exam journal is read from a disk; mount it or copy its folder")
        known = os.path.splitext(info.base_name)[1].lower() in PICTURE_SUFFIXES
        return EntryKind.PICTURE if known or says_nothing(info.base_name) else EntryKind.OTHER

    def state(self, name: str) -> FileState:
        """See `PicturePlace`."""
        with _as_os_error():
            found = self._files.get_file_info(self._path(name))
        if found.type is not self._kinds.File:
            raise FileNotFoundError(2, "No such file or directory")
        return _state_of(found)

    def read(self, name: str, limit: int) -> bytes:
        """See `PicturePlace`."""
        with _as_os_error(), self._files.open_input_file(self._path(name)) as file:
            if file.size() > limit:
                raise OSError(27, f"larger than {limit} bytes")
            return bytes(file.read())

    def may_be_dicom(self, name: str) -> bool:
        """By its name alone: each look is a question over the network."""
        return os.path.splitext(name)[1].lower() in DICOM_SUFFIXES or says_nothing(name)

    def opened(self, name: str) -> IO[bytes]:
        """See `PicturePlace`."""
        with _as_os_error():
            return io.BufferedReader(self._files.open_input_file(self._path(name)), _HEAD_BYTES)

    def frame(self, name: str, sequence: int) -> Frame:
        """See `PicturePlace`."""
        from device.cameras.files.folder import picture_frame

        return picture_frame(self.read(name, FILE_BYTES_MAX), name, sequence)


def _entry(entry: os.DirEntry[str]) -> Entry:
    from device.cameras.files.folder import is_picture
    from device.cameras.files.passed import passed_kind

    if not entry.name.startswith("."):
        if entry.is_dir(follow_symlinks=False):
            return Entry(entry.name, EntryKind.FOLDER)
        if is_picture(entry):
            return Entry(entry.name, EntryKind.PICTURE)
    return Entry(entry.name, EntryKind.OTHER, passed=passed_kind(entry))


def _state_of(info: Any) -> FileState:
    """Of a `pyarrow.fs.FileInfo`; -1 for what the storage does not tell."""
    known = [-1 if value is None else int(value) for value in (info.size, info.mtime_ns)]
    return known[0], known[1]


@contextmanager
def _as_os_error() -> Iterator[None]:
    """What pyarrow raises beside `OSError` is none of a caller's business."""
    try:
        yield
    except (OSError, RereadError):
        raise
    except Exception as error:
        raise OSError(5, _line(error)) from None


def _has_password(address: str) -> bool:
    """Before the last `@`, whatever signs stand in it, or as a value that is for the storage alone."""
    before = address.partition("://")[2].rpartition("@")[0]
    return ":" in before or _SECRET_VALUE.search(address) is not None


def _line(error: Exception) -> str:
    return " ".join(hide_secrets(str(error)).split())[:200]
