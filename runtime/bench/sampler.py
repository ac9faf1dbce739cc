"""The sampler: a thread that notes the state of the machine once a second beside the latencies."""

from __future__ import annotations

import contextlib
import resource
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from runtime.bench.libraries import library
from runtime.bench.sensors import Sensor, ThrottleCounter, sensors, throttle_counters

PERIOD_S = 1.0
RSS = "memory_mb"
OTHERS = "other_cores"


@dataclass(frozen=True)
class Culprit:
    """Another process and the CPU time it took during the run."""

    name: str
    pid: int
    cpu_seconds: float


@dataclass
class MachineLog:
    """What the machine did during a run."""

    times_ns: list[int] = field(default_factory=list)
    """`time.monotonic_ns()` of each sample."""
    values: dict[str, list[float | None]] = field(default_factory=dict)
    """By the sensor's name, one value a sample; None where it could not be read."""
    throttled: list[str] = field(default_factory=list)
    """Reasons seen, in words."""
    clock_step_ms: float = 0.0
    """Largest jump of the wall clock against the monotonic one."""
    cores: int = 1
    other_cores: float = 0.0
    """Cores' worth of time that other processes took, on average: the system's busy time less ours."""
    stolen_cores: float = 0.0
    """Cores' worth of time that the hypervisor gave to other machines."""
    culprits: tuple[Culprit, ...] = ()
    preempted: int = 0
    """How often threads of this process were made to give up a core (involuntary context switches)."""
    cpu_ms: float = 0.0
    """CPU time of the sampler itself."""


@dataclass(frozen=True)
class _Cpu:
    at_s: float
    busy_s: float
    stolen_s: float
    own_s: float


class Sampler:
    """Samples from entering to leaving; `log` is then complete. Needs psutil."""

    def __init__(
        self,
        watched: list[Sensor] | None = None,
        throttling: list[ThrottleCounter] | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Watch these sensors and counters; by default all that the machine has."""
        psutil = library("psutil", "psutil")

        self._sensors = sensors() if watched is None else watched
        self._throttling = throttle_counters() if throttling is None else throttling
        self._wall_ns = wall_ns
        self._process = psutil.Process()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bench-sampler", daemon=True)
        self.log = MachineLog(cores=psutil.cpu_count() or 1)

    def __enter__(self) -> Sampler:
        self._processes = _cpu_by_process()
        self._before = [counter.read() for counter in self._throttling]
        self._switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        self._offset_ns = self._wall_ns() - time.monotonic_ns()
        self._first = self._last = self._cpu()
        self._sample()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self.log.preempted = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - self._switches
        now = self._cpu()
        self.log.other_cores = _others(self._first, now)
        self.log.stolen_cores = (now.stolen_s - self._first.stolen_s) / max(1e-6, now.at_s - self._first.at_s)
        self._sample()
        self.log.culprits = _culprits(self._processes, self._process.pid)

    def _run(self) -> None:
        while not self._ended.wait(PERIOD_S):
            self._sample()
        self.log.cpu_ms = time.thread_time() * 1e3

    def _sample(self) -> None:
        log = self.log
        log.times_ns.append(time.monotonic_ns())
        for sensor in self._sensors:
            value: float | None = None
            with contextlib.suppress(Exception):  # a sensor may go while we watch; its place is then empty
                value = sensor.read()
            log.values.setdefault(sensor.name, []).append(value)
        log.values.setdefault(RSS, []).append(self._process.memory_info().rss / 1e6)
        cpu = self._cpu()
        elapsed = cpu.at_s - self._last.at_s
        log.values.setdefault(OTHERS, []).append(_others(self._last, cpu) if elapsed > PERIOD_S / 2 else None)
        if elapsed > PERIOD_S / 2:
            self._last = cpu
        for counter, before in zip(self._throttling, self._before, strict=True):
            with contextlib.suppress(Exception):
                value = counter.read()
                if value > (0 if counter.level else before) and counter.reason not in log.throttled:
                    log.throttled.append(counter.reason)
        step_ms = (self._wall_ns() - time.monotonic_ns() - self._offset_ns) / 1e6
        log.clock_step_ms = max(log.clock_step_ms, step_ms, key=abs)

    def _cpu(self) -> _Cpu:
        psutil = library("psutil", "psutil")

        times = psutil.cpu_times()
        idle = times.idle + getattr(times, "iowait", 0.0)
        stolen = getattr(times, "steal", 0.0)
        guest = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # Linux counts these as user, too
        return _Cpu(time.monotonic(), sum(times) - guest - idle - stolen, stolen, time.process_time())


def _others(before: _Cpu, after: _Cpu) -> float:
    elapsed = max(1e-6, after.at_s - before.at_s)
    return max(0.0, (after.busy_s - before.busy_s - (after.own_s - before.own_s)) / elapsed)


def _cpu_by_process() -> dict[tuple[int, float], tuple[str, float]]:
    psutil = library("psutil", "psutil")

    found = {}
    for process in psutil.process_iter(["pid", "name", "create_time", "cpu_times"]):
        times = process.info["cpu_times"]
        if times is not None:
            key = (int(process.info["pid"]), float(process.info["create_time"] or 0))
            found[key] = (str(process.info["name"]), float(times.user + times.system))
    return found


def _culprits(before: dict[tuple[int, float], tuple[str, float]], own_pid: int) -> tuple[Culprit, ...]:
    """The three other processes that took the most."""
    took = [
        Culprit(name, key[0], seconds - before.get(key, ("", 0.0))[1])
        for key, (name, seconds) in _cpu_by_process().items()
        if key[0] != own_pid
    ]
    return tuple(sorted((c for c in took if c.cpu_seconds >= 0.05), key=lambda c: -c.cpu_seconds)[:3])
