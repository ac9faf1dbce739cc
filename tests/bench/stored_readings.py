"""Prints how long an evaluation of stored readings takes: processor time of a process of its own, imports among it.

`python -m tests.bench.stored_readings [--readings 10000] [--sites 0] [--two]`: four readings an infant, three levels,
1,000 draws, charts; with sites the table is parted by a column of so many as well; with two a second reader, who scores
each frame anew, is paired with the first.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.build_engines.evaluate.studies import bundle_in, study, write_readings, write_table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readings", type=int, default=10_000)
    parser.add_argument("--sites", type=int, default=0)
    parser.add_argument("--two", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        bundle, rows = bundle_in(folder), study(-(-given.readings // 4))
        if given.sites:
            rows = [{**row, "site": f"s{number // 4 % given.sites}"} for number, row in enumerate(rows)]
        table, readings = write_table(folder / "t.csv", rows), write_readings(folder / "r.jsonl", rows, bundle)
        files = [readings]
        if given.two:
            other = [{**one, "score": two["score"]} for one, two in zip(rows, study(len(rows) // 4, 1), strict=True)]
            files.append(write_readings(folder / "two.jsonl", other, bundle, "int8"))
        call = ["evaluate", str(bundle.path), "--data", str(table)]
        call += [word for file in files for word in ("--readings", str(file))]
        before = os.times()
        subprocess.run(
            [sys.executable, "-m", "build_engines", *call, "--out", str(folder / "out")],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        after = os.times()
        took = sum(after[2:4]) - sum(before[2:4])
        frames = json.loads((folder / "out" / "evaluation.json").read_text(encoding="utf-8"))["data"]["frames"]
        of = f"{frames:,} frames, {len(files)} readers, {given.sites:,} sites"
        print(f"{of}: {took:.1f} s of processor time, {after[4] - before[4]:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
