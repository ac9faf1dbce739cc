"""`python -m runtime.screen` on the fake GPU, which is lost at its third frame: as a program of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import patch

from runtime.bundle import open_bundle
from runtime.cuda.errors import end_process
from runtime.cuda.fake import FakeCuda
from runtime.engines.base import Engine
from runtime.engines.tensorrt.fake import FakeTensorRT
from runtime.screen.__main__ import main
from tests.runtime.engines.tensorrt.fake_plans import FakeMachine

LOST_AT = 3


def lost_later(bundle: Path) -> Engine:
    cuda = FakeCuda(on_lost=end_process)
    engine = FakeMachine(cuda, FakeTensorRT(cuda), open_bundle(bundle)).load()
    launch, left = cuda._launch, [LOST_AT]

    def counted(*arguments: object) -> None:
        left[0] -= 1
        if not left[0]:
            cuda.fail("cuGraphLaunch", 700)
        launch(*arguments)  # type: ignore[arg-type]

    cuda._launch = counted  # type: ignore[assignment, method-assign]
    return engine


if __name__ == "__main__":
    folder = Path(sys.argv[sys.argv.index("--bundle") + 1])
    with patch("runtime.screener.load_engine", lambda *_: lost_later(folder)):
        sys.exit(main())
