"""`python -m device light`: ask the light and trigger board, drive it on the bench, or simulate one."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from device.commands.common import parser, positive, share, up_to
from device.errors import LightError
from device.lamp import usual_lamp
from device.light import BoardEvent, BoardLink, EventCode, Flags, LineFaults, SimulatedBoard
from device.secrets import hide_secrets
from device.shown import printable

EXAMPLES = """\
examples:
  python -m device light --simulate
  python -m device light status /dev/ttyACM0
  python -m device light set /dev/ttyACM0 200 --seconds 3 --no-eye
  python -m device light fire /dev/ttyACM0 --flash-us 2000 --level 100 --no-eye
  python -m device light stop /dev/ttyACM0

PORT is a serial port or any URL of pyserial (socket://host:port). set and fire are for the bench: they keep no account
of the dose, which needs the board's signed calibration (device.light.CalibratedLight), and so ask for --no-eye.
"""
_LOOK_S = 0.2


def main(words: Sequence[str]) -> int:
    options = _parser().parse_args(words)
    if options.simulate:
        return _simulate(options)
    if options.what is None:
        _parser().error("got no command, expected status, dose, set, fire, stop or --simulate")
    with BoardLink(options.port, protocol=options.protocol) as link:
        try:
            return int(options.run(link, options))
        except LightError as error:  # the port was a board's, so the call was right, whatever came after
            print(printable(hide_secrets(f"device light: {error}")), file=sys.stderr)
            return 1


def _parser() -> argparse.ArgumentParser:
    made = parser("light", "Talk to the light and trigger board over ROPLINK.", EXAMPLES)
    simulated = made.add_argument_group("a simulated board")
    simulated.add_argument("--simulate", action="store_true", help="start one on a pty, print its port, until Ctrl-C")
    simulated.add_argument("--interlock-open", action="store_true", help="its interlock is open")
    simulated.add_argument("--silent", action="store_true", help="it hears and says nothing")
    simulated.add_argument("--lost", type=share, default=0.0, metavar="SHARE", help="of bytes that vanish")
    simulated.add_argument("--duplicated", type=share, default=0.0, metavar="SHARE", help="of bytes that come twice")
    simulated.add_argument("--corrupted", type=share, default=0.0, metavar="SHARE", help="of bytes that come changed")
    simulated.add_argument("--delay-ms", type=positive, default=0.0, metavar="MS", help="every reply is so much later")
    simulated.add_argument("--older", action="store_true", help="it speaks ROPLINK/1")
    simulated.add_argument(
        "--lamp", type=Path, metavar="FILE", help="where sim:lit sees its light (default: the user's own)"
    )
    verbs = made.add_subparsers(dest="what", metavar="{status,dose,set,fire,stop}")

    def verb(name: str, run: Any, what: str) -> argparse.ArgumentParser:
        one: argparse.ArgumentParser = verbs.add_parser(name, help=what, description=what, allow_abbrev=False)
        one.add_argument("port", metavar="PORT")
        one.add_argument(
            "--protocol", type=int, choices=(1, 2), default=2, help="1 for an older board of ROPLINK/1 (default: 2)"
        )
        one.set_defaults(run=run)
        return one

    for name, run, what in (
        ("status", _status, "state, ceilings and identity"),
        ("dose", _dose, "what the board has given since its start, in drive units"),
    ):
        verb(name, run, what).add_argument("--json", action="store_true", help="one object")
    lit = verb("set", _set, "continuous light for a while; off at the end, and at Ctrl-C")
    lit.add_argument("level", type=up_to(0xFFFF), metavar="LEVEL", help="as the board counts, 1 to 65535")
    lit.add_argument("--seconds", type=positive, default=5.0, metavar="S", help="how long (default: 5)")
    flash = verb("fire", _fire, "arm, and fire one flash")
    flash.add_argument("--flash-us", type=up_to(0xFFFFFFFF), required=True, metavar="US", help="length, microseconds")
    flash.add_argument(
        "--level", type=up_to(0xFFFF), required=True, metavar="LEVEL", help="as the board counts, 1 to 65535"
    )
    for one in (lit, flash):
        one.add_argument("--no-eye", action="store_true", required=True, help="nobody is in front of the light")
    verb("stop", _stop, "light off and disarmed")
    return made


def _status(link: BoardLink, options: argparse.Namespace) -> int:
    status = link.status()
    flags = [flag.name.lower().replace("_", " ") for flag in Flags if flag in status.flags and flag.name]
    facts = {**asdict(status), "flags": flags, "board_id": f"{status.board_id:016x}"}
    _tell(facts, options.json)
    return 0


def _dose(link: BoardLink, options: argparse.Namespace) -> int:
    _tell(asdict(link.totals()), options.json)
    return 0


def _set(link: BoardLink, options: argparse.Namespace) -> int:
    link.set_led(options.level)
    print(f"light at {options.level} for {options.seconds:g} s", flush=True)
    until_s = time.monotonic() + options.seconds
    while (left_s := until_s - time.monotonic()) > 0:
        event = link.next_event(min(left_s, _LOOK_S))
        if event is not None:
            print(_words(event), flush=True)
        if link.failure is not None:
            raise link.failure
        if event is not None and not Flags.LIGHT_ON & link.status().flags:
            raise LightError(f"{link.url}: the board put the light out; see the event before")
    link.stop()
    print("light off")
    return 0


def _fire(link: BoardLink, options: argparse.Namespace) -> int:
    link.arm(options.flash_us, options.level)
    receipt = link.fire()
    took_ms = (receipt.acknowledged_ns - receipt.requested_ns) / 1e6
    print(f"flash {receipt.flash_number}: {options.flash_us} us at level {options.level}, replied in {took_ms:.1f} ms")
    return 0


def _stop(link: BoardLink, options: argparse.Namespace) -> int:
    link.stop()
    print("light off, disarmed")
    return 0


def _simulate(options: argparse.Namespace) -> int:
    faults = LineFaults(options.lost, options.duplicated, options.corrupted, options.delay_ms, options.silent)
    protocol = 1 if options.older else 2
    closed, lamp = not options.interlock_open, options.lamp or usual_lamp()
    with SimulatedBoard(faults=faults, interlock_closed=closed, protocol=protocol, lamp=lamp) as board:
        print(board.port, flush=True)
        print("simulated board; Ctrl-C ends it", file=sys.stderr, flush=True)
        lights = flashes = 0
        while True:
            time.sleep(_LOOK_S)
            for change in board.light_changes[lights:]:
                print(f"light {change.level}", file=sys.stderr, flush=True)
                lights += 1
            for flash in board.flashes[flashes:]:
                print(f"flash {flash.flash_us} us at level {flash.level}", file=sys.stderr, flush=True)
                flashes += 1


def _words(event: BoardEvent) -> str:
    known = {code.value: code.name.lower().replace("_", " ") for code in EventCode}
    return f"event: {known.get(event.code, event.code)} {event.value}"


def _tell(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        print(printable(f"{name.replace('_', ' '):<16} {', '.join(value) if isinstance(value, list) else value}"))
