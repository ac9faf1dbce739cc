"""Fixtures that every test folder shares."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.fresh import FreshStarts

settings.register_profile("same-each-time", derandomize=True, deadline=None)
settings.register_profile("free", deadline=None, print_blob=True)  # make test-soak: --hypothesis-profile=free
settings.load_profile("same-each-time")


def _without_constants_of_the_modules_loaded() -> None:
    """Hypothesis draws from those too, derandomised or not, so that a new module would change the examples of all.

    Which are loaded is not the same each time. The oldest version that is allowed draws none.
    """
    try:
        from hypothesis.internal.conjecture import providers

        drawn = providers._get_local_constants
    except (ImportError, AttributeError):
        return

    def constants() -> Any:
        free = settings.get_current_profile_name() != "same-each-time"
        return drawn() if free else providers._local_constants

    providers._get_local_constants = constants


_without_constants_of_the_modules_loaded()


def _loggers_are_walked_under_their_lock() -> None:
    """Pytest 9 walks all loggers before and after each test, and a thread that makes one meanwhile ended the run.

    The thread need do no more than import a module. Older versions of pytest do not walk them.
    """
    from _pytest.logging import catching_logs

    entered = catching_logs.__enter__

    def enter(self: Any) -> Any:
        with logging._lock:  # type: ignore[attr-defined]
            return entered(self)

    catching_logs.__enter__ = enter  # type: ignore[method-assign]


_loggers_are_walked_under_their_lock()
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # PyTorch's threads would spin for what another part's tests hold
os.environ["ROP_BUNDLES"] = os.devnull  # what lies in the slots of this machine decides no test


@pytest.fixture(scope="session", autouse=True)
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What this user's programs keep of their site decides no test, and no test leaves anything there."""
    os.environ["ROP_SITE_STATE"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module", autouse=True)
def what_nobody_changes_is_made_once(request: pytest.FixtureRequest) -> Iterator[None]:
    """See `tests.made_once`; not for the tests of just that: of the simulated camera, and of compiling."""
    its_own = request.path.name.startswith("test_simulated") or "openvino" in request.path.parts
    if its_own or "runtime.engines.openvino.engine" not in sys.modules:
        yield
        return
    from tests.made_once import made_once

    with made_once():
        yield


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder of the public image data sets; ROP_DATA names another place than ../shared/data."""
    root = Path(os.environ.get("ROP_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (root / "hvdropdb_vessels" / "labels.csv").is_file():
        pytest.skip(f"no image data sets at {root} (set ROP_DATA to their folder)")
    return root


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FreshStarts]:
    """Starts commands, each in a process that has imported nothing yet."""
    starts = FreshStarts(tmp_path_factory.mktemp("fresh"))
    yield starts
    starts.close()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that waits longer for the light board's replies, for tests of something else than that time.

    Host and board are threads of one process in them, and a busy machine may keep both waiting for a second.
    """
    monkeypatch.setattr("device.light.link.REPLY_MS", 1000)
