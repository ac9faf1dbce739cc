"""A compiled part of other sources than lie beside it is not called: it is said in one line, and done without."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from device.compiled import of_these_sources, sources_digest

ROOT = Path(__file__).parents[2]
PARTS = (
    "device._yuv",
    "device.cameras.codecs._scans",
    "device.cameras.codecs._looks",
    "runtime.preprocess._kernel",
    "runtime.gate._kernel",
    "runtime.daemon._shared",
)


@pytest.mark.parametrize("name", PARTS)
def test_what_was_compiled_here_is_of_these_sources(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        part = import_module(name)
    except ImportError:
        pytest.skip("built without a compiler")
    assert of_these_sources(part)
    assert capsys.readouterr().err == ""


def part_in(folder: Path, **constants: str) -> ModuleType:
    made = ModuleType("_part")
    made.__file__ = str(folder / "_part.so")
    vars(made).update(constants)
    return made


@pytest.mark.parametrize("change", ["edited", "one more", "renamed", "of before there was a word of its sources"])
def test_another_build_is_said_in_one_line_with_what_to_do(
    change: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "part.c").write_text("int a;")
    (tmp_path / "notes.txt").write_text("no source")
    part = part_in(tmp_path, SOURCES=sources_digest(tmp_path))
    (tmp_path / "notes.txt").write_text("changed")
    assert of_these_sources(part)
    if change == "edited":
        (tmp_path / "part.c").write_text("int b;")
    elif change == "one more":
        (tmp_path / "part.h").write_text("")
    elif change == "renamed":
        (tmp_path / "part.c").rename(tmp_path / "other.c")
    else:
        part = part_in(tmp_path)
    assert not of_these_sources(part)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{tmp_path / '_part.so'}: not used")
    assert "run make again" in line


def test_where_the_sources_were_left_out_nothing_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert of_these_sources(part_in(tmp_path, SOURCES="0123456789abcdef"))
    assert of_these_sources(part_in(tmp_path / "gone", SOURCES="0123456789abcdef"))
    assert capsys.readouterr().err == ""


READS = """
import sys, types
import numpy as np
for package in ("device", "device.cameras.codecs", "runtime.preprocess", "runtime.gate", "runtime.daemon"):
    for name in ("_yuv", "_scans", "_looks", "_kernel", "_shared"):
        old = types.ModuleType(name)  # has none of the calls of today
        old.__file__ = sys.argv[1] + "/" + package.replace(".", "/") + "/" + name + ".so"
        sys.modules[package + "." + name] = old
from runtime import preprocess
from runtime.gate import gate_measures
picture = np.load(sys.argv[2])
small = preprocess.network_input(picture)
assert not preprocess.compiled()
print(small.sum(), *gate_measures(small[0]))
import device.cameras.codecs.progressive, device.cameras.codecs.jpeg, device.pixels, runtime.daemon.mapping
"""


def test_an_older_build_gives_the_same_numbers_and_no_fault(tmp_path: Path) -> None:
    from runtime.gate import gate_measures
    from runtime.preprocess import network_input

    picture = np.random.default_rng(3).integers(0, 255, (300, 400, 3), np.uint8)
    np.save(tmp_path / "picture.npy", picture)
    call = [sys.executable, "-c", READS, str(ROOT), str(tmp_path / "picture.npy")]
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    small = network_input(picture)
    assert done.stdout.split() == [str(one) for one in (small.sum(), *gate_measures(small[0]))]
    assert [line.partition(": ")[2][:8] for line in done.stderr.splitlines()] == ["not used"] * len(PARTS)
