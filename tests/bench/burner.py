"""Prints whether a pinned benchmark is INVALID for a burner on its own core, and valid for one on another.

`python tests/bench/burner.py [--rounds 10] [--frames 60]`: each round is two runs of `runtime.bench` pinned to one
core, beside a process that keeps another core busy, then that one. Needs two cores and a machine that does nothing
else: what else runs on the benchmark's core makes a run INVALID, too, as it should. Exit code 1 when one of them is
judged wrongly.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BURN = "print('on', flush=True)\nwhile True: pass"


def pinned(core: int) -> Callable[[], None]:
    """What a new process does first."""
    return lambda: os.sched_setaffinity(0, [core])


@contextmanager
def burner(core: int) -> Iterator[None]:
    """A process that keeps a core busy."""
    with subprocess.Popen([sys.executable, "-c", BURN], stdout=subprocess.PIPE, preexec_fn=pinned(core)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def judged(own: int, burning: int, frames: int) -> str:
    """What a run pinned to a core says beside a burner: `valid`, or why not."""
    words = f"-m runtime.bench --frames {frames} --percentile 50 --no-accuracy --no-cold-start"
    bench = [sys.executable, *words.split()]
    with burner(burning):
        done = subprocess.run(bench, capture_output=True, text=True, check=False, preexec_fn=pinned(own))
    why = [line.strip() for line in done.stdout.splitlines() if line.strip().startswith("INVALID:")]
    return "valid" if done.returncode == 0 else (why or [done.stderr.strip()[-200:]])[0][:160]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--frames", type=int, default=60)
    given = parser.parse_args()
    own, other = sorted(os.sched_getaffinity(0))[:2]
    right = {"another core": 0, "its own core": 0}
    for number in range(1, given.rounds + 1):
        beside, on = judged(own, other, given.frames), judged(own, own, given.frames)
        right["another core"] += beside == "valid"
        right["its own core"] += "other processes took" in on
        print(f"round {number}: burner on another core: {beside}; on its own: {on}", flush=True)
    print(", ".join(f"burner on {where}: {count} of {given.rounds} judged rightly" for where, count in right.items()))
    return 0 if min(right.values()) == given.rounds else 1


if __name__ == "__main__":
    sys.exit(main())
