# ruff: noqa: RUF009 (`wire` gives a field)
"""The messages of ROPD as frozen values; PROTOCOL.md gives every byte."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from functools import lru_cache
from typing import ClassVar

from runtime.daemon.wire import CRC, HEADER, MAGIC, Envelope, ErrorCode, Message, plain_text, sealed, spare, wire

CLASSES = 8
"""Most classes that a bundle may have here."""


class Outcome(IntEnum):
    """`runtime.outcome.Outcome` as a number; 0 is never sent, so that a result of zeros says nothing."""

    REFER = 1
    NO_REFERRAL_FINDINGS = 2
    RETAKE = 3
    NO_RESULT = 4


class Order(IntEnum):
    """Which of a client's waiting frames is read next."""

    NEWEST = 1
    """Only the newest waits; an older one that still waited comes back as superseded."""
    EVERY = 2
    """Every frame in the order of submission."""


class PixelFormat(IntEnum):
    """How the pixels lie in a slot."""

    RGB8 = 1
    BGR8 = 2
    GRAY8 = 3

    @property
    def channels(self) -> int:
        """Bytes a pixel."""
        return 1 if self is PixelFormat.GRAY8 else 3


class State(IntEnum):
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


class ConfigureFlag(IntFlag):
    """Of CONFIGURE."""

    STORED_PICTURES = 1
    """The same picture twice in a row is no sign of a frozen camera."""
    NEARLY = 2
    """From version 2: NEARLY is wanted before the RESULT of a frame that was read."""


class SubmitFlag(IntFlag):
    """Of SUBMIT."""

    VESSELS = 1
    """The vessel map is wanted."""


_RESULT_FLAGS, _SUBMIT_FLAGS = (sum(int(flag) for flag in kind) for kind in (ResultFlag, SubmitFlag))


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
        if not (self.name and self.name.isascii() and all(c.isalnum() or c in "._:-" for c in self.name)):
            raise ValueError(f"name {self.name!r}: expected 1 to 31 letters, digits or . _ : -")
        if not 1 <= self.lowest <= self.highest:
            raise ValueError(f"versions {self.lowest} to {self.highest}: expected lowest <= highest, from 1")


@dataclass(frozen=True)
class Configure(Message):
    """The ring that the client wants, in version 1."""

    TYPE: ClassVar[int] = 0x02
    FLAGS: ClassVar[int] = int(ConfigureFlag.STORED_PICTURES)
    slots: int = wire("I")
    slot_bytes: int = wire("I")
    order: Order = wire("B", Order)
    flags: int = wire("B")
    reserved: int = field(default=0, kw_only=True, metadata=spare("H"))

    def __post_init__(self) -> None:
        _flags(self.flags, self.FLAGS)
        if not (self.slots and self.slot_bytes):
            raise ValueError("slots and slot_bytes must be above zero")


@dataclass(frozen=True)
class Configure2(Configure):
    """CONFIGURE from version 2 on, which has one flag more."""

    FLAGS: ClassVar[int] = int(ConfigureFlag.STORED_PICTURES | ConfigureFlag.NEARLY)


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
    reserved: int = field(default=0, kw_only=True, metadata=spare("H"))
    capture_us: int = wire("I")

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
class Expect(Message):
    """From version 2: a frame will be submitted within moments. Has no answer."""

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
    outcome: Outcome = wire("B", Outcome)
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
    state: State = wire("B", State)
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
class Nearly(Message):
    """From version 2, under the tag of a SUBMIT: only the decision is left, its RESULT follows at once."""

    TYPE: ClassVar[int] = 0x87


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


_SUBMIT = struct.Struct("<IHHII4Q4IBBHI")
_RESULT = struct.Struct("<IHHII4QIIBBH2f7f8f32s32s160s240s")
_SUBMIT_BYTES, _RESULT_BYTES = _SUBMIT.size + CRC.size, _RESULT.size + CRC.size
_NEARLY_BYTES = HEADER.size + CRC.size
_FORMATS = {int(known): known for known in PixelFormat}
_OUTCOMES = {int(known): known for known in Outcome}


