"""A sender that can be killed: prints the process id of a fresh one for each line it reads.

The libraries are loaded once, so that a hundred kills do not take minutes of importing.
Arguments: journal folder, site file. PYTHONPATH has to name the repository.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import highdicom.sr  # noqa: F401

from runtime.dicom.commitment import CommitmentDesk
from runtime.dicom.configuration import load_dicom_config
from runtime.dicom.outbox import Outbox
from runtime.dicom.outbox.report import outbox_state
from runtime.dicom.outbox.sender import AnotherSender
from runtime.exam.infant import now_utc
from runtime.exam.journal import Journal
from tests.runtime.dicom.exams import KEY


def send_all(folder: Path, site_file: Path) -> None:
    site = load_dicom_config(site_file)
    with Journal.open(folder, KEY) as journal, CommitmentDesk(site) as desk:
        box = Outbox(journal, site)
        while True:
            box.send_due(desk, now=True)
            if not outbox_state(journal, now_utc()).undone:
                return
            time.sleep(0.05)  # an archive that is starting is left in peace


def say(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def main() -> None:
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                send_all(Path(sys.argv[1]), Path(sys.argv[2]))
                code = 0
            except AnotherSender:
                code = 3
            finally:
                os._exit(code)
        say(child)
        _, status = os.waitpid(child, 0)
        say(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
