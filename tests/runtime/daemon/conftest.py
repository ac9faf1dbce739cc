"""A daemon with a fake engine in a thread of the test, and clients of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runtime.budget import Budget
from runtime.bundle import Bundle
from runtime.daemon.client import Client
from runtime.daemon.endpoint import listening
from runtime.daemon.limits import Limits
from runtime.daemon.messages import DaemonState, Health
from runtime.daemon.model import Model
from runtime.daemon.reader import ModelThread
from runtime.daemon.service import Service
from runtime.engines.fake import FakeEngine
from runtime.errors import ScreeningError
from runtime.site_screener import screener_for
from runtime.trust.site import Site

PATIENCE_S = 120.0
USUAL: dict[str, object] = {"slots": 3, "slot_bytes": 640 * 480 * 3, "max_age_ms": 60_000.0, "answer_s": PATIENCE_S}
"""Of a test's client: neither ages nor how soon the daemon answers are most tests' case."""


def awaited(condition: Callable[[], object], what: str) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE_S} s for: {what}"
        threading.Event().wait(0.002)


@dataclass
class Running:
    """A daemon and what a test may do to it."""

    path: Path
    engine: FakeEngine
    service: Service
    bundle: Bundle
    budget: Budget = field(default_factory=Budget)
    load_error: Exception | None = None
    """Raised by the next load."""
    open_model: Callable[[], Model] | None = None
    """Makes the model instead, from files."""
    release: threading.Event = field(default_factory=threading.Event)
    """Loading waits for it."""
    alive: int = 0
    states: list[DaemonState] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    """What was told with each state."""
    faults: list[str] = field(default_factory=list)
    """What was told of faults that cost a client its connection."""
    failure: ScreeningError | None = None

    def client(self, **options: object) -> Client:
        return Client(self.path, **(USUAL | options))  # type: ignore[arg-type]

    def ready(self) -> None:
        awaited(lambda: self.service.health().state is not DaemonState.LIVE, "a loaded engine")


@pytest.fixture
def daemon(tmp_path: Path, bundle: Bundle) -> Iterator[Running]:
    with running(tmp_path / "s", bundle, limits=Limits(max_age_ms=60_000)) as it:  # ages are not most tests' case
        it.release.set()
        it.ready()
        yield it


@contextlib.contextmanager
def running(
    path: Path,
    bundle: Bundle,
    *,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    idle_s: float = 30.0,
    budget_ms: float | None = None,
) -> Iterator[Running]:
    """A daemon whose engine loads when `release` is set."""
    it = Running(path, FakeEngine(), None, bundle, Budget(total=budget_ms))  # type: ignore[arg-type]

    def make() -> Model:
        assert it.release.wait(PATIENCE_S)
        if it.load_error is not None:
            raise it.load_error
        if it.open_model is not None:
            return it.open_model()
        if it.engine.closed:
            it.engine = FakeEngine()
        screener = screener_for(
            Site(), it.bundle, engine=it.engine, budget=it.budget, reject_repeats=False, repeats=True
        )
        return Model(it.bundle, screener)

    def count() -> None:
        it.alive += 1

    def told(health: Health) -> None:
        it.states.append(health.state)
        it.words.append(health.text)

    def serve() -> None:
        try:
            it.service.run()
        except ScreeningError as error:
            it.failure = error

    with listening(path) as listener:
        it.service = Service(
            listener,
            lambda changed: ModelThread(make, changed, count, idle_s, max_age_ms=limits.max_age_ms),
            limits,
            on_state=told,
            on_fault=it.faults.append,
        )
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield it
        finally:
            it.release.set()
            it.service.stop()
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
            assert it.engine.closed or it.failure
