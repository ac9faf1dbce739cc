"""Commands that are started without a standard stream."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMANDS = (
    ("runtime.screen", "nowhere.jpg"),
    ("runtime.bundles", "list"),
    ("runtime.exam", "list", "--journal", "nowhere"),
    ("runtime.cart", "check", "--config", "nowhere.toml"),
    ("device", "cameras"),
)


def started(closed: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, *words],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "ROP_BUNDLES": "nowhere"}, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
@pytest.mark.parametrize("closed", ["2>&-", ">&-", ">&- 2>&- <&-"])
def test_no_traceback_and_no_complaint_among_results(words: tuple[str, ...], closed: str) -> None:
    whole, without = started("", "-m", *words), started(closed, "-m", *words)
    assert "Traceback" not in without.stderr
    if closed == "2>&-":
        assert without.stdout == whole.stdout
        assert without.returncode == whole.returncode


def test_no_file_gets_the_number_of_a_closed_stream() -> None:
    code = (
        "import json, os, sys; from device.streams import open_closed_streams; open_closed_streams();"
        " file = os.open('setup.py', 0); print(json.dumps(file));"
        " sys.stderr.write('lost'); assert sys.stdin.read() == ''"
    )
    done = started("<&- 2>&-", "-c", code)
    assert json.loads(done.stdout) > 2


def test_closed_standard_output_refuses_what_is_written() -> None:
    code = "from device.streams import open_closed_streams; open_closed_streams(); print('a finding', flush=True)"
    assert started(">&-", "-c", code).returncode != 0
