"""`python -m runtime.dicom`: from the command line to the exit code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from device.extras import missing
from device.streams import open_closed_streams
from runtime.commands.ending import UNUSABLE, ended
from runtime.dicom.commands.arguments import parse
from runtime.dicom.errors import ArchiveRefused, ArchiveUnreachable

VERBS = {
    "export-deidentified": "export",
    "site": "write_site",
    "worklist": "worklist",
    "send": "send",
    "outbox": "outbox",
    "rejected": "rejected",
    "audit": "audit",
    "hospital": "hospital",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; `--help` and a wrong call end by `SystemExit`."""
    options = parse(argv)
    if absent := missing("dicom"):
        sys.stderr.write(f"runtime.dicom: {absent}\n")
        return UNUSABLE

    def verb() -> int:
        verbs = importlib.import_module("runtime.dicom.commands.verbs")
        return int(getattr(verbs, VERBS[options.verb])(options))

    return ended("runtime.dicom", verb, (ArchiveUnreachable, ArchiveRefused))


if __name__ == "__main__":
    open_closed_streams()
    from runtime.exam.commands.journal import keep_key_from_others

    keep_key_from_others()
    sys.exit(main())
