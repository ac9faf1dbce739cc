"""Readers on a Ray cluster: one Screener an actor, half a CPU's claim each, batches by bytes, whoever dies."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from types import TracebackType
from typing import Any

from device.extras import how_to_install
from device.secrets import hide_secrets
from device.version import PROJECT, software_version
from runtime.commands.say import say
from runtime.reread.drive import HUNG, Batch, Done
from runtime.reread.errors import RereadError
from runtime.reread.reader import FRAME_LIMIT_S, BatchReader, ReaderFacts, ReaderSettings, require_same

CPUS_EACH = 0.5
"""An actor that claims whole CPUs leaves none to whatever else has to run on a full cluster."""
WAITING_BYTES = 64 << 20
"""Of batches that are under way, together: what a driver and its object store hold at most."""
BATCHES_EACH = 2
"""One that is read, and one that waits at its reader."""
WAIT_S = 0.5
TELL_S = 30.0
"""How often it is said that Ray is waited for."""
BEGIN_S = 300.0
ATTEMPTS = 3
BEGUN_HERE = {
    # A busy machine takes its time: Ray's own 30 s end its node with a page of addresses, and this program with it.
    "RAY_gcs_server_port_wait_time_s": f"{BEGIN_S:.0f}",
    "RAY_gcs_rpc_server_reconnect_timeout_s": f"{BEGIN_S:.0f}",
    "RAY_raylet_start_wait_time_s": f"{BEGIN_S:.0f}",
    "RAY_agent_register_timeout_ms": f"{BEGIN_S * 1e3:.0f}",
    # Ray's own 15 lets every other program go first: on a busy machine its readers got a third of what ours get.
    "RAY_worker_niceness": "0",
    # Ray reports to its makers unless it is told not to; nothing of a hospital goes anywhere.
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""What is said to the Ray of a cluster that is begun here, unless the environment says it."""


@dataclass
class _Reader:
    actor: Any
    given: int = 0
    since: float = 0.0
    """When it last gave something, or had nothing to do."""


class RayPool:
    """Readers on the nodes of a cluster. A context manager.

    address: of the cluster, as `ray.init` takes it; `auto` is the one that this machine belongs to, or else one is
    begun on it. workers: None is one for each CPU. Sources and bundle have to be at the same paths on every node.
    Raises `RereadError`.
    """

    def __init__(self, settings: ReaderSettings, address: str, workers: int | None = None) -> None:
        ray = self._ray = _library()
        self._settings = settings
        self._begun = _connect(ray, address)
        self._readers: list[_Reader] = []
        self._under_way: dict[Any, tuple[Batch, _Reader]] = {}
        self._bytes = 0
        try:
            _check_nodes(ray)
            self.workers = workers or max(1, int(ray.cluster_resources().get("CPU", 1)))
            self._actor = ray.remote(num_cpus=CPUS_EACH, max_restarts=0, max_task_retries=0)(BatchReader)
            self._readers = [self._start() for _ in range(self.workers)]
            self.facts = self._alike()
        except BaseException:
            self.close()
            raise

    def _start(self) -> _Reader:
        # Spread, so that no node gets more readers than it has CPUs while another one idles.
        return _Reader(self._actor.options(scheduling_strategy="SPREAD").remote(self._settings, limit_s=FRAME_LIMIT_S))

    def _alike(self) -> ReaderFacts:
        """What every reader says of itself; raises `RereadError` when one is another's."""
        found = [self._facts_of(reader) for reader in self._readers]
        first = found[0]
        for other in found[1:]:
            require_same(first, other)
        return first

    def _facts_of(self, reader: _Reader) -> ReaderFacts:
        ray = self._ray
        try:
            found: ReaderFacts = ray.get(reader.actor.told.remote(), timeout=BEGIN_S)
        except ray.exceptions.GetTimeoutError:
            raise RereadError(
                f"--ray: a reader had not begun after {BEGIN_S:g} s; is there room on the cluster?"
            ) from None
        except ray.exceptions.RayError as error:
            raise RereadError(f"--ray: a reader could not begin: {_why(error)}") from None
        return found

    def free(self) -> bool:
        """Whether a batch can be given: a reader has room, and what is under way is not too much."""
        return self._bytes < WAITING_BYTES and any(reader.given < BATCHES_EACH for reader in self._readers)

    def give(self, batch: Batch) -> None:
        """Hand it to the reader with the least to do."""
        reader = min(self._readers, key=lambda one: one.given)
        if not reader.given:
            reader.since = time.monotonic()
        reader.given += 1
        self._under_way[reader.actor.read.remote(batch.frames)] = batch, reader
        self._bytes += _weight(batch)

    def wait(self) -> Sequence[Done]:
        """What came back; an actor that died, with its node or alone, is replaced on any node that is there."""
        ray = self._ray
        ready, _ = ray.wait(list(self._under_way), num_returns=1, timeout=WAIT_S)
        done = []
        first: dict[int, Batch] = {}
        for batch, reader in self._under_way.values():  # in the order in which they were given
            first.setdefault(id(reader), batch)
        for reference in ready:
            batch, reader = self._under_way.pop(reference)
            reader.given -= 1
            self._bytes -= _weight(batch)
            try:
                done.append(Done(batch, ray.get(reference)))
                reader.since = time.monotonic()
            except ray.exceptions.RayActorError as error:
                # Ray does not tell by which signal: one that ended itself over a frame was silent for that long.
                hung = batch is first.get(id(reader)) and time.monotonic() - reader.since >= FRAME_LIMIT_S
                if hung:
                    reader.since = time.monotonic()  # what waited behind it did not hang
                done.append(Done(batch, None, HUNG if hung else _why(error), hung))
                self._replace(reader)
            except ray.exceptions.RayError as error:  # the result was lost with its node, or could not be made
                done.append(Done(batch, None, _why(error)))
        return done

    def _replace(self, reader: _Reader) -> None:
        """Once for each reader that died, however many of its batches come back lost."""
        if reader not in self._readers:
            return
        for attempt in range(ATTEMPTS):
            fresh = self._start()
            try:
                require_same(self.facts, self._facts_of(fresh))
            except RereadError:
                if attempt == ATTEMPTS - 1:
                    raise
                continue
            self._readers[self._readers.index(reader)] = fresh
            return

    def close(self) -> None:
        """End the readers, and leave the cluster; one that was begun here ends with it."""
        for reader in self._readers:
            self._ray.kill(reader.actor)
        self._readers = []
        if self._begun:
            self._ray.shutdown()

    def __enter__(self) -> RayPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _library() -> Any:
    """Ray, whose own types are half there."""
    try:
        import ray
    except ImportError:
        raise RereadError(f"--ray: ray is not installed here; {how_to_install('fleet')}") from None
    return ray


