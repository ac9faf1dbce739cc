"""What the sources hold: journals, and folders of pictures with or without labels, found below what the user named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from device.cameras.files.decode import PICTURE_SUFFIXES
from device.secrets import hide_secrets
from runtime.errors import ScreeningError
from runtime.exam.journal.opening import FILE as JOURNAL_FILE
from runtime.reread.errors import RereadError
from runtime.reread.folders import pictures_below
from runtime.reread.journals import Exams, stored_frames
from runtime.reread.keyring import JournalKeys
from runtime.reread.places import in_one_storage, is_address, local_folder, picture_place
from runtime.reread.stored import Stored


@dataclass(frozen=True)
class FrameStore:
    """One journal, or one folder of pictures."""

    number: int
    folder: str
    """Absolute, or an address of an object storage."""
    journal: bool
    beside: int = 0
    """Pictures that lie beside the journals of one name, where this is the first of them; they are not read."""

    @property
    def kind(self) -> str:
        """In a word."""
        return "journal" if self.journal else "pictures"


def find_sources(named: Sequence[str | Path]) -> list[FrameStore]:
    """Every journal below the folders that were named, and each such folder that holds none as one of pictures.

    In the order of the names; a journal or folder that is reached twice comes once. An address of an object storage
    (`s3://bucket/pictures`) is one of pictures. Raises `RereadError` for a name that is no folder, an address that
    cannot be used, or a folder of pictures inside another one, whose frames would count twice.
    """
    found: dict[str, bool] = {}
    beside: dict[str, list[str]] = {}
    for name in map(str, named):
        if is_address(name):
            picture_place(name)
            found.setdefault(name.rstrip("/"), False)
            continue
        path = Path(name)
        if not name.strip() or not path.is_dir():
            raise RereadError(f"{name!r}: no such folder; expected a journal, a folder of journals or of pictures")
        pictures: list[str] = []
        journals = sorted(_journals(path.resolve(), pictures), key=os.fsencode)
        for folder in journals or [path]:
            found.setdefault(str(folder.resolve()), bool(journals))
        if journals:
            beside.setdefault(str(journals[0]), pictures)
    read = [folder for folder, journal in found.items() if not journal]
    _check_apart(read)
    _check_one_name_each(read)
    return [
        FrameStore(number, folder, journal, sum(not _is_in(at, read) for at in beside.get(folder, ())))
        for number, (folder, journal) in enumerate(found.items())
    ]


def _check_apart(folders: Sequence[str]) -> None:
    for inner in folders:
        outer = next((other for other in folders if other != inner and _is_in(inner, [other])), None)
        if outer is not None:
            raise RereadError(f"{inner} lies in {outer}, so that its frames would count twice; name one of the two")


def _check_one_name_each(folders: Sequence[str]) -> None:
    """What no path shows: a folder that is mounted twice or has an address, too, or a storage's by two addresses."""
    if len(folders) < 2:
        return
    local = {folder: path for folder in folders if (path := local_folder(folder)) is not None}
    named = [(_state(path), folder) for folder, path in local.items()]
    for outer, path in local.items():
        for below, _, _ in os.walk(path):
            state = _state(below)
            for other, inner in named:
                if inner != outer and other == state is not None:
                    raise _twice(inner, outer)
    for inner, outer in permutations([folder for folder in folders if folder not in local], 2):
        if in_one_storage(inner, outer):
            raise _twice(inner, outer)


def _twice(inner: str, outer: str) -> RereadError:
    return RereadError(
        f"{hide_secrets(inner)} is in {hide_secrets(outer)} by another name, so that its frames would count twice; "
        "name one of the two"
    )


def _state(path: str | Path) -> tuple[int, int] | None:
    """Which folder it is, whatever it is called."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_in(path: str, folders: Sequence[str]) -> bool:
    return any(path.startswith(folder.rstrip("/") + "/") for folder in folders)


def _journals(top: Path, pictures: list[str]) -> Iterator[Path]:
    """Folders of journals. pictures: gets those that lie in others."""
    for folder, below, files in os.walk(top):
        if JOURNAL_FILE in files:
            below.clear()
            yield Path(folder)
        else:
            pictures += (os.path.join(folder, file) for file in files if Path(file).suffix.lower() in PICTURE_SUFFIXES)


def stored_in(
    sources: Sequence[FrameStore],
    keys: JournalKeys,
    classes: Sequence[str],
    tell: Callable[[str], None],
    *,
    note: Callable[[str], None] | None = None,
    show_files: bool = False,
) -> Iterator[Stored]:
    """Every stored frame of the sources, in their order, listed as it is needed.

    classes: of the bundle that will read them. tell: hears one line for each source or exam that is left out, and for
    each exam that was there already; the rest goes on. note: hears what a folder holds that is no picture, which leaves
    nothing out that was asked for; `tell` where there is none.
    """
    exams = Exams()
    for source in sources:
        if source.beside:
            what = "a picture lies" if source.beside == 1 else f"{source.beside} pictures lie"
            (note or tell)(f"source {source.number}: {what} beside journals, not read; name the pictures' folder, too")
        try:
            if source.journal:
                yield from stored_frames(source.number, Path(source.folder), keys, classes, exams, tell)
            else:
                yield from pictures_below(source.number, source.folder, note or tell, show_files=show_files)
        except ScreeningError as error:
            tell(f"source {source.number} left out: {error}")
        except OSError as error:
            tell(f"source {source.number} left out: {source.folder} cannot be read ({error.strerror or error})")