def submit_bytes(version: int, tag: int, *values: int) -> bytes:
    """As `Submit(...).encode`, in fewer steps: its fields in their order, without the reserved one.

    A frame or a reading leaves little of this program in the caches, and every step that is not in them costs the
    client time; so here, and in the three functions below. Raises `ValueError`.
    """
    try:
        body = _SUBMIT.pack(MAGIC, version, Submit.TYPE, _SUBMIT_BYTES, tag, *values[:-1], 0, values[-1])
    except struct.error as error:
        raise ValueError(f"Submit: {error}") from None
    if values[1] >= 2**63:
        raise ValueError(f"sequence {values[1]}, expected below 2^63")
    return sealed(body)


def plain_submit(data: bytes, version: int) -> Envelope | None:
    """As `decode`, for a SUBMIT with nothing wrong; None for all else."""
    if len(data) != _SUBMIT_BYTES:
        return None
    magic, number, kind, size, tag, *values, shape, flags, reserved, capture_us = _SUBMIT.unpack_from(data)
    if (magic, number, kind, size, reserved) != (MAGIC, version, Submit.TYPE, _SUBMIT_BYTES, 0):
        return None
    if not _crc_fits(data) or shape not in _FORMATS:
        return None
    generation, sequence, captured_ns, deadline_ns, slot, width, height, stride = values
    try:
        frame = Submit(
            generation,
            sequence,
            captured_ns,
            deadline_ns,
            slot,
            width,
            height,
            stride,
            _FORMATS[shape],
            flags,
            capture_us,
        )
    except ValueError:
        return None
    return Envelope(frame, tag)


def result_bytes(version: int, tag: int, *values: int | float | bytes) -> bytes:
    """As `Result(...).encode`: its numbers and bytes in their order, the reserved ones too."""
    return sealed(_RESULT.pack(MAGIC, version, Result.TYPE, _RESULT_BYTES, tag, *values))


def plain_result(data: bytes, version: int) -> Envelope | None:
    """As `decode`, for a RESULT with nothing wrong; None for all else."""
    if len(data) != _RESULT_BYTES:
        return None
    magic, number, kind, size, tag, *values = _RESULT.unpack_from(data)
    if (magic, number, kind, size) != (MAGIC, version, Result.TYPE, _RESULT_BYTES) or not _crc_fits(data):
        return None
    sequence, generation, captured_ns, done_ns, slot, flags, outcome, class_count, reserved = values[:9]
    vessel_fraction, budget_ms = values[9:11]
    frame_sha256, bundle_sha256, reason, text = values[26:]
    if reserved or outcome not in _OUTCOMES:
        return None
    try:
        result = Result(
            sequence,
            generation,
            captured_ns,
            done_ns,
            slot,
            flags,
            _OUTCOMES[outcome],
            class_count,
            vessel_fraction,
            budget_ms,
            tuple(values[11:18]),
            tuple(values[18:26]),
            frame_sha256,
            bundle_sha256,
            _text(reason),
            _text(text),
        )
    except ValueError:
        return None
    return Envelope(result, tag)


_text: Callable[[bytes], str] = lru_cache(16)(plain_text)


def is_nearly(data: bytes, version: int) -> bool:
    """Whether it is a NEARLY with nothing wrong."""
    if len(data) != _NEARLY_BYTES or version < 2:
        return False
    return HEADER.unpack(data[:16])[:4] == (MAGIC, version, Nearly.TYPE, _NEARLY_BYTES) and _crc_fits(data)


def _crc_fits(data: bytes) -> bool:
    return data[-4:] == zlib.crc32(data[:-4]).to_bytes(4, "little")


FROM_CLIENT: dict[int, type[Message]] = {m.TYPE: m for m in (Hello, Configure, Submit, AskHealth, AskBundle, Reload)}
FROM_DAEMON: dict[int, type[Message]] = {
    m.TYPE: m for m in (Welcome, RingLayout, Result, Health, BundleInfo, Reloaded, Error)
}
"""In version 1."""
FROM_CLIENT_2 = FROM_CLIENT | {m.TYPE: m for m in (Configure2, Expect)}
FROM_DAEMON_2 = FROM_DAEMON | {Nearly.TYPE: Nearly}
"""In version 2."""
