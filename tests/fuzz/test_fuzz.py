"""Every target of the fuzzing on changed seeds for a short while, and guided by coverage where that is asked for."""

from __future__ import annotations

import importlib.util
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.fuzz.run import counted
from tests.fuzz.targets import LONGEST, TARGETS

TRIES, SHORT_S = 2000, 2.5


def changed(seeds: list[bytes], draw: random.Random, longest: int) -> bytes:
    """A seed with some bytes turned, cut, doubled, put in, or taken from another."""
    data = bytearray(draw.choice(seeds))
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        at, how = draw.randrange(len(data) + 1), draw.randrange(6)
        if how == 0 and data:
            data[at % len(data)] ^= 1 << draw.randrange(8)
        elif how == 1 and data:
            data[at % len(data)] = draw.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif how == 2:
            del data[at : at + draw.randrange(1, 9)]
        elif how == 3:
            data[at:at] = draw.randbytes(draw.randrange(1, 9))
        elif how == 4:
            data[at:at] = data[at : at + draw.randrange(1, 65)]
        else:
            other = draw.choice(seeds)
            data[at:] = other[draw.randrange(len(other) + 1) :]
    return bytes(data[:longest])


@pytest.mark.parametrize("target", TARGETS)
def test_changed_bytes_are_refused_in_words(target: str) -> None:
    """As many as the time allows; on a machine that is slow fewer, on each the same ones first."""
    one, seeds = TARGETS[target]()
    assert seeds
    draw, end = random.Random(16), time.monotonic() + SHORT_S
    for seed in seeds:
        one(seed)
    for number in range(TRIES):
        data = changed(seeds, draw, LONGEST.get(target, 4096))
        try:
            one(data)
        except BaseException as error:
            pytest.fail(f"change {number}: {type(error).__name__}: {error}; bytes {data[:200].hex()}")
        if time.monotonic() > end:
            break


@pytest.mark.soak
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="Atheris has no wheel for this Python")
@pytest.mark.parametrize("target", TARGETS)
def test_guided_by_coverage(target: str) -> None:
    """A million runs or ten minutes of each; corpora and counts stay in fuzz/ and add up over calls."""
    code, _, said = counted(target, Path("fuzz") / target, 1_000_000, 600)
    assert code == 0, said


@pytest.fixture(scope="module")
def c_fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """clients.c with libFuzzer in it."""
    root = Path(__file__).parents[2]
    found = shutil.which("clang")
    if found is None:
        pytest.skip("clang, whose libFuzzer this needs, is not installed")
    program = tmp_path_factory.mktemp("fuzz") / "fuzz_clients"
    folders = [root / "runtime" / "daemon" / "c", root / "device" / "light" / "c"]
    sources = [Path(__file__).with_name("clients.c"), folders[0] / "ropscreen_wire.c", folders[1] / "ropboard.c"]
    options = ["-g", "-O1", "-fsanitize=fuzzer,address,undefined", *(f"-I{folder}" for folder in folders)]
    built = subprocess.run(
        [found, *options, *map(str, sources), "-o", str(program)], capture_output=True, text=True, timeout=300
    )
    if built.returncode and "libclang_rt" in built.stderr:
        pytest.skip("clang has no libFuzzer here")
    assert built.returncode == 0, built.stderr
    return program


@pytest.mark.system
@pytest.mark.parametrize("runs", [2000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_the_code_in_c(c_fuzzer: Path, tmp_path: Path, runs: int) -> None:
    corpus = tmp_path if runs == 2000 else Path("fuzz") / "c"
    corpus.mkdir(parents=True, exist_ok=True)
    for target in ("daemon-messages", "light-board"):
        for number, seed in enumerate(TARGETS[target]()[1]):
            (corpus / f"{target}-{number}").write_bytes(seed)
    options = [f"-runs={runs}", "-max_len=1024", "-timeout=120", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run([str(c_fuzzer), *options, str(corpus)], capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr[-2000:]
