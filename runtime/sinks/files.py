"""Writing files whole, and saying clearly why one cannot be written."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from device.outputs import PRIVATE, OutputFolder, write_whole
from runtime.errors import OutputError


def output_error(what: str, error: OSError) -> OutputError:
    """The error for something that cannot be written, named as the user named it."""
    cause = error.strerror or type(error).__name__
    return OutputError(f"cannot write {what}: {cause}; free space there or name another folder with --out")


@contextlib.contextmanager
def naming(what: str) -> Iterator[None]:
    """Turn an `OSError` inside into an `OutputError` about `what`."""
    try:
        yield
    except OSError as error:
        raise output_error(what, error) from error


def prepare_folder(folder: Path) -> None:
    """Make the folder with its parents and try that a file can be written there.

    Raises `OutputError` when either fails.
    """
    held_folder(folder).close()


@contextlib.contextmanager
def own_folder(folder: Path) -> Iterator[None]:
    """`prepare_folder` for as long as a run writes there; no other run writes to it meanwhile. Raises `OutputError`.

    The second of two would clear away the first one's readings as those of an earlier run.
    """
    prepare_folder(folder)
    with naming(f"to the folder {folder}"):
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                f"cannot write to the folder {folder}: another run writes its results there; wait for it, or name "
                "another folder with --out"
            ) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(held)


def held_folder(folder: Path, *, link_ok: bool = True) -> OutputFolder:
    """The folder, made with its parents where it is missing, after a try that files can be written there.

    link_ok: as for `OutputFolder`. Raises `OutputError`.
    """
    with naming(f"to the folder {folder}"):
        held = OutputFolder(folder, make=True, link_ok=link_ok)
        try:
            held.try_writing()
        except BaseException:
            held.close()
            raise
        return held


def keep_inputs(out: Path, read: Iterable[Path | None]) -> None:
    """Raise `OutputError` where what is to be written at `out` would take the place of what is read."""
    for one in read:
        with contextlib.suppress(OSError, ValueError):
            if one is not None and os.path.samefile(out, one):
                raise OutputError(f"cannot write {out}: it is what is read here; name another file")


def write_file(path: Path, content: bytes, mode: int = PRIVATE) -> None:
    """Write a file that is either whole or not there, for its owner's eyes only; raises `OutputError`."""
    with naming(str(path)):
        write_whole(path, content, mode)


def replace_folder(out: Path, aside: Path) -> None:
    """Put the finished folder `aside`, which lies beside `out`, in the place of `out`.

    Between the two renames nothing stands at `out`, never half of a folder. When the second one fails the earlier
    folder is put back. Raises `OSError`.
    """
    if not out.exists():
        os.replace(aside, out)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
    os.replace(out, old / out.name)
    try:
        os.replace(aside, out)
    except OSError:
        os.replace(old / out.name, out)
        old.rmdir()
        raise
    shutil.rmtree(old, ignore_errors=True)
