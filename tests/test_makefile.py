"""`make test` runs every test, and each in one of its parts."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def parts() -> dict[str, list[str]]:
    """What each part of `make test` gives to pytest."""
    listing = "include Makefile\nparts: ; @printf '%s\\n' $(foreach part,$(PARTS),'$(part) $(PART_$(part))')\n"
    call = ["make", "--no-print-directory", "--file=-", "parts"]
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of no make above it
    done = subprocess.run(
        call, input=listing, capture_output=True, text=True, cwd=ROOT, env=outside, check=True, timeout=300
    )
    return {name: given for name, *given in map(shlex.split, done.stdout.splitlines())}


def in_part(file: str, given: list[str]) -> bool:
    def under(folders: list[str]) -> bool:
        return any(file.startswith(f"{folder}/") for folder in folders)

    left_out = [one.removeprefix("--ignore=") for one in given if one.startswith("--ignore=")]
    return under([one for one in given if not one.startswith("-")]) and not under(left_out)


@pytest.mark.skipif(shutil.which("make") is None, reason="not installed: make")
def test_every_test_is_in_one_part_of_make_test() -> None:
    found = parts()
    assert len(found) > 1
    for name, given in found.items():
        for one in given:
            assert (ROOT / one.removeprefix("--ignore=")).is_dir(), (name, one)
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")]
    times = Counter({file: sum(in_part(file, given) for given in found.values()) for file in files})
    assert {file: count for file, count in times.items() if count != 1} == {}
