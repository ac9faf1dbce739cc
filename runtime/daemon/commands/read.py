"""`read`: pictures read by a daemon that runs, and what the classifier's gates let through in each."""

from __future__ import annotations

import argparse
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING

from device.cameras import open_camera
from device.errors import FrameUnreadable
from runtime.bundle import Bundle, open_bundle
from runtime.commands.passed import passed_over
from runtime.commands.say import aside, say, say_json
from runtime.commands.text import printable, word
from runtime.daemon.client import Client
from runtime.daemon.whole import DaemonReader
from runtime.errors import EngineError
from runtime.sinks.gates import GatesSink
from runtime.sinks.names import FrameNames
from runtime.site_screener import screener_for
from runtime.trust.site import Site, open_site
from runtime.trust.word import sites_word

if TYPE_CHECKING:
    from device.frame import Frame
    from runtime.reading import Reading

DONE, SAYS_NO = 0, 1
GATES_ENGINE = "openvino"
"""What tells gates, whatever the daemon reads with."""


def read(options: argparse.Namespace) -> int:
    """Say the reading of each picture of the source; 1 where one has no result, as when the daemon is lost."""
    with Client(options.socket, "read") as client:
        sha256 = client.bundle().sha256.hex()
    site = open_site(options.site_profile, options.trusted_keys, station=options.station)
    bundle = open_bundle(options.bundle, sha256=sha256)
    reader = DaemonReader(options.socket, bundle, word=sites_word(site, bundle), reject_repeats=False)
    unread = False
    with ExitStack() as stack:
        stack.enter_context(closing(reader))
        camera = stack.enter_context(open_camera(options.source))
        if passed := passed_over(camera, of_folders="name such a folder to read its pictures"):
            aside(f"runtime.daemon: {printable(passed)}")
        gates = None if options.gates is None else stack.enter_context(_Gates(options, site, bundle))
        for number in range(options.frames):
            try:
                frame = camera.read()
            except FrameUnreadable as error:
                frame, reading = None, reader.unreadable(error)
            else:
                if frame is None:
                    break
                reading = reader.screen(frame)
            if frame is not None and gates is not None:
                reading = gates.told(frame, reading)
            _say(number, reading, as_json=options.json)
            unread = unread or reading.outcome.value == "NO_RESULT"
    return SAYS_NO if unread else DONE


class _Gates:
    """Reads a frame again, here, with the bundle that the daemon read it with; a context manager.

    The daemon's own results carry no gates: no camera's frame waits for them, and a GPU gives none.
    """

    def __init__(self, options: argparse.Namespace, site: Site, bundle: Bundle) -> None:
        self._screener = screener_for(site, bundle, engine=GATES_ENGINE, reject_repeats=False)
        try:
            self._sink = GatesSink(options.gates, FrameNames())
        except BaseException:
            self._screener.close()
            raise

    def told(self, frame: Frame, reading: Reading) -> Reading:
        """The same reading with what its gates tell, and their picture written; why there are none is said."""
        if not reading.probabilities or reading.bundle is None:
            return reading
        try:
            found = self._screener.explain(
                frame, bundle_sha256=reading.bundle.sha256, probabilities=reading.probabilities
            )
        except EngineError as error:
            aside(f"runtime.daemon: no gates of {frame.source}: {error}")
            return reading
        told = replace(reading, explanation=found)
        self._sink.write(frame, told)
        return told

    def __enter__(self) -> _Gates:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._sink.close()
        finally:
            self._screener.close()


def _say(number: int, reading: Reading, *, as_json: bool) -> None:
    if as_json:
        say_json(reading.to_dict())
    else:
        say(printable(f"{number + 1:>3}  {reading.frame.source}  {word(reading.outcome)}  {reading.reason}").rstrip())
