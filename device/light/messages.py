"""The messages of ROPLINK as frozen values, with the exact bytes of each payload (little-endian; see PROTOCOL.md)."""

from __future__ import annotations

import struct
from dataclasses import astuple, dataclass
from enum import IntEnum, IntFlag
from struct import Struct
from typing import Any, ClassVar, TypeAlias, TypeVar

from device.light.framing import RawFrame, encode_frame


class Request(IntEnum):
    """Types of the frames that the host sends."""

    SET_LED = 0x01
    HEARTBEAT = 0x02
    ARM = 0x03
    FIRE = 0x04
    STOP = 0x05
    STATUS = 0x06
    DOSE = 0x07
    OPEN = 0x08
    """ROPLINK/2 only."""


class AnswerType(IntEnum):
    """Types of the frames that the board sends."""

    ACK = 0x80
    NAK = 0x81
    EVENT = 0x90


class NakCode(IntEnum):
    """Why the board refused; `Nak.detail` is given in brackets."""

    UNKNOWN_TYPE = 1
    """No such request (0)."""
    BAD_LENGTH = 2
    """The payload's length does not fit the request (the length that does)."""
    SEQUENCE = 3
    """The sequence number is old, or was used for another request (the last one accepted)."""
    NO_HEARTBEAT = 4
    """No heartbeat came for 500 ms (0)."""
    INTERLOCK_OPEN = 5
    """The interlock is open (0)."""
    OVERHEATED = 6
    """The light is too hot (0)."""
    LED_CEILING = 7
    """LED level over the board's ceiling (the ceiling)."""
    FLASH_TIME_CEILING = 8
    """Flash time zero or over the board's ceiling (the ceiling in microseconds)."""
    FLASH_LEVEL_CEILING = 9
    """Flash level zero or over the board's ceiling (the ceiling)."""
    NOT_ARMED = 10
    """No ARM before, or more than 2 s ago, or already used (0)."""
    RECHARGING = 11
    """The gap after the last flash is not over (milliseconds left)."""
    CONNECTION = 12
    """ROPLINK/2: the frame belongs to no connection, or to one that is no more (0)."""


class EventCode(IntEnum):
    """What the board tells without being asked; `Event.value` is given in brackets."""

    WATCHDOG = 1
    """The heartbeat stopped; light off and disarmed (1 when the light was on)."""
    FOOT_SWITCH = 2
    """Foot switch (1 pressed, 0 released)."""
    THERMAL = 3
    """Too hot: light off and disarmed (1), or cool again (0)."""
    INTERLOCK = 4
    """Interlock opened: light off and disarmed (0), or closed (1)."""


class Flags(IntFlag):
    """State bits in `HeartbeatReply` and `Status`."""

    LIGHT_ON = 0x01
    ARMED = 0x02
    INTERLOCK_CLOSED = 0x04
    OVERHEATED = 0x08
    HEARTBEAT_ALIVE = 0x10
    RECHARGING = 0x20
    SEQUENCE_KNOWN = 0x40
    """The board has accepted a request since it started, so that `last_seq` means something."""
    FOOT_SWITCH = 0x80


@dataclass(frozen=True)
class SetLed:
    """Hold the continuous light at a drive level."""

    TYPE: ClassVar[Request] = Request.SET_LED
    LAYOUT: ClassVar[Struct] = Struct("<H")
    level: int
    """Drive level 0 to 65535 as the LED driver counts; 0 is off."""


@dataclass(frozen=True)
class Heartbeat:
    """The host lives; the light may stay on for 500 ms more."""

    TYPE: ClassVar[Request] = Request.HEARTBEAT
    LAYOUT: ClassVar[Struct] = Struct("<")


@dataclass(frozen=True)
class Arm:
    """Make ready for one flash within the next 2 s."""

    TYPE: ClassVar[Request] = Request.ARM
    LAYOUT: ClassVar[Struct] = Struct("<IH")
    flash_us: int
    """Flash duration in microseconds."""
    level: int
    """Drive level of the flash."""


@dataclass(frozen=True)
class Fire:
    """Flash once, as armed."""

    TYPE: ClassVar[Request] = Request.FIRE
    LAYOUT: ClassVar[Struct] = Struct("<")


@dataclass(frozen=True)
class Stop:
    """Light off and disarmed, at once and whatever the sequence number."""

    TYPE: ClassVar[Request] = Request.STOP
    LAYOUT: ClassVar[Struct] = Struct("<")


@dataclass(frozen=True)
class GetStatus:
    """Ask for `Status`; changes nothing."""

    TYPE: ClassVar[Request] = Request.STATUS
    LAYOUT: ClassVar[Struct] = Struct("<")


@dataclass(frozen=True)
class GetDose:
    """Ask for `Totals`; changes nothing."""

    TYPE: ClassVar[Request] = Request.DOSE
    LAYOUT: ClassVar[Struct] = Struct("<")


@dataclass(frozen=True)
class Open:
    """ROPLINK/2: begin a connection, for which the board draws a number."""

    TYPE: ClassVar[Request] = Request.OPEN
    LAYOUT: ClassVar[Struct] = Struct("<I")
    nonce: int
    """The host's own number, 32 bits, which the reply repeats: an old reply is not taken for this one's."""


HostMessage: TypeAlias = SetLed | Heartbeat | Arm | Fire | Stop | GetStatus | GetDose | Open


@dataclass(frozen=True)
class HeartbeatReply:
    """What an ACK of HEARTBEAT carries."""

    LAYOUT: ClassVar[Struct] = Struct("<B")
    flags: Flags


