"""`python -m runtime.dicom`: from the command line to the exit code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from device.extras import missing
from device.streams import open_closed_streams
from runtime.commands.text import printable
from runtime.dicom.commands.arguments import parse
from runtime.dicom.errors import ArchiveRefused, ArchiveUnreachable
from runtime.errors import ScreeningError

SAYS_NO, UNUSABLE, STOPPED = 1, 2, 130
VERBS = {
    "export-deidentified": "export",
    "site": "write_site",
    "worklist": "worklist",
    "send": "send",
    "outbox": "outbox",
    "rejected": "rejected",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and give its exit code; `--help` and a wrong call end by `SystemExit`."""
    options = parse(argv)
    if absent := missing("dicom"):
        return _complain(absent, UNUSABLE)
    verbs = importlib.import_module("runtime.dicom.commands.verbs")
    try:
        code: int = getattr(verbs, VERBS[options.verb])(options)
    except (ArchiveUnreachable, ArchiveRefused) as error:
        return _complain(error, SAYS_NO)
    except ScreeningError as error:
        return _complain(error, UNUSABLE)
    except KeyboardInterrupt:
        return STOPPED
    return code


def _complain(error: Exception | str, code: int) -> int:
    sys.stderr.write(f"runtime.dicom: {printable(str(error))}\n")
    return code


if __name__ == "__main__":
    open_closed_streams()
    from runtime.exam.commands.journal import keep_key_from_others

    keep_key_from_others()
    sys.exit(main())
