"""How long an exam of 10 frames takes from the journal into a waiting Orthanc, and until Orthanc answers for it.

    unshare -n .venv/bin/python tests/bench/dicom_send.py [--width 640 --height 480] [--exams 5]

Needs Debian's `orthanc`; Orthanc listens on every address, so run it in a network of its own, as above.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from runtime.dicom.commitment import CommitmentDesk
from runtime.dicom.configuration import DicomConfig
from runtime.dicom.outbox import Outbox
from runtime.exam.journal import Journal
from tests.runtime.dicom.archives import CART_PORT, Orthanc, site
from tests.runtime.dicom.exams import KEY, fill_journal


def one(folder: Path, archive: Orthanc, where: DicomConfig, args: argparse.Namespace, seed: int) -> dict[str, float]:
    """Seconds of one exam, in a journal of its own."""
    fill_journal(folder, frames=args.frames, width=args.width, height=args.height, seed=seed)
    with Journal.open(folder, KEY) as journal, CommitmentDesk(where) as desk:
        box = Outbox(journal, where)
        begin, work = time.perf_counter(), time.process_time()
        stored: list[float] = []
        change = box._change

        def timed(delivery, to):  # type: ignore[no-untyped-def]
            changed = change(delivery, to)
            if changed.state == "proving" and not stored:
                stored.append(time.perf_counter() - begin)
            return changed

        box._change = timed  # type: ignore[method-assign]
        result = box.send_due(desk)
        assert result.done == 1, result.error
        return {
            "stored_s": stored[0],
            "answered_for_s": time.perf_counter() - begin,
            "cpu_s": time.process_time() - work,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--exams", type=int, default=5)
    args = parser.parse_args()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        where = site(folder, listen_port=CART_PORT)
        with Orthanc(folder / "orthanc") as archive:
            assert isinstance(archive, Orthanc)
            runs = [one(folder / str(n), archive, where, args, seed=100 * n) for n in range(args.exams)]
            objects = len(archive.instances())
    first, later = runs[0], runs[1:] or runs
    print(
        json.dumps(
            {
                "frames": args.frames,
                "size": [args.width, args.height],
                "objects_an_exam": objects / args.exams,
                "first": {key: round(value, 2) for key, value in first.items()},
                "later_median": {key: round(statistics.median(run[key] for run in later), 2) for key in first},
            }
        )
    )


if __name__ == "__main__":
    main()
