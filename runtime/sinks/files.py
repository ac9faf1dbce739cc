"""Writing files whole, and saying clearly why one cannot be written."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from device.outputs import PRIVATE, OutputFolder, write_whole
from runtime.errors import OutputError

MAKING, REPLACED = "making", "replaced"
"""Of folders beside another: what is to take its place, and what had it."""


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


@contextlib.contextmanager
def folder_aside(out: Path, say: Callable[[str], object] = lambda line: None) -> Iterator[Path]:
    """A new folder beside `out`, of this program alone while the block lasts, and gone after it.

    Those that killed programs left are removed first, and an `out` that one had moved away is put back; say: is told of
    each. Raises `OSError`.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    for line in _clear_left(out):
        say(line)
    aside, held = _new_beside(out, MAKING)
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        os.close(held)


def replace_folder(out: Path, aside: Path) -> None:
    """Put the finished folder `aside`, which lies beside `out`, in the place of `out`.

    Between the two renames nothing stands at `out`, never half of a folder. When the second one does not come the
    earlier folder is put back. Raises `OSError`.
    """
    if not out.exists():
        os.replace(aside, out)
        return
    old, held = _new_beside(out, REPLACED)
    try:
        os.replace(out, old / out.name)
        os.replace(aside, out)
    finally:  # whatever ended it: a full disk, a signal
        if not out.exists() and (old / out.name).exists():
            os.replace(old / out.name, out)
        shutil.rmtree(old, ignore_errors=True)
        os.close(held)


def _new_beside(out: Path, word: str) -> tuple[Path, int]:
    """A new folder, and a descriptor by which it is known as in use."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=f".{out.name}.{word}-", dir=out.parent))
        with contextlib.suppress(FileNotFoundError, BlockingIOError):  # taken for one that was left, just now
            held = _hold(path)
            if path.exists():
                return path, held
            os.close(held)


def _hold(path: Path) -> int:
    """A folder's descriptor, which holds it as long as it is open. Raises `BlockingIOError` where another one does."""
    held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise
    except OSError:
        pass  # a file system without locks
    return held


def _clear_left(out: Path) -> Iterator[str]:
    """Remove folders of killed programs, and put back what one had moved from `out`; says what was done."""
    left = re.compile(rf"\.{re.escape(out.name)}\.({MAKING}|{REPLACED})-[a-z0-9_]{{8}}")
    for path in sorted(path for path in out.parent.iterdir() if left.fullmatch(path.name)):
        try:
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not out.exists() and (path / out.name).is_dir() and f".{REPLACED}-" in path.name:
                os.replace(path / out.name, out)
                yield f"{out}: put back, as a program that was killed had moved it to {path}"
            shutil.rmtree(path)
            yield f"{path}: left by a program that was killed; removed"
        except OSError:
            continue  # in use, or not to be known, or not ours
        finally:
            os.close(held)
