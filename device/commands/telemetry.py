"""`python -m device telemetry`: how the machine is doing; it only reads."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from device.commands.common import parser, positive
from device.telemetry import Telemetry, read_telemetry


def main(words: Sequence[str]) -> int:
    made = parser("telemetry", "Clocks, temperatures, power, throttling and power mode. Reads only, changes nothing.")
    made.add_argument(
        "--watch", type=positive, nargs="?", const=1.0, metavar="S", help="again every S seconds (1), until Ctrl-C"
    )
    made.add_argument("--json", action="store_true", help="one object a line")
    options = made.parse_args(words)
    while True:
        reading = read_telemetry()
        print(json.dumps(reading.to_dict()) if options.json else "\n".join(lines(reading)), flush=True)
        if options.watch is None:
            return 0
        time.sleep(options.watch)


def lines(reading: Telemetry) -> list[str]:
    """The reading for people; what the machine does not tell is left out."""
    at = reading.taken_at.astimezone().strftime("%H:%M:%S")
    mode = f", power mode {reading.power_mode}" if reading.power_mode else ""
    told = [f"{at}  {reading.machine}{mode}"]
    clocks = [f"{c.name} {c.now_mhz:.0f}{_of(c.max_mhz, '.0f')} MHz" for c in reading.clocks]
    temperatures = [f"{t.name} {t.celsius:.1f}{_of(t.limit_celsius, '.0f')} C" for t in reading.temperatures]
    power = [f"{p.name} {p.watts:.1f}{_of(p.limit_watts, '.0f')} W" for p in reading.power]
    counts = [f"{c.name} {c.count}" for c in reading.throttle_counts if c.count]
    for name, parts in (
        ("clocks", clocks),
        ("temperatures", temperatures),
        ("power", power),
        ("throttled by", list(reading.throttling)),
        ("throttled since start", counts),
        ("cannot be read", list(reading.problems)),
    ):
        if parts:
            told.append(f"  {name}: {', '.join(parts)}")
    return told


def _of(limit: float | None, form: str) -> str:
    return "" if limit is None else f"/{limit:{form}}"
