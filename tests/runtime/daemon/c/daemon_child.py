"""A daemon with a fake engine as a program of its own, so that it can be killed: `daemon_child.py SOCKET BUNDLE MS`."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from runtime.bundle import open_bundle
from runtime.daemon.endpoint import listening
from runtime.daemon.messages import DaemonState, Health
from runtime.daemon.model import Model
from runtime.daemon.reader import ModelThread
from runtime.daemon.service import Service
from runtime.engines.fake import FakeEngine
from runtime.site_screener import screener_for
from runtime.trust.site import Site


def main(path: Path, folder: Path, delay_ms: float) -> None:
    bundle = open_bundle(folder)
    load = threading.Event()
    if delay_ms >= 0:
        load.set()

    def make() -> Model:
        load.wait()
        engine = FakeEngine()
        model = Model(bundle, screener_for(Site(), bundle, engine=engine, reject_repeats=False, repeats=True))
        engine.segment_delay_ms = max(delay_ms, 0.0)
        return model

    def told(health: Health) -> None:
        if health.state is not DaemonState.LIVE or not load.is_set():
            sys.stdout.write("ready\n")
            sys.stdout.flush()

    def stop(number: int, frame: FrameType | None) -> None:
        load.set()
        service.stop()

    with listening(path) as listener:
        service = Service(
            listener,
            lambda changed: ModelThread(make, changed, max_age_ms=60_000),
            on_state=told,
        )
        signal.signal(signal.SIGTERM, stop)
        service.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]))
