"""Writes `device/light/golden_frames.json`, the frames that every implementation of ROPLINK must give byte for byte.

Run it after a change of the protocol, and look at what changed: `python tests/device/light/make_golden.py`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from device.light.messages import (
    Ack,
    Arm,
    BoardMessage,
    Event,
    EventCode,
    Fire,
    FireReply,
    Flags,
    GetDose,
    GetStatus,
    Heartbeat,
    HeartbeatReply,
    HostMessage,
    Nak,
    NakCode,
    Open,
    OpenReply,
    Request,
    SetLed,
    Status,
    Stop,
    Totals,
    encode_answer,
    encode_request,
    pack,
)

GOLDEN = Path(__file__).parents[3] / "device" / "light" / "golden_frames.json"

REQUESTS: list[tuple[int, HostMessage]] = [
    (0, SetLed(0)),
    (1, SetLed(1000)),
    (2, Heartbeat()),
    (3, Arm(2000, 100)),
    (254, Arm(0xFFFFFFFF, 0xFFFF)),
    (255, Fire()),
    (0, Stop()),
    (1, GetStatus()),
    (2, GetDose()),
]
CONNECTION = 0xA1B2_00C3
REQUESTS_2: list[tuple[int, int, HostMessage]] = [
    (0, 0, Open(0x0102_0304)),
    (0xFFFF, CONNECTION, Open(0)),
    (1, CONNECTION, Heartbeat()),
    (258, CONNECTION, Arm(2000, 100)),
    (0xFFFE, CONNECTION, Fire()),
]
"""Of ROPLINK/2: seq, connection, message."""
_FLAGS = Flags.LIGHT_ON | Flags.INTERLOCK_CLOSED | Flags.HEARTBEAT_ALIVE | Flags.SEQUENCE_KNOWN
_STATUS = Status(_FLAGS, 1000, 7, 3, 123_456, 0x0123456789ABCDEF, 4095, 20_000, 4095, 250)
ANSWERS: list[tuple[int, BoardMessage]] = [
    (1, Ack(Request.SET_LED)),
    (2, Ack(Request.HEARTBEAT, pack(HeartbeatReply(_FLAGS)))),
    (255, Ack(Request.FIRE, pack(FireReply(1, 65_536)))),
    (1, Ack(Request.STATUS, pack(_STATUS))),
    (2, Ack(Request.DOSE, pack(Totals(2, 400_000, 5_000_000_000)))),
    (3, Nak(Request.ARM, NakCode.FLASH_TIME_CEILING, 20_000)),
    (4, Nak(Request.FIRE, NakCode.RECHARGING, 249)),
    (0, Event(EventCode.WATCHDOG, 1, 480)),
    (1, Event(EventCode.FOOT_SWITCH, 1, 0)),
]
ANSWERS_2: list[tuple[int, int, BoardMessage]] = [
    (0, 0, Ack(Request.OPEN, pack(OpenReply(0x0102_0304, CONNECTION)))),
    (0xFFFE, CONNECTION, Ack(Request.FIRE, pack(FireReply(1, 65_536)))),
    (258, 7, Nak(Request.ARM, NakCode.CONNECTION, 0)),
    (256, CONNECTION, Event(EventCode.INTERLOCK, 0, 480)),
]


def golden() -> list[dict[str, Any]]:
    """One entry a frame: who sends it, its number, what it says, its bytes on the wire in hexadecimal."""
    entries: list[dict[str, Any]] = []
    for seq, request in REQUESTS:
        entries.append(
            {"from": "host", "seq": seq, "message": repr(request), "wire": encode_request(request, seq).hex(" ")}
        )
    for seq, answer in ANSWERS:
        entries.append(
            {"from": "board", "seq": seq, "message": repr(answer), "wire": encode_answer(answer, seq).hex(" ")}
        )
    for sender, seq, connection, message, wire in [
        *(("host", *one, encode_request(one[2], one[0], one[1])) for one in REQUESTS_2),
        *(("board", *one, encode_answer(one[2], one[0], one[1])) for one in ANSWERS_2),
    ]:
        facts = {"from": sender, "seq": seq, "connection": connection, "message": repr(message)}
        entries.append({**facts, "wire": wire.hex(" ")})
    return entries


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(golden(), indent=1) + "\n", encoding="utf-8")
