"""Sensors on a made-up /sys, the sampler, cold start and the peer's protocol."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from runtime.bench.errors import BenchError
from runtime.bench.measure import sampler
from runtime.bench.measure.cold_start import _Others, _start
from runtime.bench.measure.environment import environment
from runtime.bench.measure.libraries import library
from runtime.bench.measure.progress import PLAIN_S, ProgressLine
from runtime.bench.measure.sampler import Sampler
from runtime.bench.measure.sensors import Sensor, ThrottleCounter, sensors, throttle_counters
from runtime.bench.options import Until
from runtime.bench.peers.choose import pytorch_command
from runtime.bench.peers.peer import ChildPeer, ScreenerPeer
from runtime.bench.peers.turns import measure_peers
from runtime.bundle import Bundle
from runtime.commands.stop import Stop
from runtime.engines.fake import FakeEngine, Fault
from runtime.screener import Screener
from tests.runtime.bench.planned import pool, samples_of


def write(root: Path, name: str, content: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content + "\n")
    return path


def test_a_jetsons_files_are_read_in_their_units(tmp_path: Path) -> None:
    for core, khz in enumerate((1_500_000, 1_700_000)):
        write(tmp_path, f"devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", str(khz))
    write(tmp_path, "class/thermal/thermal_zone0/type", "cpu-thermal")
    write(tmp_path, "class/thermal/thermal_zone0/temp", "48750")
    write(tmp_path, "class/thermal/thermal_zone1/type", "cv0-thermal")  # switched off: its temp cannot be read
    rail = "bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3/"
    for name, value in (("in1_label", "VDD_IN"), ("in1_input", "19000"), ("curr1_input", "500")):
        write(tmp_path, rail + name, value)
    read = {sensor.name: sensor.read() for sensor in sensors(tmp_path) if not sensor.name.startswith("gpu")}
    assert read == pytest.approx({"cpu_mhz": 1600, "cpu-thermal_c": 48.75, "VDD_IN_w": 9.5})


def test_throttling_is_told_from_each_place(tmp_path: Path) -> None:
    write(tmp_path, "devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "7")
    write(tmp_path, "class/hwmon/hwmon1/oc3_event_cnt", "0")
    write(tmp_path, "class/thermal/cooling_device0/type", "cpufreq-cpu0")
    level = write(tmp_path, "class/thermal/cooling_device0/cur_state", "0")
    write(tmp_path, "class/thermal/cooling_device1/type", "pwm-fan")
    write(tmp_path, "class/thermal/cooling_device1/cur_state", "3")
    quota = write(tmp_path, "fs/cgroup/cpu.stat", "usage_usec 1\nnr_throttled 4\nthrottled_usec 9")
    counters = [counter for counter in throttle_counters(tmp_path) if not counter.reason.startswith("GPU")]
    assert [(counter.reason, counter.read(), counter.level) for counter in counters] == [
        ("cpu0 thermal throttling", 7, False),
        ("over-current event oc3", 0, False),
        ("cooling by cpufreq-cpu0", 0, True),
        ("CPU quota of the container", 4, False),
    ]
    with Sampler([], counters) as sampler:
        level.write_text("2\n")
        quota.write_text("usage_usec 1\nnr_throttled 5\nthrottled_usec 9\n")
    assert sampler.log.throttled == ["cooling by cpufreq-cpu0", "CPU quota of the container"]


def test_a_machine_without_sensors_is_no_error(tmp_path: Path) -> None:
    assert [s for s in sensors(tmp_path) if not s.name.startswith("gpu")] == []
    assert [c for c in throttle_counters(tmp_path) if not c.reason.startswith("GPU")] == []
    assert environment(tmp_path).governor is None


def test_the_sampler_notes_sensors_memory_and_a_stepped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.bench.measure.sampler.PERIOD_S", 3600)  # only the samples that are taken here
    readings = iter([40.0, 41.0])

    def failing() -> float:
        return next(readings)  # then StopIteration, as a sensor that has gone

    offset_ns = [0]
    sampler = Sampler(
        [Sensor("cpu_c", failing)], [ThrottleCounter("never", lambda: 0.0, True)], lambda: _wall(offset_ns)
    )
    with sampler:
        sampler._sample()
        offset_ns[0] = -2 * 10**9
    log = sampler.log
    assert log.values["cpu_c"] == [40.0, 41.0, None]
    assert len(log.times_ns) == len(log.values["memory_mb"]) == len(log.values["other_cores"]) == 3
    assert log.clock_step_ms == pytest.approx(-2000, abs=1000)  # between the looks at two clocks
    assert log.throttled == []
    assert all(value and value > 1 for value in log.values["memory_mb"])


def _wall(offset_ns: list[int]) -> int:
    return time.time_ns() + offset_ns[0]


@pytest.mark.parametrize(
    ("allowed", "named"),
    [
        ({1: {0}, 7: {1}, 8: {0, 1}, 9: {0}}, [8, 9]),
        ({1: {0, 1}, 7: {1}, 8: {0, 1}, 9: {0}}, [7, 8, 9]),
        ({1: {0}, 7: {1}, 8: {1}}, [9]),  # one that has ended may have run anywhere
        ({7: {1}, 8: {1}, 9: {1}}, [7, 8, 9]),  # a system that does not tell
    ],
)
def test_only_who_may_run_where_the_benchmark_does_is_named_as_having_taken_its_cores(
    allowed: dict[int, set[int]], named: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def affinity(pid: int) -> set[int]:
        if pid not in allowed:
            raise ProcessLookupError
        return allowed[pid]

    now = {(pid, 0.0): ("burner", 3.0 - pid / 10) for pid in (1, 7, 8, 9)}
    monkeypatch.setattr(sampler, "_cpu_by_process", lambda: now)
    monkeypatch.setattr(os, "sched_getaffinity", affinity)
    assert [culprit.pid for culprit in sampler._culprits({}, own_pid=1)] == named


def test_a_missing_library_is_named() -> None:
    with pytest.raises(BenchError, match="pip install no-such-package"):
        library("no_such_module_anywhere", "no-such-package")


@pytest.mark.system
def test_a_cold_start_that_fails_says_why() -> None:
    task = '{"frame": "/nowhere/frame.npy", "bundle": null, "engine": "auto", "precision": "auto", "threads": null}'
    with pytest.raises(BenchError, match="cold start: the process ended with code 1: FileNotFoundError"):
        _start(task, {})


CHILD = """
import json, sys
print(json.dumps({"schema": "rop.peer/1", "backend": "slow", "precision": "fp32", "device": "paper"}), flush=True)
for line in sys.stdin:
    import numpy
    assert numpy.load(json.loads(line)["frame"]).shape[2] == 3
    ANSWER
