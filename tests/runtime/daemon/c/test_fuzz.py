"""libFuzzer on the message parser, with the golden messages to begin with."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from runtime.daemon.golden import PATH
from tests.runtime.daemon.c.building import HERE, C, build

pytestmark = pytest.mark.system


def fuzz(tmp_path: Path, runs: int) -> None:
    """Messages that fit in all but their content, and any others: no crash, no hang, no corruption accepted."""
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    golden = json.loads(PATH.read_text(encoding="utf-8"))
    for entry in golden["messages"] + golden["refused_from_a_client"]:
        for first in range(4):
            wire = bytes.fromhex(entry["hex"])
            (corpus / f"{entry['name']}{first}".replace("?", "")).write_bytes(bytes([first]) + wire)
    flags = ["-g", "-O1", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    program = build("clang", tmp_path / "fuzz", *flags, HERE / "fuzz_messages.c", C / "ropscreen_wire.c")
    line = [
        str(program),
        f"-runs={runs}",
        "-max_len=800",
        "-timeout=120",
        "-seed=7",
        "-print_final_stats=1",
        str(corpus),
    ]
    done = subprocess.run(line, capture_output=True, text=True, timeout=1800, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-4000:]
    executed = [line for line in done.stderr.splitlines() if "number_of_executed_units" in line]
    assert int(executed[0].split()[-1]) >= runs


def test_fuzzed_messages_do_no_harm(tmp_path: Path) -> None:
    fuzz(tmp_path, 30_000)


@pytest.mark.soak
def test_a_million_fuzzed_messages_do_no_harm(tmp_path: Path) -> None:
    fuzz(tmp_path, 1_000_000)
