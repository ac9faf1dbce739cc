"""The verbs `demo`: a whole exam on the simulated camera; and `run`: where to find the one on real parts."""

from __future__ import annotations

import sys
from argparse import Namespace

from device.errors import SourceNotFound
from runtime.commands.say import say
from runtime.commands.text import printable, word
from runtime.exam.commands.common import bundle_of, open_journal, open_screener, say_exam, site_of
from runtime.exam.demonstration import demonstration_camera, demonstration_infant, run_demonstration
from runtime.exam.errors import ExamRefused
from runtime.exam.infant import now_utc
from runtime.exam.journal.crypt import find_key, require_cryptography, write_new_key
from runtime.exam.journal.database import system_error
from runtime.exam.journal.opening import FILE
from runtime.exam.session import ExamSession
from runtime.exam.site_rules import site_rules
from runtime.reading import Reading
from runtime.views import Eye, View, place

KEY_FILE = "demonstration.key"


def demo(options: Namespace) -> int:
    """Run the exam and say its result."""
    if not 0 <= options.faults <= 1:
        raise SourceNotFound(f"--faults: got {options.faults}, expected a share from 0 to 1")
    _choose_key(options)
    bundle, now = bundle_of(options), now_utc()
    rules = site_rules(site_of(options), bundle)
    with open_journal(options, create=True) as journal:
        already = journal.open_exam()
        if already is not None:
            raise ExamRefused(f"exam {already.exam_id} is still open; close it first, or name another --journal")
        with (
            demonstration_camera(options.seed, options.faults) as camera,
            open_screener(options, bundle, live=True, threshold=rules.threshold, counted=True) as screener,
        ):
            session = ExamSession(journal, screener, operator=options.operator, station="simulated")
            show = (lambda *_: None) if options.json else _show
            record = run_demonstration(session, camera, rules, now, show)
        say_exam(record, demonstration_infant(now), as_json=options.json)
    return 0


def run(options: Namespace) -> int:
    """Camera, light, reader and journal in one process are the cart's; this room knows neither light nor screen."""
    raise ExamRefused(
        "run: an exam in one warm process is python -m runtime.cart terminal --operator NAME --infant FILE"
    )


def _choose_key(options: Namespace) -> None:
    """Without a key of the user's, the demonstration keeps one in its own folder; no real journal should."""
    require_cryptography()
    if find_key(options.key_file) is not None:
        return
    path = options.journal / KEY_FILE
    if not path.exists() and not (options.journal / FILE).exists():
        try:
            options.journal.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise system_error(options.journal, error) from None
        write_new_key(path)
        sys.stderr.write(f"runtime.exam: key of this demonstration: {path}\n")
    options.key_file = path


def _show(eye: Eye, view: View, reading: Reading) -> None:
    say(printable(f"{place(eye, view):<16} {word(reading.outcome):<21} {reading.reason}").rstrip())
