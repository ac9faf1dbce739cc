"""What a process may use of a machine, and that only work on its own cores makes a run INVALID."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from runtime.bench.judge.findings import Kind
from runtime.bench.judge.verdict import Evidence, judge
from runtime.bench.measure.allowance import allowance, group_folders, quota_cores
from runtime.bench.measure.environment import environment
from runtime.bench.measure.kernel import cpu_reader
from runtime.bench.measure.sampler import Sampler
from runtime.bench.measure.sensors import throttle_counters
from runtime.bench.options import Goals, LoadPlan, Until
from runtime.cores import allowed_cores
from tests.runtime.bench.measure.test_machine import write
from tests.runtime.bench.planned import samples_of

V1 = "4:cpu,cpuacct:/docker/ab\n1:name=systemd:/docker/ab\n"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/", {}, None),
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/a.slice/b.service", {"a.slice/b.service/cpu.max": "50000 100000"}, 0.5),
        (
            "0::/a.slice/b.service",
            {"a.slice/b.service/cpu.max": "max 100000", "a.slice/cpu.max": "200000 100000"},
            2.0,
        ),
        (
            "0::/a.slice/b.service",
            {"a.slice/b.service/cpu.max": "100000 50000", "a.slice/cpu.max": "50000 50000", "cpu.max": "max 1"},
            1.0,
        ),
        ("0::/host/path/not/seen/here", {"cpu.max": "25000 100000"}, 0.25),
        ("0::/../outside", {"cpu.max": "25000 100000", "outside/cpu.max": "50000 100000"}, 0.25),
        ("0::/other", {"other/cpu.max": "max 100000", "neighbour/cpu.max": "1000 100000"}, None),
        (V1, {"cpu,cpuacct/docker/ab/cpu.cfs_quota_us": "-1", "cpu,cpuacct/docker/ab/cpu.cfs_period_us": "1000"}, None),
        (V1, {"cpu,cpuacct/docker/ab/cpu.cfs_quota_us": "300", "cpu,cpuacct/docker/ab/cpu.cfs_period_us": "100"}, 3.0),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "300", "cpu,cpuacct/cpu.cfs_period_us": "100"}, 3.0),
        ("1:cpu:/\n0::/", {"cpu/cpu.cfs_quota_us": "70", "cpu/cpu.cfs_period_us": "100", "unified/x": ""}, 0.7),
        ("2:memory:/x\n", {"cpu.max": "1000 100000"}, None),
        ("", {"cpu.max": "50000 100000"}, 0.5),
        ("0::/", {"cpu.max": "damaged"}, None),
        ("0::/", {"cpu.max": "50000"}, None),
        ("0::/", {"cpu.max": "50000 0"}, None),
        ("0::/", {"cpu.max": "-5 100"}, None),
    ],
)
def test_the_quota_is_the_smallest_of_the_own_group_and_those_above(
    tmp_path: Path, groups: str, files: dict[str, str], expected: float | None
) -> None:
    write(tmp_path, "proc/self/cgroup", groups)
    for name, content in files.items():
        write(tmp_path, f"sys/fs/cgroup/{name}", content)
    assert quota_cores(tmp_path / "proc", tmp_path / "sys") == expected


def test_groups_go_from_the_own_one_up(tmp_path: Path) -> None:
    write(tmp_path, "proc/self/cgroup", "0::/a/b")
    top = write(tmp_path, "sys/fs/cgroup/a/b/cpu.max", "max 1").parents[2]
    assert list(group_folders(tmp_path / "proc", tmp_path / "sys")) == [top / "a" / "b", top / "a", top]


def test_throttling_is_of_the_own_groups_alone(tmp_path: Path) -> None:
    write(tmp_path, "proc/self/cgroup", "0::/a/b")
    for name, count in (("a/b", 3), ("a", 2), ("other", 90)):
        write(tmp_path, f"sys/fs/cgroup/{name}/cpu.stat", f"usage_usec 1\nnr_throttled {count}")
    found = [c for c in throttle_counters(tmp_path / "sys", tmp_path / "proc") if not c.reason.startswith("GPU")]
    assert [(counter.reason, counter.read()) for counter in found] == [
        ("CPU quota of the container", 3),
        ("CPU quota of the container", 2),
    ]
    with Sampler([], found) as sampler:
        for name in ("a/b", "a"):
            write(tmp_path, f"sys/fs/cgroup/{name}/cpu.stat", "nr_throttled 99")
    assert sampler.log.throttled == ["CPU quota of the container"], "said once"


def test_the_report_records_what_may_be_used() -> None:
    made, mine = environment(), allowance()
    assert made.affinity == mine.cores == tuple(sorted(os.sched_getaffinity(0)))
    assert made.quota_cores == mine.quota_cores


def test_cpu_time_is_that_of_the_cores_asked_for(tmp_path: Path) -> None:
    lines = ["cpu  1110 0 0 9 9 0 0 30 0 0"]
    lines += [f"cpu{core} {10**core} 0 0 3 3 0 0 {core} 0 0" for core in range(3)]
    (tmp_path / "stat").write_text("\n".join([*lines, "cpu10 7 0 0 0 0 0 0 0 0 0", "intr 1 2 3"]) + "\n")
    ticks = os.sysconf("SC_CLK_TCK")
    assert cpu_reader(tmp_path, (1,))() == pytest.approx((10 / ticks, 1 / ticks))
    assert cpu_reader(tmp_path, (0, 2))() == pytest.approx((101 / ticks, 2 / ticks))
    assert cpu_reader(tmp_path)() == pytest.approx((1110 / ticks, 30 / ticks))


def test_a_core_far_down_the_file_is_read(tmp_path: Path) -> None:
    lines = [f"cpu{core} {10**15} {10**15} {10**15} {10**15} 0 0 0 0 0 0" for core in range(255)]
    (tmp_path / "stat").write_text("\n".join(["cpu  1 0 0 0 0 0 0 0 0 0", *lines, "cpu255 500 0 0 0 0 0 0 0 0 0"]))
    assert cpu_reader(tmp_path, (255,))().busy == pytest.approx(500 / os.sysconf("SC_CLK_TCK"))


class Stat:
    """A /proc/stat whose cores can be made busy."""

    def __init__(self, folder: Path, cores: int) -> None:
        self.path, self.ticks = folder / "stat", [0] * cores
        self._write()

    def burn(self, core: int, ticks: int) -> None:
        self.ticks[core] += ticks
        self._write()

    def _write(self) -> None:
        lines = [f"cpu  {sum(self.ticks)} 0 0 0 0 0 0 0 0 0"]
        lines += [f"cpu{core} {ticks} 0 0 0 0 0 0 0 0 0" for core, ticks in enumerate(self.ticks)]
        self.path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("allowed", "burning", "valid"),
    [((0,), 1, True), ((0,), 0, False), ((1,), 0, True), ((1,), 1, False), ((2, 3), 1, True), ((2, 3), 3, False)],
)
def test_only_a_burner_on_an_own_core_makes_a_run_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: tuple[int, ...], burning: int, valid: bool
) -> None:
    stat = Stat(tmp_path, 4)
    monkeypatch.setattr("runtime.bench.measure.sampler.allowed_cores", lambda: allowed)
    monkeypatch.setattr("runtime.bench.measure.sampler.os.cpu_count", lambda: 4)
    monkeypatch.setattr("runtime.bench.measure.sampler.cpu_reader", lambda cores: cpu_reader(tmp_path, cores))
    with Sampler([], []) as sampler:
        time.sleep(0.05)
        stat.burn(burning, 100 * os.sysconf("SC_CLK_TCK"))
    assert sampler.log.cores == len(allowed)
    assert (Kind.CORES_TAKEN not in kinds(sampler)) is valid


def kinds(sampler: Sampler) -> set[Kind]:
    """What is found in a run of 700 even frames beside which the sampler watched."""
    evidence = Evidence(
        samples=samples_of([10.0] * 700),
        machine=sampler.log,
        goals=Goals(),
        plan=LoadPlan("camera", 10),
        until=Until(700),
        stopped=False,
        unreadable=0,
        paced_by_camera=False,
        governor=None,
        soak=False,
    )
    return {finding.kind for finding in judge(evidence).findings}


@contextmanager
def burner(core: int) -> Iterator[None]:
    """Another process that keeps a core busy."""
    code = f"import os; os.sched_setaffinity(0, [{core}]); print('on', flush=True)\nwhile True: pass"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


@pytest.mark.system
def test_a_real_burner_on_the_own_core_is_seen() -> None:
    """The other half, none on another core, rests on that core being idle, which a shared machine does not promise."""
    before = os.sched_getaffinity(0)
    core = min(before)
    os.sched_setaffinity(0, [core])
    try:
        with burner(core), Sampler([], []) as sampler:
            time.sleep(1.5)
    finally:
        os.sched_setaffinity(0, before)
    assert sampler.log.cores == 1
    assert Kind.CORES_TAKEN in kinds(sampler)
    assert allowed_cores() == tuple(sorted(before))
