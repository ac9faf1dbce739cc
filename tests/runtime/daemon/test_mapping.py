"""Shared memory that begins at a 2 MiB page and lies in such pages where the kernel can."""

from __future__ import annotations

import gc
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtime.daemon import ring
from runtime.daemon.mapping import can_watch, collapse, map_shared
from runtime.daemon.slots import HUGE_PAGE
from tests.runtime.daemon.conftest import awaited

NAME = "mapping-under-test"


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = os.memfd_create(NAME)
    os.ftruncate(descriptor, 2 * HUGE_PAGE + 4096)
    yield descriptor
    os.close(descriptor)


def mapped_parts() -> list[str]:
    """Read page by page: while another thread maps or unmaps something, a line may come twice or not at all."""
    return [line for line in Path("/proc/self/maps").read_text().splitlines() if NAME in line]


def parts_of_no_access() -> int:
    """Room for a mapping, and the end of each thread's stack."""
    return Path("/proc/self/maps").read_text().count("---p")


def test_it_begins_at_a_large_page_and_is_the_files_memory(memory: int) -> None:
    one, other = map_shared(memory, 2 * HUGE_PAGE + 4096), map_shared(memory, 4096)
    assert one.ctypes.data % HUGE_PAGE == other.ctypes.data % HUGE_PAGE == 0
    one[4095] = 7
    assert other[4095] == 7
    os.pwrite(memory, b"\x09", 2 * HUGE_PAGE + 4095)
    assert one[-1] == 9


def test_a_view_keeps_it_and_the_last_one_unmaps_it(memory: int) -> None:
    part = map_shared(memory, 4096)[10:20]
    gc.collect()
    awaited(lambda: len(mapped_parts()) == 1, "its one mapping")
    part[:] = 3
    del part
    awaited(lambda: mapped_parts() == [], "its mapping's end")


def test_a_thing_that_cannot_be_mapped_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    before = parts_of_no_access()
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match=r"Permission denied|No such device"):
            map_shared(descriptor, 4096)
    finally:
        os.close(descriptor)
    awaited(lambda: parts_of_no_access() <= before, "the end of the room that was made for it")


def test_less_than_a_large_page_is_left_as_it_is(memory: int) -> None:
    assert not collapse(map_shared(memory, 4096))


def test_what_is_in_it_stays_when_it_is_laid_into_large_pages(memory: int) -> None:
    mapped = map_shared(memory, 2 * HUGE_PAGE + 4096)
    mapped[:] = 5
    laid = collapse(mapped)
    assert (mapped == 5).all()
    if not laid:
        pytest.skip(f"the kernel gives no large pages here (Linux {platform.release()})")
    assert "ShmemPmdMapped:     4096 kB" in _facts()


def _facts() -> str:
    text = Path("/proc/self/smaps").read_text()
    start = text.index(NAME)
    return text[start : text.index("VmFlags", start)]


TAKEN_AWAY = f"""
import os, sys
import numpy as np
from runtime.daemon.mapping import lost, map_shared
size = 3 * {HUGE_PAGE} + 8192
descriptor = os.memfd_create("x")
os.ftruncate(descriptor, size)
mapped, other = map_shared(descriptor, size, gives_back=True), map_shared(descriptor, 4096, gives_back=True)
mapped[:] = 7
os.ftruncate(descriptor, {HUGE_PAGE})  # what is behind it is missing now, as a page of 2 MiB that a hole was made into
assert not lost(mapped)
for at in (size - 1, {HUGE_PAGE}, 2 * {HUGE_PAGE} + 5000):
    assert mapped[at] == 0, at
mapped[size - 1] = 3
assert lost(mapped) and not lost(other)
assert int(mapped.sum()) == 7 * {HUGE_PAGE} + 3
del mapped
again = map_shared(descriptor, size, gives_back=True)
assert not lost(again)
sys.stdout.write("alive")
sys.stdout.flush()
del again
plain = map_shared(descriptor, size)  # nobody watches this one: the program ends as it always did
plain[size - 1]
"""


def test_pages_that_another_takes_away_read_as_zeros_and_are_told() -> None:
    if not can_watch():
        pytest.skip("built without a compiler")
    done = subprocess.run([sys.executable, "-c", TAKEN_AWAY], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.returncode) == ("alive", -signal.SIGBUS), done.stderr


def test_without_a_watch_no_reserved_huge_page_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def memory(size: int, flags: int) -> int:
        asked.append(flags)
        raise MemoryError

    monkeypatch.setattr(ring, "_memory", memory)
    for watched, flags in ((True, os.MFD_HUGETLB | os.MFD_HUGE_2MB), (False, 0)):
        monkeypatch.setattr(ring, "can_watch", lambda watched=watched: watched)
        asked.clear()
        with pytest.raises(MemoryError):
            ring.make_ring(1, 4096, huge_pages=True)
        assert asked == [flags]
