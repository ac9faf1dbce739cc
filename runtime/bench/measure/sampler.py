"""The sampler: a thread that notes the state of the machine once a second beside the latencies."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple

from runtime.bench.measure.energy import EnergyCounter, energy_counters
from runtime.bench.measure.kernel import CpuSeconds, cpu_reader, memory_reader
from runtime.bench.measure.libraries import library
from runtime.bench.measure.sensors import Sensor, ThrottleCounter, sensors, throttle_counters
from runtime.cores import allowed_cores

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
    """That this process may run on. Work on the others is not in its way and not counted."""
    other_cores: float = 0.0
    """Cores' worth of time that other processes took of these, on average: the cores' busy time less ours."""
    stolen_cores: float = 0.0
    """Cores' worth of time of these that the hypervisor gave to other machines."""
    culprits: tuple[Culprit, ...] = ()
    preempted: int = 0
    """How often threads of this process were made to give up a core (involuntary context switches)."""
    cpu_ms: float = 0.0
    """CPU time of the sampler itself."""
    joules: dict[str, float] = field(default_factory=dict)
    """Energy by its counter, over the run; empty where none can be read."""


class _Cpu(NamedTuple):
    at_s: float
    machine: CpuSeconds
    own_s: float


class Sampler:
    """Samples from entering to leaving; `log` is then complete. Needs psutil.

    Its thread wakes beside the frames, when none of its code is in the CPU's caches, so a sample does little: lists are
    there beforehand, files are open, and what counts up is looked at in the beginning and at the end alone.
    """

    def __init__(
        self,
        watched: list[Sensor] | None = None,
        throttling: list[ThrottleCounter] | None = None,
        wall_ns: Callable[[], int] = time.time_ns,
        counters_of_energy: list[EnergyCounter] | None = None,
    ) -> None:
        """Watch these sensors and counters; by default all that the machine has."""
        counters = throttle_counters() if throttling is None else throttling
        self._levels = [counter for counter in counters if counter.level]
        self._growing = [counter for counter in counters if not counter.level]
        self._wall_ns = wall_ns
        self._energy = energy_counters() if counters_of_energy is None else counters_of_energy
        cores = allowed_cores()
        # The machine's sum is the quicker to read, and the same where this process may run anywhere.
        self._machine_cpu = cpu_reader(cores=None if len(cores) == os.cpu_count() else cores)
        self._ended = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="bench-sampler", daemon=True)
        self.log = MachineLog(cores=len(cores))
        reads = [(sensor.name, sensor.read) for sensor in (sensors() if watched is None else watched)]
        columns = self.log.values
        self._columns = [(read, columns.setdefault(name, [])) for name, read in (*reads, (RSS, memory_reader()))]
        self._others = columns.setdefault(OTHERS, [])

    def __enter__(self) -> Sampler:
        self._processes = _cpu_by_process()
        self._before = [_value(counter) for counter in self._growing]
        self._switches = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
        self._offset_ns = self._wall_ns() - time.monotonic_ns()
        self._first = self._last = self._cpu()
        self._energy = [counter for counter in self._energy if counter.start()]
        self._sample()
        self._ended.acquire()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.release()
        self._thread.join()
        log = self.log
        log.preempted = resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw - self._switches
        now = self._cpu()
        log.other_cores = _others(self._first, now)
        # A virtual machine that moves to another host may find its counter set back.
        stolen_s = max(0.0, now.machine.stolen - self._first.machine.stolen)
        log.stolen_cores = stolen_s / max(1e-6, now.at_s - self._first.at_s)
        self._sample()
        log.joules = {counter.name: counter.joules for counter in self._energy if counter.joules is not None}
        for counter, before in zip(self._growing, self._before, strict=True):
            if _value(counter) > before and counter.reason not in log.throttled:
                log.throttled.append(counter.reason)
        log.culprits = _culprits(self._processes, os.getpid())

    def _run(self) -> None:
        while not self._ended.acquire(timeout=PERIOD_S):
            self._sample()
        self.log.cpu_ms = time.thread_time() * 1e3

    def _sample(self) -> None:
        log = self.log
        monotonic_ns = time.monotonic_ns()
        step_ms = (self._wall_ns() - monotonic_ns - self._offset_ns) / 1e6
        if abs(step_ms) > abs(log.clock_step_ms):
            log.clock_step_ms = step_ms
        log.times_ns.append(monotonic_ns)
        for read, column in self._columns:
            try:
                column.append(read())
            except Exception:  # a sensor may go while we watch; its place is then empty
                column.append(None)
        cpu = self._cpu()
        if cpu.at_s - self._last.at_s > PERIOD_S / 2:
            self._others.append(_others(self._last, cpu))
            self._last = cpu
        else:
            self._others.append(None)
        for meter in self._energy:
            meter.take()
        for counter in self._levels:
            if _value(counter) > 0 and counter.reason not in log.throttled:
                log.throttled.append(counter.reason)

    def _cpu(self) -> _Cpu:
        return _Cpu(time.monotonic(), self._machine_cpu(), time.process_time())


