"""What becomes of other projects' test pictures: none may crash, take over two seconds or get an outcome for no fundus.

    pip download --no-deps --no-binary :all: pillow && tar xf pillow-*.tar.gz
    python tests/bench/other_test_sets.py pillow-*/Tests/images .venv/lib/python3*/site-packages/pydicom/data

Every file is given to the commands' own reader, as a picture whatever its ending; each that can be read is screened.
Time is processor time, so that other work on the machine does not count. Exit code 1 when a file raises anything but
`FrameUnreadable`, takes too long or gets an outcome and its name is not among those of `--fundus`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

from device import Frame, FrameUnreadable, Recording, SourceNotFound
from device.cameras.files import decode
from device.cameras.video import VIDEO_SUFFIXES
from runtime import Outcome, Screener, open_bundle

COUNTS = (Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS)
LONGEST_S = 2.0


def main() -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--fundus", nargs="*", default=["retina.jpg"], help="names that may get an outcome")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long, whatever is left")
    options = parser.parse_args()
    until = time.monotonic() + 60 * options.minutes
    found: Counter[str] = Counter()
    wrong: list[str] = []
    files = [file for folder in options.folders for file in sorted(folder.rglob("*")) if file.is_file()]
    with Screener(open_bundle(), reject_repeats=False, threads=1) as screener:
        for file in files:
            if time.monotonic() > until:
                break
            began = time.process_time()
            try:
                frame = _first(file)
            except (FrameUnreadable, SourceNotFound):
                frame, what = None, "cannot be read"
            except Exception as error:
                frame, what = None, "CRASHED"
                wrong.append(f"{file}: {type(error).__name__}: {error}")
            took_s = time.process_time() - began
            if frame is not None:
                reading = screener.screen(frame)
                what = reading.outcome.value
                if reading.outcome in COUNTS and file.name not in options.fundus:
                    wrong.append(f"{file}: {what}: {reading.reason}")
            if took_s > LONGEST_S:
                wrong.append(f"{file}: {took_s:.1f} s")
            found[what] += 1
    for what, number in found.most_common():
        print(f"{number:5} {what}")
    print(f"{sum(found.values())} of {len(files)} files; {len(wrong)} that should not be so:", *wrong, sep="\n  ")
    return 1 if wrong else 0


def _first(file: Path) -> Frame | None:
    """The picture, or the first frame of a video."""
    if file.suffix.lower() not in VIDEO_SUFFIXES:
        return Frame(decode(file), 0, "file")
    with Recording(file) as recording:
        return recording.read()


if __name__ == "__main__":
    sys.exit(main())
