"""The C board: compiles without a warning, passes its own tests, does action for action what the Python board does."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from device.light.board import ARM_WINDOW_MS, LINK_MS, TICK_MS, WATCHDOG_MS, Action, Board, Light, Send
from device.light.framing import RawFrame, encode_frame
from tests.device.light.boards import CEILINGS, SETTERS, stories
from tests.device.light.make_golden import GOLDEN

C = Path(__file__).parents[3] / "device" / "light" / "c"
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-pedantic", "-Werror"]
INPUTS = {"tick": 0, "interlock": 1, "overheated": 2, "foot": 3}
ROOM = ctypes.create_string_buffer(1 << 16)
pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def compiler() -> str:
    found = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not found:
        pytest.skip("no C compiler on this machine (install gcc, or name one in CC)")
    return found


@pytest.fixture(scope="module")
def library(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The C board with the harness, as a shared library."""
    path = tmp_path_factory.mktemp("c") / "libropboard.so"
    sources = [str(C / "ropboard.c"), str(Path(__file__).with_name("harness.c"))]
    command = [compiler, *STRICT, "-O2", "-fPIC", "-shared", f"-I{C}", *sources, "-o", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    loaded = ctypes.CDLL(str(path))
    u16, u32, u64, size = ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64, ctypes.c_size_t
    loaded.harness_start.argtypes = [u64, u16, u32, u16, u32, u32, ctypes.c_int]
    loaded.harness_receive.argtypes = [ctypes.c_char_p, size, u32]
    loaded.harness_input.argtypes = [ctypes.c_int, ctypes.c_int, u32]
    loaded.harness_log.argtypes = [ctypes.c_char_p, size]
    loaded.harness_log.restype = size
    return loaded


@pytest.mark.parametrize("extra", [["-O2"], ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover"]])
def test_its_own_tests_pass(compiler: str, tmp_path: Path, extra: list[str]) -> None:
    program = tmp_path / "test_ropboard"
    sources = [str(C / "ropboard.c"), str(C / "test_ropboard.c")]
    built = subprocess.run(
        [compiler, *STRICT, *extra, *sources, "-o", str(program)], capture_output=True, text=True, timeout=120
    )
    if built.returncode and "-fsanitize=address,undefined" in extra and "cannot find" in built.stderr:
        pytest.skip("the compiler has no sanitizer libraries")
    assert built.returncode == 0, built.stderr
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed" in done.stdout


def test_it_uses_no_heap_and_calls_nothing_but_memory_functions(compiler: str, tmp_path: Path) -> None:
    if not shutil.which("nm"):
        pytest.skip("no nm on this machine")
    built = tmp_path / "ropboard.o"
    subprocess.run(
        [compiler, "-std=c11", "-O2", "-c", str(C / "ropboard.c"), "-o", str(built)], check=True, timeout=120
    )
    symbols = subprocess.run(["nm", "-u", str(built)], capture_output=True, text=True, check=True, timeout=300).stdout
    undefined = {line.split()[-1] for line in symbols.splitlines()}
    assert undefined <= {"memcpy", "memcmp", "memset", "__stack_chk_fail", "_GLOBAL_OFFSET_TABLE_"}


def test_the_header_and_the_python_board_agree_on_the_times() -> None:
    header = (C / "ropboard.h").read_text(encoding="utf-8")
    for name, value in {
        "WATCHDOG_MS": WATCHDOG_MS,
        "TICK_MS": TICK_MS,
        "LINK_MS": LINK_MS,
        "ARM_WINDOW_MS": ARM_WINDOW_MS,
    }.items():
        assert f"#define ROP_{name} {value}u" in header


def encoded(actions: list[Action]) -> bytes:
    """Python's actions as the harness logs the C board's."""
    out = b""
    for action in actions:
        if isinstance(action, Send):
            out += b"S" + bytes((len(action.data),)) + action.data
        elif isinstance(action, Light):
            out += b"L\2" + action.level.to_bytes(2, "little")
        else:
            out += b"F\6" + action.flash_us.to_bytes(4, "little") + action.level.to_bytes(2, "little")
    return out


class Draws:
    """As `on_draw` of harness.c: numbers, now and then the 0 that no connection may have."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self) -> int:
        self.number = (self.number * 1664525 + 1013904223) & 0xFFFFFFFF
        return 0 if self.number % 5 == 0 else self.number


class Twins:
    """Both boards, given the same and compared after every step."""

    def __init__(self, library: ctypes.CDLL, now_ms: int, version: int = 1) -> None:
        self.library, self.now_ms, self.version = library, now_ms, version
        self.python = Board(7, CEILINGS, now_ms, Draws() if version == 2 else None)
        c = CEILINGS
        library.harness_start(7, c.max_led_level, c.max_flash_us, c.max_flash_level, c.recharge_ms, now_ms, version)

    def compare(self, actions: list[Action]) -> None:
        count = self.library.harness_log(ROOM, len(ROOM))
        assert ctypes.string_at(ROOM, count) == encoded(actions)

    def receive(self, data: bytes) -> None:
        self.library.harness_receive(data, len(data), self.now_ms)
        self.compare(self.python.receive(data, self.now_ms))

    def set(self, what: str, on: bool) -> None:
        self.library.harness_input(INPUTS[what], on, self.now_ms)
        self.compare(getattr(self.python, SETTERS[what])(on, self.now_ms))

    def wait(self, ms: int) -> None:
        self.now_ms = (self.now_ms + ms) & 0xFFFFFFFF
        self.library.harness_input(INPUTS["tick"], 0, self.now_ms)
        self.compare(self.python.tick(self.now_ms))

    def finish(self) -> None:
        """All that the boards can be asked for must be the same at the end."""
        for kind in (0x06, 0x07):
            self.receive(b"\0" + encode_frame(RawFrame(kind, 0, connection=None if self.version == 1 else 0)))


def play(library: ctypes.CDLL, story: list[tuple[str, Any]], start_ms: int) -> None:
    twins = Twins(library, start_ms)
    sent: list[RawFrame] = []
    for kind, value in story:
        if kind == "frame":
            sent.append(value)
            twins.receive(encode_frame(value))
        elif kind == "again" and sent:
            twins.receive(encode_frame(sent[-min(value, len(sent))]))
        elif kind == "damaged":
            twins.receive(value[1])
        elif kind == "bytes":
            twins.receive(value)
        elif kind == "wait":
            twins.wait(value)
        elif kind in SETTERS:
            twins.set(kind, value)
    twins.finish()


class Connected:
    """Makes frames of ROPLINK/2 out of a story's: mostly as a host that counts as it should sends them."""

    def __init__(self, twins: Twins) -> None:
        self.twins, self.seq = twins, 0
        self.known = [0]
        twins.receive(encode_frame(RawFrame(0x08, 0, b"abcd", 0)))

    def frame(self, frame: RawFrame) -> RawFrame:
        now = self.twins.python._connection
        if now != self.known[-1]:
            self.known.append(now)
            self.seq = 0
        if frame.seq % 16 == 3:
            opens = RawFrame(0x08, 0xFFFF if frame.seq % 32 == 3 else 0, bytes((frame.seq, 1, 2, 3)))
            frame, connection = opens, now if opens.seq else 0
        else:
            connection = self.known[-2 % len(self.known)] if frame.seq % 16 == 5 else now
        self.seq += 1 + 300 * (frame.seq % 16 == 7)
        seq = frame.seq if frame.type == 0x08 or frame.seq % 16 == 9 else self.seq
        return RawFrame(frame.type, min(seq, 0xFFFF), frame.payload, connection)


def play_connected(library: ctypes.CDLL, story: list[tuple[str, Any]], start_ms: int) -> int:
    """As `play`, in ROPLINK/2; how many flashes there were."""
    twins = Twins(library, start_ms, 2)
    host, sent = Connected(twins), [RawFrame(0x08, 0, b"abcd", 0)]
    for kind, value in story:
        if kind == "frame":
            sent.append(host.frame(value))
            twins.receive(encode_frame(sent[-1]))
        elif kind == "again":
            twins.receive(encode_frame(sent[-min(value, len(sent))]))
        elif kind == "damaged":
            wire = bytearray(encode_frame(host.frame(value[0])))
            wire[len(value[1]) % len(wire)] ^= value[0].seq
            twins.receive(bytes(wire))
        elif kind == "bytes":
            twins.receive(value)
        elif kind == "wait":
            twins.wait(value)
        elif kind in SETTERS:
            twins.set(kind, value)
    twins.finish()
    return twins.python.flashes


STARTS = st.sampled_from([0, 12345, 2**31, 2**32 - 200])
LONG = [("bytes", b"\x05" * 71), ("bytes", b"\0"), ("bytes", b"\x48" + b"\x07" * 71), ("bytes", b"\0")]


STATUS_THEN_NOISE = [("bytes", encode_frame(RawFrame(0x06, 2)) + b"\1\0")]


@given(stories, STARTS)
@example(LONG, 0)
@example(STATUS_THEN_NOISE, 0)
@settings(max_examples=3000, deadline=None)
def test_c_and_python_do_the_same(library: ctypes.CDLL, story: list[tuple[str, Any]], start_ms: int) -> None:
    play(library, story, start_ms)


@given(stories, STARTS)
@example(LONG, 0)
@settings(max_examples=1000, deadline=None)
def test_c_and_python_do_the_same_in_connections(
    library: ctypes.CDLL, story: list[tuple[str, Any]], start_ms: int
) -> None:
    play_connected(library, story, start_ms)


def test_the_stories_of_connections_hold_flashes(library: ctypes.CDLL) -> None:
    """Else the test above would compare refusals."""
    story = [("interlock", True)] + [
        ("frame", RawFrame(kind, 0, payload)) for kind, payload in ((2, b""), (3, b"\xd0\7\0\0\x64\0"), (4, b""))
    ]
    assert play_connected(library, story, 0) == 1


@pytest.mark.parametrize("version", [1, 2])
@given(data=st.binary(max_size=400))
@settings(max_examples=700, deadline=None)
def test_c_and_python_do_the_same_with_any_bytes(library: ctypes.CDLL, version: int, data: bytes) -> None:
    twins = Twins(library, 0, version)
    twins.receive(data)
    twins.finish()


def test_c_reads_and_writes_the_golden_frames(library: ctypes.CDLL) -> None:
    class Frame(ctypes.Structure):
        _fields_ = (
            ("version", ctypes.c_uint8),
            ("type", ctypes.c_uint8),
            ("seq", ctypes.c_uint16),
            ("connection", ctypes.c_uint32),
            ("length", ctypes.c_uint8),
            ("payload", ctypes.c_uint8 * 64),
        )

    library.rop_decode.restype = ctypes.c_bool
    library.rop_encode.restype = ctypes.c_size_t
    entries = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert len(entries) > 15
    for entry in entries:
        wire, frame, out = bytes.fromhex(entry["wire"]), Frame(), ctypes.create_string_buffer(77)
        assert library.rop_decode(wire, ctypes.c_size_t(len(wire) - 1), ctypes.byref(frame)), entry
        assert frame.seq == entry["seq"]
        assert frame.connection == entry.get("connection", 0)
        count = library.rop_encode(ctypes.byref(frame), out)
        assert out.raw[:count] == wire