def _connect(ray: Any, address: str) -> bool:
    """Whether the connection was made here."""
    if ray.is_initialized():
        return False
    for name, value in BEGUN_HERE.items():
        os.environ.setdefault(name, value)
    try:
        with _told_while_it_lasts(hide_secrets(address)):
            _join(ray, address)
    except Exception as error:  # ray raises many things, one for another version of itself among them
        raise RereadError(f"--ray {hide_secrets(address)}: cannot be joined: {_why(error)}") from None
    return True


def _join(ray: Any, address: str) -> None:
    """Join the cluster of that address; `auto` begins one where this machine belongs to none."""
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    if address != "auto":
        ray.init(address=address, **quiet)
        return
    try:
        ray.init(address="auto", **quiet)
    except ConnectionError:
        ray.init(include_dashboard=False, **quiet)


@contextmanager
def _told_while_it_lasts(address: str) -> Iterator[None]:
    """Say now and then that Ray is waited for: on a busy machine it takes minutes, and a lost one never answers."""
    joined = Event()

    def tell() -> None:
        waited_s = 0.0
        while not joined.wait(TELL_S):
            waited_s += TELL_S
            say(
                f"--ray {address}: not joined after {waited_s:.0f} s; Ray's own logs are in its session_latest/logs "
                f"(/tmp/ray), Ctrl-C ends this",
                stream=sys.stderr,
            )

    teller = Thread(target=tell, name="ray-told", daemon=True)
    teller.start()
    try:
        yield
    finally:
        joined.set()
        teller.join()


def _check_nodes(ray: Any) -> None:
    """Ask every node, by code that needs nothing of ours, which version of this package and of Python it has."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    name = PROJECT

    def versions() -> tuple[str, str]:  # inside a function, so that it travels as code and not as a name to import
        import importlib.metadata
        import importlib.util
        import platform

        if importlib.util.find_spec("runtime") is None or importlib.util.find_spec("runtime.reread") is None:
            return "", platform.python_version()
        from device.version import software_version

        return software_version(), platform.python_version()

    ask = ray.remote(num_cpus=0)(versions)
    here = software_version(), platform.python_version()
    nodes = [node for node in ray.nodes() if node["Alive"]]
    asked = [
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote()
        for node in nodes
    ]
    for node, answer in zip(nodes, asked, strict=True):
        where = f"--ray: node {node['NodeManagerAddress']}"
        try:
            found, python = ray.get(answer, timeout=BEGIN_S)
        except ray.exceptions.RayError as error:
            raise RereadError(f"{where} does not answer: {_why(error)}") from None
        if not found:
            raise RereadError(f"{where} has no {name}; install {name} {here[0]} there")
        if found != here[0]:
            raise RereadError(f"{where} has {name} {found}, here it is {here[0]}; install the same on every node")
        if python.split(".")[:2] != here[1].split(".")[:2]:
            raise RereadError(f"{where} has Python {python}, here it is {here[1]}; use the same on every node")


def _weight(batch: Batch) -> int:
    return sum(frame.weight_bytes for frame in batch.frames)


def _why(error: BaseException) -> str:
    """The last line that says something, of an error of Ray's, which may be a page."""
    lines = [line.strip() for line in hide_secrets(str(error)).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
