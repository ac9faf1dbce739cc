# ruff: noqa: RUF009 (`wire` gives a field)
"""The messages of ROPD as frozen values; PROTOCOL.md gives every byte."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from enum import IntEnum, IntFlag
from typing import ClassVar

from device.pixels import ColourMatrix, PixelFormat, Range
from runtime.daemon.wire import ErrorCode, Message, spare, wire

CLASSES = 8
"""Most classes that a bundle may have here."""

SUPERSEDED, CANCELLED = "superseded by a newer frame", "cancelled by its client"
"""Reasons of frames that were not read."""


class WireOutcome(IntEnum):
    """`runtime.outcome.Outcome` as a number; 0 is never sent, so that a result of zeros says nothing."""

    REFER = 1
    NO_REFERRAL_FINDINGS = 2
    RETAKE = 3
    NO_RESULT = 4


class FrameOrder(IntEnum):
    """Which of a client's waiting frames is read next."""

    NEWEST = 1
    """Only the newest waits; an older one that still waited comes back as superseded."""
    EVERY = 2
    """Every frame in the order of submission."""


class DaemonState(IntEnum):
    """How the daemon is."""

    LIVE = 1
    """It answers, and has no engine yet."""
    READY = 2
    """Engine loaded, golden frame passed, nothing to complain of."""
    DEGRADED = 3
    """It reads frames, or says NO_RESULT, and has reasons to be looked at."""


class Obtained(IntEnum):
    """What became of an optional thing that was asked of the system."""

    NOT_ASKED = 0
    OBTAINED = 1
    REFUSED = 2


class Reason(IntFlag):
    """Why the daemon is degraded; the text of HEALTH says it in words."""

    SELF_TEST_FAILED = 1
    NO_SELF_TEST = 2
    DRIFT = 4
    ENGINE_FAILING = 8
    RELOAD_FAILED = 16
    LATE = 32
    REFUSED = 64
    """Something of soft real time was asked for and refused."""


class ResultFlag(IntFlag):
    """What else a RESULT says."""

    LATE = 1
    TORN = 2
    SUPERSEDED = 4
    VESSELS = 8
    """The slot holds the vessel map."""
    GRADED = 16
    """The quality gate was reached."""
    GRADABLE = 32
    CLINICAL_USE = 64
    """The bundle is made for clinical use; without it, it is a demonstration."""
    CANCELLED = 128
    """The client asked for no more of its frames that were under way."""


class ConfigureFlag(IntFlag):
    """Of CONFIGURE."""

    STORED_PICTURES = 1
    """A picture that is one of the last 32 is no sign of a frozen camera."""


class SubmitFlag(IntFlag):
    """Of SUBMIT."""

    VESSELS = 1
    """The vessel map is wanted."""


_CONFIGURE_FLAGS, _SUBMIT_FLAGS, _RESULT_FLAGS = (
    sum(int(flag) for flag in kind) for kind in (ConfigureFlag, SubmitFlag, ResultFlag)
)
_SEEN_WELL = int(ResultFlag.GRADED | ResultFlag.GRADABLE)
_SPOILED = int(ResultFlag.LATE | ResultFlag.TORN | ResultFlag.SUPERSEDED | ResultFlag.CANCELLED)


def _flags(value: int, known: int) -> None:
    if value & ~known:
        raise ValueError(f"flags {value:#x} are not all known")


@dataclass(frozen=True)
class Hello(Message):
    """First from the client: the versions that it speaks, and what its frames are to be called."""

    TYPE: ClassVar[int] = 0x01
    lowest: int = wire("H")
    highest: int = wire("H")
    reserved: int = field(default=0, kw_only=True, metadata=spare("I"))
    name: str = wire("32s")

    def __post_init__(self) -> None:
        if not (0 < len(self.name) < 32 and self.name.isascii() and all(c.isalnum() or c in "._:-" for c in self.name)):
            raise ValueError(f"name {self.name!r}: expected 1 to 31 letters, digits or . _ : -")
        if not 1 <= self.lowest <= self.highest:
            raise ValueError(f"versions {self.lowest} to {self.highest}: expected lowest <= highest, from 1")