def joined_logs(turns: Sequence[MachineLog], seconds: Sequence[float]) -> MachineLog:
    """The logs of turns as one, their times put end to end as `samples.joined_samples` does. seconds: of each turn."""
    if len(turns) == 1:
        return turns[0]
    whole = max(1e-9, sum(seconds))
    names = dict.fromkeys(name for turn in turns for name in turn.values)
    joined = MachineLog(values={name: [] for name in names}, cores=turns[0].cores)
    at_ns = turns[0].times_ns[0] if turns[0].times_ns else 0
    for turn, lasted in zip(turns, seconds, strict=True):
        first_ns = turn.times_ns[0] if turn.times_ns else 0
        joined.times_ns += [ns - first_ns + at_ns for ns in turn.times_ns]
        at_ns += round(lasted * 1e9)
        for name in names:
            joined.values[name] += turn.values.get(name) or [None] * len(turn.times_ns)
        joined.throttled += [reason for reason in turn.throttled if reason not in joined.throttled]
        joined.clock_step_ms = max(joined.clock_step_ms, turn.clock_step_ms, key=abs)
        joined.other_cores += turn.other_cores * lasted / whole
        joined.stolen_cores += turn.stolen_cores * lasted / whole
        joined.preempted += turn.preempted
        joined.cpu_ms += turn.cpu_ms
        for name, joules in turn.joules.items():
            joined.joules[name] = joined.joules.get(name, 0.0) + joules
    joined.culprits = _most(culprit for turn in turns for culprit in turn.culprits)
    return joined


def _most(culprits: Iterable[Culprit]) -> tuple[Culprit, ...]:
    """The three that took the most, over all turns."""
    took: dict[tuple[str, int], float] = {}
    for one in culprits:
        took[one.name, one.pid] = took.get((one.name, one.pid), 0.0) + one.cpu_seconds
    named = (Culprit(name, pid, seconds) for (name, pid), seconds in took.items())
    return tuple(sorted(named, key=lambda culprit: -culprit.cpu_seconds)[:3])


def _value(counter: ThrottleCounter) -> float:
    """What a counter says; nothing at all when it has gone while we watch."""
    try:
        return counter.read()
    except Exception:
        return 0.0


def _others(before: _Cpu, after: _Cpu) -> float:
    elapsed = max(1e-6, after.at_s - before.at_s)
    return max(0.0, (after.machine.busy - before.machine.busy - (after.own_s - before.own_s)) / elapsed)


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
    """The three other processes that took the most, of those that may run where we may."""
    ours = _allowed(own_pid)
    took = [
        Culprit(name, key[0], seconds - before.get(key, ("", 0.0))[1])
        for key, (name, seconds) in _cpu_by_process().items()
        if key[0] != own_pid
    ]
    felt = (c for c in took if c.cpu_seconds >= 0.05 and (ours & (_allowed(c.pid) or ours) or not ours))
    return tuple(sorted(felt, key=lambda c: -c.cpu_seconds)[:3])


def _allowed(pid: int) -> set[int]:
    """Cores on which a process may run; none where that cannot be told."""
    try:
        return os.sched_getaffinity(pid)
    except (AttributeError, OSError):  # not on this system; or it has ended, and may have run anywhere
        return set()