"""
GOOD = 'print(json.dumps({"total_ms": 50.0, "outcome": "REFER"}), flush=True)'


def child(answer: str) -> list[str]:
    return [sys.executable, "-c", CHILD.replace("ANSWER", answer)]


@pytest.mark.system
def test_a_peer_in_its_own_process_is_read_by_turns(bundle: Bundle) -> None:
    engine = FakeEngine((0.2, 0.8))
    engine.segment_delay_ms = 5
    with (
        Screener(bundle, engine=engine, reject_repeats=False) as screener,
        ChildPeer(child(GOOD)) as peer,
    ):
        (found,) = measure_peers(screener, {"slow": peer}, pool(2).frames, rounds=5, each=2)
    assert (found.backend, found.device, found.frames_each, found.same_outcome) == ("slow", "paper", 10, 1)
    assert found.peer_p50_ms == 50
    assert found.ratio == pytest.approx(50 / found.ours_p50_ms)
    assert found.ratio_low <= found.ratio <= found.ratio_high
    assert engine.frames == 5 * (2 + 2)


@pytest.mark.system
@pytest.mark.parametrize(
    ("command", "said"),
    [
        (child('raise SystemExit("out of paper")'), "ended with code 1: out of paper"),
        (child('print("hello", flush=True)'), "expected a line of JSON"),
        (child('print("{}", flush=True)'), "expected total_ms and outcome"),
        (child("""print('{"error": "no such frame"}', flush=True)"""), "peer: no such frame"),
        ([sys.executable, "-c", "print('{}')"], "expected its facts in rop.peer/1"),
        ([sys.executable, "-c", "import nothing_of_that_name"], "No module named"),
        (["/no/such/program"], "cannot be started"),
    ],
)
def test_a_peer_that_fails_says_why(command: list[str], said: str) -> None:
    with pytest.raises(BenchError, match=said), ChildPeer(command) as peer:
        peer.read(pool(1).frames[0])


@pytest.mark.system
def test_a_terminals_ctrl_c_does_not_reach_the_peer() -> None:
    facts = '{"schema": "rop.peer/1", "backend": "", "precision": "", "device": os.getpgid(0)}'
    with ChildPeer([sys.executable, "-c", f"import json, os; print(json.dumps({facts}))"]) as peer:
        assert int(peer.facts.device) != os.getpgid(0)


@pytest.mark.parametrize("whose", ["ours", "theirs"])
def test_no_ratio_is_stated_of_frames_without_a_result(bundle: Bundle, whose: str) -> None:
    engines = {"ours": FakeEngine(), "theirs": FakeEngine()}
    engines[whose].fault = Fault.CLASSIFY_ERROR
    ours, theirs = (Screener(bundle, engine=engine, reject_repeats=False) for engine in engines.values())
    with ours, theirs, pytest.raises(BenchError, match="gave no result"):
        measure_peers(ours, {"other": ScreenerPeer(theirs, theirs.facts)}, pool(2).frames, rounds=1, each=1)


def test_two_screeners_in_one_process_are_peers_and_turns_alternate(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    monkeypatch.setattr("runtime.bench.peers.turns._rest", lambda stop: order.append("-"))

    class Noting(FakeEngine):
        def __init__(self, name: str, delay_ms: float) -> None:
            super().__init__()
            self.name, self.segment_delay_ms = name, delay_ms

        def _infer(self, *arguments: object) -> object:  # type: ignore[override]
            order.append(self.name)
            return super()._infer(*arguments)  # type: ignore[arg-type]

    ours = Screener(bundle, engine=Noting("A", 2), reject_repeats=False)
    theirs = Screener(bundle, engine=Noting("B", 300), reject_repeats=False)
    third = Screener(bundle, engine=Noting("C", 2), reject_repeats=False)
    with ours, theirs, third:
        peers = {"B": ScreenerPeer(theirs, theirs.facts), "C": ScreenerPeer(third, third.facts)}
        slow, alike = measure_peers(ours, peers, pool(2).frames, rounds=2, each=1)
    assert "".join(order) == "-AAA-BBB-CCC" * 2
    assert (slow.name, alike.name) == ("B", "C")
    assert slow.ratio > 1.5
    assert slow.ours_p50_ms == alike.ours_p50_ms


def test_the_build_side_is_named_and_never_imported(tmp_path: Path) -> None:
    command = pytorch_command(tmp_path / "c.pkl", tmp_path, 2)
    assert command[1:3] == ["-m", "build_engines.peer"]
    assert command[3:] == ["--bundle", str(tmp_path), "--threads", "2", "--", str(tmp_path / "c.pkl")]
    assert pytorch_command(None, tmp_path, None, compiled=True)[3:] == ["--bundle", str(tmp_path), "--compile"]
    assert not any(name.startswith("build_engines") for name in sys.modules if "runtime.bench" in name)


@pytest.mark.system
def test_ctrl_c_ends_the_wait_for_a_peer_that_hangs(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runtime.bench.peers.peer.CLOSING_S", 0.2)
    timer = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))
    began = time.monotonic()
    with Stop() as stop, Screener(bundle, engine=FakeEngine((0.2, 0.8)), reject_repeats=False) as screener:
        with ChildPeer(child("import time; time.sleep(600)")) as peer:
            timer.start()
            assert measure_peers(screener, {"slow": peer}, pool(2).frames, stop=stop) == ()
        assert stop.exit_code == 130
    assert time.monotonic() - began < 60


def test_our_own_children_are_no_other_processes() -> None:
    """Also on a busy machine: what is counted does not grow by what a child took, but is what the others took."""
    burn = "import time; end = time.process_time() + 1.5\nwhile time.process_time() < end: pass"
    mine = _Others()
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", burn], check=True)
    others_s = mine.cores() * (time.monotonic() - began)
    assert others_s <= (time.monotonic() - began) * (os.cpu_count() or 1) - 1.3


def test_how_far_a_run_is_stands_in_a_log_too(monkeypatch: pytest.MonkeyPatch) -> None:
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    said: list[str] = []
    now = 0.0
    line = ProgressLine(Until(900), said.append, lambda: now)
    samples = samples_of([10.0, 12.0])
    samples.noted.append(samples.frames[-1])
    for second in range(41):
        now = float(second)
        line(samples)
    line.close()
    assert len(said) == int(40 // PLAIN_S)
    assert said[0] == "measuring: frame 2/900, last 12.0 ms"
    assert log.getvalue() == "", "no control characters in a log"
