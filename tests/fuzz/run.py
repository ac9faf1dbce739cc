"""Fuzzes a target guided by coverage: `python -m tests.fuzz.run TARGET --runs 1000000 --seconds 3600`.

Needs Atheris, which `make test` installs where there is a wheel of it (x86-64, Python 3.11 to 3.13). Corpora and
counts stay in `fuzz/TARGET` (or where --corpus says) and add up; what broke it is written there as `crash-...`.
Exit code 1 when something broke it.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.memory import memory
from tests.fuzz.targets import LONGEST, TARGETS

COUNT = "runs.txt"
SLOWEST_S = 2
"""Of processor time, whatever else the machine does."""
HANGS_S = 60
"""Without an end to it: a wait, which takes no processor time."""
GROWN_MB = 64
LARGE_MB = {"pictures": 512, "dicom-pictures": 512}
"""What a picture of 64 megapixels takes while it is decoded, which no growth is."""


def fuzz(target: str, corpus: Path, runs: int, seconds: int) -> None:
    """In a process of its own: libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(include=["device", "runtime"]):
        one, seeds = TARGETS[target]()
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
        one(seed)
    import resource

    limit_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024 + LARGE_MB.get(target, GROWN_MB)
    options = [f"-runs={runs}", f"-max_total_time={seconds}", f"-timeout={HANGS_S}", f"-rss_limit_mb={limit_mb}"]
    options += [f"-max_len={LONGEST.get(target, 4096)}", f"-artifact_prefix={corpus.parent}/", "-print_final_stats=1"]

    def timed(data: bytes) -> None:
        began_s = time.process_time()
        one(data)
        if (took_s := time.process_time() - began_s) > SLOWEST_S:
            raise AssertionError(f"{took_s:.1f} s of processor time, expected at most {SLOWEST_S}")

    atheris.Setup(["fuzz", *options, str(corpus)], timed)
    atheris.Fuzz()


def counted(target: str, place: Path, runs: int, seconds: int) -> tuple[int, int, str]:
    """Exit code, runs of this target so far with these, and what was said last."""
    call = [sys.executable, "-m", "tests.fuzz.run", target, "--inside", "--corpus", str(place)]
    call += ["--runs", str(runs), "--seconds", str(seconds)]
    with TemporaryDirectory(prefix="fuzz-", dir=memory()) as own:
        env = {**os.environ, "TMPDIR": own}
        done = subprocess.run(call, capture_output=True, text=True, errors="replace", env=env)
    said = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    file = place / COUNT
    before = int(file.read_text()) if file.is_file() else 0
    total = before + (int(said[1]) if said else 0)
    place.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{total}\n")
    return done.returncode, total, f"{done.stdout[-2000:]}{done.stderr[-2000:]}"  # the exception stands in the first


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    place = options.corpus or Path("fuzz") / options.target
    if options.inside:
        fuzz(options.target, place / "corpus", options.runs, options.seconds)
    code, total, said = counted(options.target, place, options.runs, options.seconds)
    sys.stdout.write(f"{options.target}: {total} runs so far, {'nothing found' if code == 0 else said}\n")
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main())
