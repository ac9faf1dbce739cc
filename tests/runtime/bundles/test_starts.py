"""A program whose bundle fails, or that keeps dying, goes back once, to a bundle that works here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from runtime.bundles import starts
from runtime.bundles.actions import Means, activate, install
from runtime.bundles.flushed import write_flushed
from runtime.bundles.starts import MOST_STARTS, Program, counted_start
from runtime.bundles.trial import Trial, TrialRequest
from runtime.errors import EngineError
from runtime.slots import read_active
from tests.runtime.bundles.making import WORKS, sha256_of

Trials = Callable[[Trial], list[TrialRequest]]


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


@pytest.fixture
def program(means: Means, one: Path, two: Path, trials: Trials) -> Program:
    for folder in (one, two):
        activate(means, install(means, folder).bundle.sha256)
    return Program("cart", means.folder, trusted_keys=means.trusted_keys)


def start(program: Program, fault: BaseException | None, said: list[str], *, lasts: bool = False) -> None:
    try:
        with counted_start(program, said.append) as lasting:
            if lasts:
                lasting()
            if fault is not None:
                raise fault
    except (EngineError, Killed, ValueError):
        pass


def active(program: Program) -> str:
    assert program.folder is not None
    state = read_active(program.folder)
    assert state is not None
    return state.active


def test_a_crash_loop_goes_back(program: Program, one: Path, two: Path) -> None:
    said: list[str] = []
    for _ in range(MOST_STARTS):
        start(program, Killed(), said)
        assert active(program) == sha256_of(two)
    start(program, None, said)
    assert active(program) == sha256_of(one)
    assert "crash loop" in said[0]
    assert "went back to test 1" in said[0]


def test_a_failed_self_test_goes_back_at_once_and_once(program: Program, one: Path) -> None:
    said: list[str] = []
    start(program, EngineError("self-test failed: frame 1"), said)
    assert active(program) == sha256_of(one)
    start(program, EngineError("self-test failed: frame 1"), said)
    assert active(program) == sha256_of(one)
    assert "did not go back" in said[1]


@pytest.mark.parametrize("fault", [Killed(), ValueError("a bug")])
def test_starts_that_last_are_no_loop(program: Program, two: Path, fault: BaseException) -> None:
    said: list[str] = []
    for _ in range(10):
        start(program, fault, said, lasts=True)
    for _ in range(10):
        start(program, None, said)
    start(program, fault, said)
    assert active(program) == sha256_of(two)
    assert said == []


def test_a_fault_after_it_lasted_is_not_the_bundles(program: Program, two: Path) -> None:
    said: list[str] = []
    start(program, EngineError("the GPU fell off"), said, lasts=True)
    assert active(program) == sha256_of(two)


def test_what_fails_with_every_bundle_is_not_the_bundle(program: Program, two: Path, trials: Trials) -> None:
    trials(Trial("engine tensorrt: not installed"))
    said: list[str] = []
    start(program, EngineError("engine tensorrt: not installed"), said)
    assert active(program) == sha256_of(two)
    assert "the bundle before fails as well" in said[0]


def test_programs_are_counted_apart_and_no_slots_count_nothing(program: Program, one: Path, two: Path) -> None:
    said: list[str] = []
    for number in range(8):
        start(Program(f"p{number}", program.bundle, trusted_keys=program.trusted_keys), Killed(), said)
    for _ in range(8):
        start(Program("cart", one), Killed(), said)
    assert active(program) == sha256_of(two)
    assert said == []


def test_a_spoilt_count_is_begun_anew(program: Program, two: Path, trials: Trials) -> None:
    trials(WORKS)
    assert program.folder is not None
    for spoilt in ("", "{", '{"schema": "rop.starts/1", "starts": {"cart": ["x"]}}', '{"schema": 1, "starts": []}'):
        (program.folder / "starts.json").write_text(spoilt)
        start(program, Killed(), [])
    assert active(program) == sha256_of(two)


def test_programs_that_start_together_are_each_counted(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon and the cart begin at once when the machine does: neither's count may take the other's away."""
    assert program.folder is not None
    folder = program.folder
    others: list[Thread] = []

    def while_another_begins(path: Path, content: bytes) -> None:
        if not others:
            others.append(Thread(target=lambda: starts._Starts(folder, "daemon").begin()))
            others[0].start()
            others[0].join(0.5)  # it is done, or waits
        write_flushed(path, content)

    monkeypatch.setattr(starts, "write_flushed", while_another_begins)
    starts._Starts(folder, "cart").begin()
    others[0].join()
    counted = json.loads((folder / starts.STARTS).read_text())["starts"]
    assert {name: len(times) for name, times in counted.items()} == {"cart": 1, "daemon": 1}


def test_a_lock_that_is_held_for_long_keeps_no_program_from_starting(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert program.folder is not None
    monkeypatch.setattr(starts, "LOCK_WAIT_S", 0.0)
    said: list[str] = []
    with starts._alone(program.folder):
        start(program, None, said)
    assert said == []
