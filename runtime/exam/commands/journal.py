"""How commands name a journal, by its folder, its key and its anchors; how a program keeps the key to itself."""

from __future__ import annotations

import argparse
import ctypes
import os
import pwd
import resource
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.exam.journal import Journal

KEY_VARIABLE, CREDENTIALS = "ROP_JOURNAL_KEY", "CREDENTIALS_DIRECTORY"
_PR_SET_DUMPABLE = 4


def add_key_options(parser: argparse.ArgumentParser) -> None:
    """`--key-file` and `--anchor`."""
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="the journal's key (default: systemd's credential rop-journal-key, or $ROP_JOURNAL_KEY)",
    )
    parser.add_argument(
        "--anchor",
        action="append",
        metavar="FILE",
        help="file outside of the journal, or syslog, that is told the newest event and compared; can be repeated",
    )


def open_named(options: Namespace, *, create: bool = False, read_only: bool = False, check: bool = True) -> Journal:
    """The journal that the options name, with their key and anchors."""
    from runtime.exam.journal import Journal  # which is heavy, and `--help` needs none of it
    from runtime.exam.journal.crypt import find_key

    return Journal.open(
        options.journal,
        find_key(options.key_file),
        create=create,
        read_only=read_only,
        check=check,
        anchors=options.anchor or (),
    )


def note_export(options: Namespace, exam_id: str, what: str) -> None:
    """In the trail, that an exam left the journal by a file; where it cannot be written it is said, and not undone."""
    from runtime.commands.text import error_text, printable
    from runtime.exam.errors import JournalError

    try:
        with open_named(options) as journal:
            journal.note_person("exported", _user(), exam=exam_id, what=what)
    except JournalError as error:
        sys.stderr.write(f"the export is not in the trail: {printable(error_text(error))}\n")


def _user() -> str:
    """Whose account on this machine it is."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def keep_key_from_others() -> None:
    """For a program at its start: no core dump, no other process of this user in its memory, no child with the key."""
    if not {KEY_VARIABLE, CREDENTIALS}.isdisjoint(os.environ):
        from runtime.exam.journal.crypt import take_from_environment

        take_from_environment()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