@dataclass(frozen=True)
class Configure(Message):
    """The ring that the client wants."""

    TYPE: ClassVar[int] = 0x02
    slots: int = wire("I")
    slot_bytes: int = wire("I")
    order: FrameOrder = wire("B", FrameOrder)
    flags: int = wire("B")
    reserved: int = field(default=0, kw_only=True, metadata=spare("H"))

    def __post_init__(self) -> None:
        _flags(self.flags, _CONFIGURE_FLAGS)
        if not (self.slots and self.slot_bytes):
            raise ValueError("slots and slot_bytes must be above zero")


@dataclass(frozen=True)
class Submit(Message):
    """A slot holds a frame; it is the daemon's until the RESULT."""

    TYPE: ClassVar[int] = 0x03
    generation: int = wire("Q")
    sequence: int = wire("Q")
    captured_ns: int = wire("Q")
    deadline_ns: int = wire("Q")
    slot: int = wire("I")
    width: int = wire("I")
    height: int = wire("I")
    stride: int = wire("I")
    format: PixelFormat = wire("B", PixelFormat)
    flags: int = wire("B")
    matrix: ColourMatrix = wire("B", ColourMatrix)
    range: Range = wire("B", Range)
    capture_us: int = wire("I")
    chroma_offset: int = wire("I")
    data_bytes: int = wire("I")

    def __post_init__(self) -> None:
        _flags(self.flags, _SUBMIT_FLAGS)
        if self.sequence >= 2**63:
            raise ValueError(f"sequence {self.sequence}, expected below 2^63")


@dataclass(frozen=True)
class AskHealth(Message):
    """How the daemon is; answered by HEALTH."""

    TYPE: ClassVar[int] = 0x04


@dataclass(frozen=True)
class AskBundle(Message):
    """What reads the frames; answered by BUNDLE."""

    TYPE: ClassVar[int] = 0x05


@dataclass(frozen=True)
class Reload(Message):
    """Load the bundle anew from its folder; answered by RELOADED. For root and the daemon's own user."""

    TYPE: ClassVar[int] = 0x06


@dataclass(frozen=True)
class Cancel(Message):
    """The client's frames that are under way are to have no result: each comes back as cancelled."""

    TYPE: ClassVar[int] = 0x07


@dataclass(frozen=True)
class Welcome(Message):
    """Answers HELLO: the version from now on, and what CONFIGURE may ask for."""

    TYPE: ClassVar[int] = 0x81
    version: int = wire("H")
    reserved: int = field(default=0, kw_only=True, metadata=spare("H"))
    daemon_pid: int = wire("I")
    max_slots: int = wire("I")
    max_slot_bytes: int = wire("I")
    max_ring_bytes: int = wire("Q")


@dataclass(frozen=True)
class RingLayout(Message):
    """RING, answers CONFIGURE, and carries the ring's descriptor."""

    TYPE: ClassVar[int] = 0x82
    ring_bytes: int = wire("Q")
    slot_stride: int = wire("Q")
    pixels_offset: int = wire("Q")
    vessels_offset: int = wire("Q")
    slots: int = wire("I")
    slot_bytes: int = wire("I")
    huge_pages: Obtained = wire("B", Obtained)
    reserved: bytes = field(default=bytes(7), kw_only=True, metadata=spare("7s"))


@dataclass(frozen=True)
class Result(Message):
    """The reading for a SUBMIT, under its tag."""

    TYPE: ClassVar[int] = 0x83
    sequence: int = wire("Q")
    generation: int = wire("Q")
    captured_ns: int = wire("Q")
    done_ns: int = wire("Q")
    slot: int = wire("I")
    flags: int = wire("I")
    outcome: WireOutcome = wire("B", WireOutcome)
    class_count: int = wire("B")
    reserved: int = field(default=0, kw_only=True, metadata=spare("H"))
    vessel_fraction: float = wire("f")
    """Below zero where there is none."""
    budget_ms: float = wire("f")
    """0 where there is none."""
    timings_ms: tuple[float, ...] = wire("7f")
    """queue, quality, preprocess, segment, classify, decide, total; below zero for a stage that did not run."""
    probabilities: tuple[float, ...] = wire("8f")
    frame_sha256: bytes = wire("32s")
    bundle_sha256: bytes = wire("32s")
    reason: str = wire("160s")
    text: str = wire("240s")

    def __post_init__(self) -> None:
        _flags(self.flags, _RESULT_FLAGS)
        if self.class_count > CLASSES:
            raise ValueError(f"class_count {self.class_count}, expected at most {CLASSES}")
        if not all(map(math.isfinite, (self.vessel_fraction, self.budget_ms, *self.timings_ms, *self.probabilities))):
            raise ValueError("a number is not finite")

    @property
    def contradiction(self) -> str:
        """What it says that no daemon may say of a frame, "" where there is nothing; the C library asks the same."""
        if not self.text:
            return "has no words for people"
        finding = self.outcome in (WireOutcome.REFER, WireOutcome.NO_REFERRAL_FINDINGS)
        if finding and self.flags & _SEEN_WELL != _SEEN_WELL:
            return "is a finding of a frame that did not pass the quality gate"
        if self.outcome is not WireOutcome.NO_RESULT and self.flags & _SPOILED:
            return "is late, torn, superseded or cancelled, and yet says something of the frame"
        if finding is not bool(self.class_count):
            return "has probabilities without a finding, or a finding without them"
        return ""