@dataclass(frozen=True)
class FireReply:
    """What an ACK of FIRE carries."""

    LAYOUT: ClassVar[Struct] = Struct("<II")
    flash_number: int
    """Flashes since the board started, this one included."""
    board_ms: int
    """The board's clock when the flash began, milliseconds since its start, modulo 2^32."""


@dataclass(frozen=True)
class OpenReply:
    """What an ACK of OPEN carries."""

    LAYOUT: ClassVar[Struct] = Struct("<II")
    nonce: int
    """The host's."""
    connection: int
    """The new connection's number, 32 bits, never 0; its sequence begins with 1."""


@dataclass(frozen=True)
class Status:
    """What an ACK of STATUS carries."""

    LAYOUT: ClassVar[Struct] = Struct("<BHBHIQHIHI")
    flags: Flags
    led_level: int
    last_seq: int
    """Sequence number of the last request accepted; the next one follows it. In ROPLINK/2 its low byte."""
    rejected: int
    """Damaged frames that the board dropped, at most 65535."""
    board_ms: int
    """The board's clock, milliseconds since its start, modulo 2^32."""
    board_id: int
    """The board's own number, 64 bits; a calibration file belongs to one."""
    max_led_level: int
    max_flash_us: int
    max_flash_level: int
    recharge_ms: int
    """Gap kept between the end of a flash and the next, milliseconds."""


@dataclass(frozen=True)
class Totals:
    """What an ACK of DOSE carries: what the board has given since it started, in drive units."""

    LAYOUT: ClassVar[Struct] = Struct("<IQQ")
    flashes: int
    flash_level_us: int
    """Sum of level x microseconds over all flashes."""
    led_level_ms: int
    """Sum of level x milliseconds of the continuous light."""


@dataclass(frozen=True)
class Ack:
    """The board did what was asked."""

    request: int
    """Type of the request that is answered."""
    data: bytes = b""
    """As the request's reply lays out; read it with `reply_data`."""


@dataclass(frozen=True)
class Nak:
    """The board refused."""

    LAYOUT: ClassVar[Struct] = Struct("<BBI")
    request: int
    """Type of the request that is answered."""
    code: int
    """A `NakCode`, or a number that this version does not know."""
    detail: int


@dataclass(frozen=True)
class Event:
    """Something happened at the board."""

    LAYOUT: ClassVar[Struct] = Struct("<BBI")
    code: int
    """An `EventCode`, or a number that this version does not know."""
    value: int
    board_ms: int
    """The board's clock, milliseconds since its start, modulo 2^32."""


BoardMessage: TypeAlias = Ack | Nak | Event
ReplyData: TypeAlias = HeartbeatReply | FireReply | OpenReply | Status | Totals
Packed: TypeAlias = HostMessage | ReplyData | Nak | Event
_Data = TypeVar("_Data", HeartbeatReply, FireReply, OpenReply, Status, Totals, Nak, Event)

REQUESTS: dict[int, type[HostMessage]] = {
    kind.TYPE: kind for kind in (SetLed, Heartbeat, Arm, Fire, Stop, GetStatus, GetDose, Open)
}
ACK_DATA_BYTES: dict[int, int] = {
    **dict.fromkeys(Request, 0),
    Request.HEARTBEAT: HeartbeatReply.LAYOUT.size,
    Request.FIRE: FireReply.LAYOUT.size,
    Request.STATUS: Status.LAYOUT.size,
    Request.DOSE: Totals.LAYOUT.size,
    Request.OPEN: OpenReply.LAYOUT.size,
}
"""How many bytes follow the request's type in an ACK."""


def pack(message: Packed) -> bytes:
    """The payload's bytes. ValueError for a field that its bytes cannot hold."""
    try:
        return message.LAYOUT.pack(*astuple(message))
    except struct.error as error:
        raise ValueError(f"{message}: {error}; expected values that fit {message.LAYOUT.format!r}") from None


def unpack(kind: type[_Data], data: bytes) -> _Data | None:
    """The value that `data` holds; None when its length is wrong."""
    if len(data) != kind.LAYOUT.size:
        return None
    values: tuple[Any, ...] = kind.LAYOUT.unpack(data)
    if kind in (HeartbeatReply, Status):
        values = (Flags(values[0]), *values[1:])
    return kind(*values)


def encode_request(message: HostMessage, seq: int, connection: int | None = None) -> bytes:
    """The bytes of a host's message on the wire; with a connection, as ROPLINK/2 has them."""
    return encode_frame(RawFrame(message.TYPE, seq, pack(message), connection))


def encode_answer(message: BoardMessage, seq: int, connection: int | None = None) -> bytes:
    """The bytes of a board's message on the wire; ACK and NAK carry their request's seq and connection.

    Events count their own seq, and carry the connection that there is.
    """
    if isinstance(message, Ack):
        return encode_frame(RawFrame(AnswerType.ACK, seq, bytes((message.request,)) + message.data, connection))
    kind = AnswerType.NAK if isinstance(message, Nak) else AnswerType.EVENT
    return encode_frame(RawFrame(kind, seq, pack(message), connection))


def parse_answer(frame: RawFrame) -> BoardMessage | None:
    """The board's message in a frame; None for a host's message, an unknown type, or a payload that does not fit."""
    if frame.type == AnswerType.NAK:
        return unpack(Nak, frame.payload)
    if frame.type == AnswerType.EVENT:
        return unpack(Event, frame.payload)
    if frame.type == AnswerType.ACK and frame.payload:
        request, data = frame.payload[0], frame.payload[1:]
        return Ack(request, data) if ACK_DATA_BYTES.get(request) == len(data) else None
    return None
