"""A daemon in a process of its own, with a fake engine; says `ready`.

`fake_daemon.py SOCKET [DELAY_MS [HUGE_PAGES [UID...]]]`, all numbers; UID: further users that may connect.

SIGTERM ends it, as it does the real one.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from runtime.bundle import open_bundle
from runtime.daemon.endpoint import listening, passed_by_systemd
from runtime.daemon.limits import Limits
from runtime.daemon.messages import DaemonState, Health
from runtime.daemon.model import Model
from runtime.daemon.reader import ModelThread
from runtime.daemon.realtime import SoftRealTime
from runtime.daemon.service import Service
from runtime.engines.fake import FakeEngine
from runtime.site_screener import screener_for
from runtime.trust.site import Site
from tests.runtime.conftest import manifest_content


def main(path: Path, delay_ms: float = 0.0, huge_pages: float = 0.0, *uids: float) -> None:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        files = {"segmentation.fp32.onnx": b"segmentation graph", "classifier.fp32.onnx": b"classifier graph"}
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (folder / "manifest.json").write_text(json.dumps(manifest_content(files)))

        def make() -> Model:
            bundle, engine = open_bundle(folder), FakeEngine()
            model = Model(bundle, screener_for(Site(), bundle, engine=engine, reject_repeats=False, repeats=True))
            engine.segment_delay_ms = delay_ms
            return model

        def reader(changed: Callable[[], None]) -> ModelThread:
            return ModelThread(make, changed, max_age_ms=60_000)

        def told(health: Health) -> None:
            if health.state is not DaemonState.LIVE:
                sys.stdout.write("ready\n")
                sys.stdout.flush()

        listener = passed_by_systemd() or stack.enter_context(listening(path))
        real_time = SoftRealTime(huge_pages=bool(huge_pages))
        real_time.for_process()
        limits = Limits(frozenset(map(int, uids)), max_age_ms=60_000)
        if uids:
            path.chmod(0o666)
        service = Service(listener, reader, limits, real_time, told)
        signal.signal(signal.SIGTERM, lambda *_: service.stop())
        service.run()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(float, sys.argv[2:]))