@dataclass(frozen=True)
class Health(Message):
    """Answers HEALTH?: state, counters since the start, and what was obtained from the system."""

    TYPE: ClassVar[int] = 0x84
    uptime_ms: int = wire("Q")
    last_inference_ns: int = wire("Q")
    frames: int = wire("Q")
    late: int = wire("Q")
    torn: int = wire("Q")
    superseded: int = wire("Q")
    refused: int = wire("Q")
    reloads: int = wire("Q")
    daemon_pid: int = wire("I")
    clients: int = wire("I")
    waiting: int = wire("I")
    reasons: int = wire("I")
    state: DaemonState = wire("B", DaemonState)
    sched_fifo: Obtained = wire("B", Obtained)
    cpu_pinning: Obtained = wire("B", Obtained)
    memory_locked: Obtained = wire("B", Obtained)
    huge_pages: Obtained = wire("B", Obtained)
    reserved: bytes = field(default=bytes(3), kw_only=True, metadata=spare("3s"))
    bundle_sha256: bytes = wire("32s")
    text: str = wire("240s")


@dataclass(frozen=True)
class BundleInfo(Message):
    """Answers BUNDLE?: what reads the frames now."""

    TYPE: ClassVar[int] = 0x85
    sha256: bytes = wire("32s")
    name: str = wire("64s")
    version: str = wire("32s")
    backend: str = wire("32s")
    precision: str = wire("64s")
    device: str = wire("64s")
    notice: str = wire("128s")
    refer_threshold: float = wire("f")
    class_count: int = wire("B")
    refer_mask: int = wire("B")
    """Bit i: class i refers."""
    reserved: int = field(default=0, kw_only=True, metadata=spare("H"))
    class_names: tuple[str, ...] = wire("8*32s")


@dataclass(frozen=True)
class Reloaded(Message):
    """Answers RELOAD."""

    TYPE: ClassVar[int] = 0x86
    sha256: bytes = wire("32s")
    """Of the bundle that reads the frames now."""
    failed: int = wire("I")
    """0: the new one; 1: still the old one, `text` says why."""
    text: str = wire("240s")


@dataclass(frozen=True)
class Error(Message):
    """Answers what cannot be accepted."""

    TYPE: ClassVar[int] = 0xFF
    code: ErrorCode = wire("H", ErrorCode)
    lowest: int = wire("H")
    highest: int = wire("H")
    reserved: int = field(default=0, kw_only=True, metadata=spare("H"))
    detail: int = wire("Q")
    text: str = wire("160s")

    def encode(self, tag: int = 0) -> bytes:
        """A detail that 64 bits do not hold is the nearest that they do: whoever refuses must not fail at that."""
        held = min(max(self.detail, 0), 2**64 - 1)
        return Message.encode(self if held == self.detail else replace(self, detail=held), tag)


FROM_CLIENT: dict[int, type[Message]] = {
    m.TYPE: m for m in (Hello, Configure, Submit, AskHealth, AskBundle, Reload, Cancel)
}
FROM_DAEMON: dict[int, type[Message]] = {
    m.TYPE: m for m in (Welcome, RingLayout, Result, Health, BundleInfo, Reloaded, Error)
}
