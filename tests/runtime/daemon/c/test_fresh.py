"""The C client shows nothing old, and the sample program that makers copy does not either."""

from __future__ import annotations

import ctypes
import itertools
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import pytest

from runtime.daemon.client import Client
from tests.busy import at_a_calm_moment
from tests.pictures import retina
from tests.runtime.daemon.c.building import HERE, SOURCES, WARNINGS, C, build, tool
from tests.runtime.daemon.c.clib import CClient, Status
from tests.runtime.daemon.c.daemons import Daemons

pytestmark = pytest.mark.system
NewClient = Callable[[], CClient]
WIDTH, HEIGHT = 320, 240
PIXELS = retina(width=WIDTH, height=HEIGHT).tobytes()
NO_REFERRAL_FINDINGS, NO_RESULT = 2, 4
LATE, CANCELLED = 1, 128
NV12, BT709, LIMITED = 5, 2, 2
MAX_AGE_MS = 400
"""Of the sample where it is stopped."""


def now_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def awaited(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def has_read(client: Client, frames: int) -> bool:
    return client.health().frames == frames


def ready(new_client: NewClient, path: Path, max_age_ms: int = 60_000, **options: int) -> CClient:
    client = new_client()
    assert client.open(path, max_age_ms=max_age_ms) is Status.OK
    assert client.configure(**options) is Status.OK
    return client


def test_a_hanging_daemon_is_no_result_at_the_largest_age(daemons: Daemons, new_client: NewClient) -> None:
    child = daemons.start()
    client = ready(new_client, daemons.path, 300)
    os.kill(child.pid, signal.SIGSTOP)
    try:
        captured = now_ns()
        assert client.send(PIXELS, WIDTH, HEIGHT, sequence=4, captured_ns=captured) is Status.OK
        status, result = client.wait(60_000)
        assert now_ns() - captured >= 300_000_000
        assert (status, result.outcome, result.flags, result.sequence) == (Status.OK, NO_RESULT, LATE, 4)
        assert result.text.startswith(b"No result - late: captured")
        assert client.wait(50)[0] is Status.NOTHING_YET  # the daemon has the frame: something may come
        for _ in range(2):
            assert client.send(PIXELS, WIDTH, HEIGHT) is Status.OK
        assert client.acquire()[0] is Status.NO_SLOT
    finally:
        os.kill(child.pid, signal.SIGCONT)
    end = time.monotonic() + 60
    while client.acquire()[0] is not Status.OK:  # slots come back, and nothing is said of frames given up
        assert time.monotonic() < end
        time.sleep(0.002)


def test_a_result_fetched_too_late_is_none(daemons: Daemons, new_client: NewClient) -> None:
    daemons.start()
    client = ready(new_client, daemons.path, 400)
    assert client.send(PIXELS, WIDTH, HEIGHT) is Status.OK
    time.sleep(0.5)
    status, result = client.wait()
    assert (status, result.outcome, result.flags, result.class_count) == (Status.OK, NO_RESULT, LATE, 0)
    assert not client.is_fresh(result)


def test_results_say_until_when_they_may_be_seen(lasting_daemon: Path, new_client: NewClient) -> None:
    client = ready(new_client, lasting_daemon)
    before = now_ns()
    assert client.send(PIXELS, WIDTH, HEIGHT) is Status.OK
    _, result = client.wait()
    assert before <= result.captured_ns <= now_ns()
    assert result.fresh_until_ns == result.captured_ns + 60_000 * 10**6
    assert client.is_fresh(result)


@pytest.mark.parametrize(
    ("field", "moment", "said"),
    [
        ("captured_ns", time.time_ns, "picture.captured_ns: lies .* ahead, as if by CLOCK_REALTIME"),
        ("deadline_ns", time.time_ns, "picture.deadline_ns: lies .* ahead, as if by CLOCK_REALTIME"),
        ("captured_ns", lambda: now_ns() + 10**9, "picture.captured_ns: lies [^ ]* s ahead;"),
        ("captured_ns", lambda: 1, "picture.captured_ns: lies .* back"),
        ("deadline_ns", lambda: now_ns() + 3600 * 10**9, "picture.deadline_ns: lies [^ ]* s ahead;"),
        ("deadline_ns", lambda: 500_000_000, "picture.deadline_ns: lies .* back.*no time from now"),
    ],
    ids=["wall clock", "deadline by it", "ahead", "at boot", "deadline ahead", "a time from now"],
)
def test_other_clocks_are_refused(
    lasting_daemon: Path, new_client: NewClient, field: str, moment: Callable[[], int], said: str
) -> None:
    if moment() < 10**9 and now_ns() < 62 * 10**9:
        pytest.skip("this machine has just been started")
    client = ready(new_client, lasting_daemon)
    assert client.send(PIXELS, WIDTH, HEIGHT, **{field: moment()}) is Status.BAD_ARGUMENT
    assert re.search(said, client.error), client.error


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"format": 3, "stride": 320}, "picture.format: got 3, GRAY8 cannot be graded"),
        ({"format": 9, "stride": 1920}, "picture.format: got 9, RGB48"),
        ({"format": 10, "stride": 320}, "picture.format: got 10, Bayer"),
        ({"format": 11}, "picture.format: got 11, not known"),
        ({"format": NV12, "stride": 320}, "picture.matrix, range: got 0, 0, needed ROP_BT601"),
        ({"matrix": 1, "range": 1}, "picture.matrix, range: got 1, 1, needed 0, 0"),
        ({"stride": 959}, "picture.stride: got 959, needed at least 960"),
        ({"stride": 2**31}, "a slot has 921600"),
        ({"format": 8}, "picture.stride: got 960, needed 0"),
        ({"format": 8, "stride": 0}, "picture.data_bytes: got 0, needed the JPEG's length"),
        ({"data_bytes": 4}, "picture.data_bytes: got 4, needed 0"),
        ({"chroma_offset": 4}, "picture.chroma_offset: got 4"),
        ({"flags": 2}, "picture.flags: got 2"),
        ({"sequence": 2**63}, "picture.sequence"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_errors_say_which_argument(
    lasting_daemon: Path, new_client: NewClient, changed: dict[str, int], said: str
) -> None:
    client = ready(new_client, lasting_daemon)
    assert client.send(PIXELS, WIDTH, HEIGHT, **changed) is Status.BAD_ARGUMENT
    assert said in client.error
    assert client.health()[0] is Status.OK
    assert client.error == ""  # of the last call only


def test_what_is_cancelled_has_no_result(daemons: Daemons, new_client: NewClient) -> None:
    child = daemons.start()
    client = ready(new_client, daemons.path)
    os.kill(child.pid, signal.SIGSTOP)  # none is read before it is cancelled
    try:
        for sequence in range(3):
            assert client.send(PIXELS, WIDTH, HEIGHT, sequence=sequence) is Status.OK
        assert client.cancel() is Status.OK
        results = [client.wait(100)[1] for _ in range(3)]
        assert [(r.sequence, r.outcome, r.flags) for r in results] == [(n, NO_RESULT, CANCELLED) for n in range(3)]
    finally:
        os.kill(child.pid, signal.SIGCONT)
    end = time.monotonic() + 60
    while (status := client.send(PIXELS, WIDTH, HEIGHT, sequence=9)) is Status.NO_SLOT:
        assert time.monotonic() < end
        time.sleep(0.002)
    assert status is Status.OK
    _, result = client.wait()
    assert (result.sequence, result.outcome) == (9, NO_REFERRAL_FINDINGS)


def test_what_another_bundle_read_is_no_result(lasting_daemon: Path, new_client: NewClient) -> None:
    client = new_client()
    assert client.open(lasting_daemon, flags=2) is Status.OK  # ROP_CHECK_BUNDLE: none has 32 zeros
    assert client.configure() is Status.OK
    assert client.send(PIXELS, WIDTH, HEIGHT) is Status.OK
    status, result = client.wait()
    assert (status, result.outcome) == (Status.OK, NO_RESULT)
    assert b"another bundle" in result.text


def test_a_socket_of_another_user_is_an_impostors(lasting_daemon: Path, new_client: NewClient) -> None:
    client = new_client()
    assert client.open(lasting_daemon, flags=1, daemon_uid=54321) is Status.IMPOSTOR
    assert "needed user 54321" in client.error
    assert client.open(lasting_daemon, flags=1, daemon_uid=os.geteuid()) is Status.OK


def test_the_rings_memory_can_be_written_by_its_descriptor(lasting_daemon: Path, new_client: NewClient) -> None:
    client = ready(new_client, lasting_daemon)
    status, slot = client.acquire()
    assert status is Status.OK
    assert os.pwrite(client.ring_fd, b"camera", slot.offset) == 6
    assert ctypes.string_at(slot.pixels, 6) == b"camera"


def test_acquiring_takes_what_has_arrived_and_no_result_is_lost(daemons: Daemons, new_client: NewClient) -> None:
    daemons.start()
    client, given = ready(new_client, daemons.path), 0
    with Client(daemons.path) as other:
        for burst in range(25):
            for frame in range(3):
                assert client.send(PIXELS, WIDTH, HEIGHT, sequence=3 * burst + frame) is Status.OK
            awaited(partial(has_read, other, 3 * burst + 3))  # all results lie in the socket
            if burst >= 15:
                while client.poll()[0] is Status.OK:
                    given += 1
    assert given == 75


def test_results_that_nobody_fetches_end_the_slots_and_not_the_memory(daemons: Daemons, new_client: NewClient) -> None:
    daemons.start()
    client, sent = ready(new_client, daemons.path), 0
    with Client(daemons.path) as other:
        while (status := client.send(PIXELS, WIDTH, HEIGHT, sequence=sent)) is Status.OK:
            sent += 1
            awaited(partial(has_read, other, sent))
    assert (status, sent) == (Status.NO_SLOT, 64)
    assert [client.poll()[1].sequence for _ in range(64)] == list(range(64))
    assert client.send(PIXELS, WIDTH, HEIGHT) is Status.OK


# The sample program.


class Screen:
    """What people see: it takes words away at their time, whatever the program does that gave them."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        self.lines: list[tuple[int, int, str]] = []
        """When it came, until when it may stand, the words."""
        self._program = program
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._program.stdout is not None
        for line in self._program.stdout:
            until, _, words = line.rstrip("\n").partition(" ")
            self.lines.append((now_ns(), int(until), words))

    def findings(self) -> int:
        return sum("referral" in words or words.startswith("Refer") for _, _, words in list(self.lines))

    def join(self) -> None:
        self._thread.join(60)


LOOPS = ("c", "c++", "python")
"""The sample that the README here shows, its twin by `ropscreen.hpp`, and the loop of runtime/daemon/README.md."""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[str]]:
    """What starts the loop of a language, built when it is first asked for."""
    folder = tmp_path_factory.mktemp("loop")
    flags = ["-g", "-O1", "-fsanitize=address,undefined"]

    @cache
    def made(language: str) -> list[str]:
        if language == "python":
            return [sys.executable, str(HERE / "loop.py")]
        if language == "c":
            return [str(build("gcc", folder / "loop", *flags, C / "ropscreen_loop.c", *SOURCES))]
        objects = [build("gcc", folder / f"{source.stem}.o", *flags, "-c", source) for source in SOURCES]
        command = [tool("g++"), "-std=c++17", *WARNINGS, *flags, f"-I{C}", str(HERE / "loop.cpp"), *map(str, objects)]
        done = subprocess.run([*command, "-o", str(folder / "loopxx")], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return [str(folder / "loopxx")]

    return made


@pytest.fixture(scope="module")
def loop(programs: Callable[[str], list[str]]) -> Path:
    return Path(programs("c")[0])


@contextmanager
def running(command: list[str]) -> Iterator[tuple[subprocess.Popen[str], Screen]]:
    """The sample program, which ends as it should; where a test fails, it is ended all the same."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as program:
        screen = Screen(program)
        try:
            yield program, screen
            program.terminate()
            screen.join()
            assert program.wait(60) == 0
        finally:
            program.kill()


def stop_and_go(program_of: Callable[[], list[str]], daemons: Daemons, tmp_path: Path, times: int) -> None:
    """Stop the daemon, the program or both at any moment; what is said must never let a finding stand for too long.

    Two screens are judged. One takes words away at the moment that came with them, as the README asks: it must be right
    whatever is stopped. The other only shows the newest line: it must be right while the program itself runs.
    """
    raw = tmp_path / "raw"
    raw.write_bytes(PIXELS)
    child, luck = daemons.start(), random.Random(os.environ.get("ROP_STOPS_SEED", "3"))
    command = [*program_of(), str(daemons.path), str(raw), str(WIDTH), str(HEIGHT), "30", str(MAX_AGE_MS)]
    asleep: list[tuple[int, int]] = []
    """From when to when the program was stopped."""
    with running(command) as (program, screen):
        awaited(lambda: screen.findings() >= 3)
        for turn in range(times):
            victims = ([child.pid], [program.pid], [child.pid, program.pid])[turn % 3]
            time.sleep(luck.random() * 0.05)
            stopped = now_ns()
            for victim in victims:
                os.kill(victim, signal.SIGSTOP)
            # Every other time it is for so long that what stands must go.
            time.sleep(luck.random() * (0.05 if turn % 2 else 2 * MAX_AGE_MS / 1e3))
            if turn == 0:
                awaited(lambda: screen.lines[-1][2].startswith("No result"))
            for victim in victims:
                os.kill(victim, signal.SIGCONT)
            if program.pid in victims:
                asleep.append((stopped, now_ns()))
        seen = screen.findings()
        awaited(lambda: screen.findings() > seen)  # it goes on by itself
    child.kill()
    child.wait()
    over_ms = visible_too_long(screen.lines, asleep)
    late = sum(over > 50 for over in over_ms)
    told = f"{times} stops, {len(over_ms)} findings; without a clock: {late} over by 50 ms, most {max(over_ms):.0f} ms"
    sys.stdout.write(f"{told}\n")  # the soak's figure, with -s
    assert len(over_ms) >= times // 6
    assert max(over_ms) < 1000  # on a machine that lets the program run


def visible_too_long(lines: list[tuple[int, int, str]], asleep: list[tuple[int, int]]) -> list[float]:
    """For each finding, by how many ms a screen without a clock showed it too long while the program ran; 0: not."""
    found = []
    for (came, until, words), (next_came, _, _) in itertools.pairwise(lines):
        if words.startswith("No result"):
            assert until == 0
            continue
        # It can be seen until `until` and no longer, which is at most the largest age after its capture.
        assert until <= came + MAX_AGE_MS * 1_000_000, words
        if not any(start < next_came and end > came for start, end in asleep):
            found.append(max(came - until, next_came - until, 0) / 1e6)
    return found


@pytest.mark.parametrize("language", LOOPS)
def test_the_sample_never_lets_a_finding_stand(
    programs: Callable[[str], list[str]], daemons: Daemons, tmp_path: Path, language: str
) -> None:
    at_a_calm_moment(partial(stop_and_go, partial(programs, language), daemons, tmp_path, 8))


@pytest.mark.soak
@pytest.mark.parametrize("language", LOOPS)
def test_the_sample_never_lets_a_finding_stand_a_thousand_times(
    programs: Callable[[str], list[str]], daemons: Daemons, tmp_path: Path, language: str
) -> None:
    """ROP_STOPS=N ROP_STOPS_SEED=TEXT does a part; parts with other seeds add up."""
    stop_and_go(partial(programs, language), daemons, tmp_path, int(os.environ.get("ROP_STOPS", "1000")))


@pytest.mark.parametrize("language", LOOPS)
def test_a_finding_is_not_replaced_by_word_of_a_frame_that_was_not_read(
    programs: Callable[[str], list[str]], daemons: Daemons, tmp_path: Path, language: str
) -> None:
    """The camera is quicker than the networks: most frames are superseded. The finding still goes at its time."""
    raw = tmp_path / "raw"
    raw.write_bytes(PIXELS)
    daemons.start(delay_ms=250)
    command = [*programs(language), str(daemons.path), str(raw), str(WIDTH), str(HEIGHT), "1", str(MAX_AGE_MS)]
    with Client(daemons.path) as other, running(command) as (_, screen):
        awaited(lambda: screen.findings() >= 3 and other.health().superseded >= 10)
        assert not [words for _, _, words in screen.lines if "superseded" in words]
        awaited(lambda: screen.lines[-1][2] == "No result - waiting for the next picture")
    visible_too_long(screen.lines, [])


def finds_more(screen: Screen, seen: int) -> bool:
    return screen.findings() > seen


def test_the_sample_finds_the_next_daemon(loop: Path, daemons: Daemons, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(PIXELS)
    command = [str(loop), str(daemons.path), str(raw), str(WIDTH), str(HEIGHT), "20"]
    with running(command) as (_, screen):
        awaited(lambda: screen.lines and screen.lines[-1][2].startswith("No result"))
        for _ in range(2):
            child, seen = daemons.start(), screen.findings()
            awaited(partial(finds_more, screen, seen))
            child.kill()
            child.wait()
            awaited(lambda: screen.lines[-1][2] == "No result - the reading program does not run")


def test_the_readme_shows_the_samples_loop() -> None:
    block = (C / "README.md").read_text(encoding="utf-8").split("```c\n")[1].split("```")[0]
    assert block.strip() in (C / "ropscreen_loop.c").read_text(encoding="utf-8")
