"""A screener in a program that forks: `python -m tests.runtime.forked_screener BUNDLE`.

Says outcome and reason of a reading before the fork, of one in the copy and of one after.
A program of its own: the copy of a process with other libraries' threads may end in whatever those left half done.
"""

import os
import sys
from pathlib import Path

from device.frame import Frame
from runtime.bundle import open_bundle
from runtime.engines.fake import FakeEngine
from runtime.screener import Screener
from tests.pictures import retina


def main(bundle: Path) -> int:
    screener = Screener(open_bundle(bundle), engine=FakeEngine((0.9, 0.1)), reject_repeats=False)

    def says() -> None:
        reading = screener.screen(Frame(retina(width=640, height=480), 0, "test"))
        sys.stdout.write(f"{reading.outcome.value}|{reading.reason}\n")
        sys.stdout.flush()

    says()  # its helper thread runs now, and will be missing in the copy
    child = os.fork()
    if child == 0:
        says()
        screener.between_frames()
        screener.close()
        return 0
    if os.waitpid(child, 0)[1]:
        return 1
    says()
    screener.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
