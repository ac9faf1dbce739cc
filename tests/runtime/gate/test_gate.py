"""The compiled measures are the plain ones to the last bit, of whatever picture; no picture of any size harms them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import runtime.gate
from runtime import structure
from runtime.arrays import UInt8Array
from runtime.gate import StructureMeasures, gate_measures, plain, structure_measures
from runtime.preprocess import network_input
from runtime.quality import DIM, QualityLimits
from runtime.structure import structure_faults
from tests.pictures import retina

HERE = Path(__file__).parent
GATE = HERE.parents[2] / "runtime" / "gate"
LIMITS = [name for name in vars(structure) if name.endswith(("_MAX", "_MIN"))]


@pytest.fixture(scope="module")
def kernel(compiled: Callable[[str], Any]) -> Any:
    return compiled("runtime.gate._kernel")


def pictured(kind: str, width: int, height: int, seed: int) -> UInt8Array:
    """A drawn retina as it is or spoiled, with holes and marks, noise, coarse blocks, or one colour."""
    rng = np.random.default_rng(seed)
    if kind == "noise":
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    if kind == "blocks":
        few = rng.integers(0, 256, (-(-height // 37), -(-width // 29), 3), dtype=np.uint8)
        return few.repeat(37, axis=0).repeat(29, axis=1)[:height, :width]
    if kind == "flat":
        return np.full((height, width, 3), rng.integers(0, 256, 3), np.uint8)
    whole = retina(seed, max(width, 64), max(height, 64))[:height, :width].copy()
    if kind == "hidden":
        for level in (255, 230, 210, 190, 90, 21):
            place, size = rng.integers(0, (width, height)), int(rng.integers(1, max(width, height) // 4 + 2))
            colour = tuple(int(c) for c in np.clip(level - rng.integers(0, 12, 3), 0, 255))
            cv2.circle(whole, (int(place[0]), int(place[1])), size, colour, -1)
        return cv2.GaussianBlur(whole, (0, 0), 1 + seed) if seed % 2 else whole
    if kind == "torn":
        whole[height // 3 : height // 2] = np.roll(whole[height // 3 : height // 2], width // 9, axis=1)
        whole[::2] = np.minimum(whole[::2], 250) + rng.integers(0, 5)
    return whole


@given(
    kind=st.sampled_from(["retina", "hidden", "torn", "noise", "blocks", "flat"]),
    width=st.integers(1, 1300),
    height=st.integers(1, 1100),
    seed=st.integers(0, 9),
)
@settings(max_examples=30, deadline=None)
def test_compiled_and_plain_are_one(kernel: Any, kind: str, width: int, height: int, seed: int) -> None:
    pixels = pictured(kind, width, height, seed)
    image = network_input(pixels)[0]
    assert kernel.structure(np.ascontiguousarray(pixels), (height, width), image) == plain.structure(pixels, image)
    assert kernel.quality(image) == plain.quality(image)


def test_they_are_one_of_holes_and_blank_parts_that_count(kernel: Any) -> None:
    found = []
    for seed in range(12):
        image = network_input(pictured("hidden", 640, 480, seed))[0]
        assert kernel.quality(image) == plain.quality(image)
        found.append(gate_measures(image))
    assert sum(each.glare_spot > 0.01 for each in found) > 3
    assert sum(each.blank > 0.01 for each in found) > 3


@pytest.mark.parametrize("size", [(2040, 2040), (959, 960), (960, 961), (479, 480), (4000, 1600), (65, 64), (319, 320)])
def test_they_are_one_where_lines_become_coarser(kernel: Any, size: tuple[int, int]) -> None:
    for kind in ("torn", "noise"):
        pixels = np.ascontiguousarray(pictured(kind, *size, 3))
        image = network_input(pixels)[0]
        assert kernel.structure(pixels, pixels.shape[:2], image) == plain.structure(pixels, image)


@pytest.mark.parametrize("way", ["compiled", "plain"])
def test_parts_of_larger_arrays_turned_and_locked_ones(kernel: Any, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime.gate, "_kernel", kernel if way == "compiled" else None)
    whole = retina(1, 700, 500)
    for view in (whole[10:490, 30:670], whole[::-1], whole.transpose(1, 0, 2), whole[:, :, ::-1], whole[::3, ::2]):
        copy = view.copy()
        view.flags.writeable = False
        image = network_input(view)[0]
        assert structure_measures(view, image[::-1]) == structure_measures(copy, image[::-1].copy())
        assert gate_measures(image[:, ::-1]) == gate_measures(image[:, ::-1].copy())


def test_several_threads_may_ask_at_once(kernel: Any) -> None:
    pictures = [retina(seed, 200 + 150 * seed, 240) for seed in range(4)] * 4
    images = [network_input(picture)[0] for picture in pictures]

    def both(number: int) -> object:
        pixels = pictures[number]
        return kernel.structure(pixels, pixels.shape[:2], images[number]), kernel.quality(images[number])

    alone = [both(number) for number in range(len(pictures))]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(both, range(len(pictures)))) == alone


@pytest.mark.parametrize(
    "name",
    [
        *LIMITS,
        "DARK_TWENTIETH_MIN",
        "DARK_THIRD_MIN",
        "GLARE_SPOT_MAX",
        "BLANK_MAX",
        "EDGE_LIT_MAX",
        "CORNER_LIT_MAX",
        "RELIEF_MIN",
        "DIM",
    ],
)
def test_rop_read_has_the_same_limits(name: str) -> None:
    said = re.search(rf"#define {name} (\S+)", (GATE / "gate.h").read_text(encoding="utf-8"))
    assert said is not None
    assert float(said[1]) == (vars(structure)[name] if name in LIMITS else getattr(QualityLimits(), name.lower(), DIM))


def test_every_measure_has_its_limit_and_none_that_is_no_number_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(LIMITS) - 1 == len(StructureMeasures._fields) == 12  # of rows that are alike there are two
    good = StructureMeasures(0.5, 0.0, 1.0, 0, 0.1, 1.0, 0, 0, -0.1, 9.0, 0, 9.0)
    image = np.zeros((256, 256, 3), np.uint8)
    monkeypatch.setattr("runtime.structure.structure_measures", lambda *_: good)
    assert structure_faults(image, image) == ()
    for field in StructureMeasures._fields:
        bad = good._replace(**{field: float("nan")})
        monkeypatch.setattr("runtime.structure.structure_measures", lambda *_, bad=bad: bad)
        assert len(structure_faults(image, image)) == 1, field


WRONG: list[tuple[str, Callable[[Any, UInt8Array, UInt8Array], object]]] = [
    ("a smaller picture than its size says", lambda k, p, i: k.structure(p[1:], (30, 40), i)),
    ("sides that only multiply to its length", lambda k, p, i: k.structure(p, (-30, -40), i)),
    ("no rows", lambda k, p, i: k.structure(p[:0], (0, 40), i)),
    ("a small picture of another size", lambda k, p, i: k.structure(p, (30, 40), i[1:])),
    ("a gate's picture of another size", lambda k, p, i: k.quality(i[:, 1:].copy())),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case[0])
def test_the_kernel_refuses_what_would_read_past_the_end(kernel: Any, case: tuple[str, Any]) -> None:
    with pytest.raises(ValueError, match="do not belong together"):
        case[1](kernel, np.zeros((30, 40, 3), np.uint8), np.zeros((256, 256, 3), np.uint8))


def sanitized(folder: Path) -> Path:
    """A program that measures pictures of random sizes, with the address and undefined-behaviour sanitizers."""
    compiler = shutil.which("clang") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler on this machine")
    program = folder / "sizes"
    sources = [HERE / "sizes.c", *(GATE / f"{name}.c" for name in ("quality", "structure", "picture", "room"))]
    words = ["-std=c11", "-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-Wall", "-Wextra"]
    done = subprocess.run(
        [compiler, *words, "-Werror", f"-I{GATE}", *map(str, sources), "-o", str(program), "-lm"],
        capture_output=True,
        text=True,
        check=False,
    )
    if "cannot find" in done.stderr:
        pytest.skip("no sanitizer libraries on this machine")
    assert done.returncode == 0, done.stderr
    return program


def run_sanitized(program: Path, *words: object) -> None:
    done = subprocess.run([program, *map(str, words)], capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stderr) == (0, ""), words


@pytest.mark.system
def test_no_size_of_a_picture_reads_or_writes_beyond(tmp_path: Path) -> None:
    run_sanitized(sanitized(tmp_path), 1, 20, 300)


@pytest.mark.soak
def test_no_size_of_a_picture_reads_or_writes_beyond_for_long(tmp_path: Path) -> None:
    program = sanitized(tmp_path)
    for seed in range(2, 6):
        run_sanitized(program, seed, 300, 1500)
    for height, width in ((1, 1 << 20), (1 << 20, 1), (8000, 16000), (40, 70000)):
        run_sanitized(program, 9, 1, 1, height, width)
