"""`python -m runtime.screen` with the fake engine, as a program of its own: for tests of signals and pipes."""

from __future__ import annotations

import sys
from unittest.mock import patch

from runtime.engines.fake import FakeEngine
from runtime.screen.__main__ import main

if __name__ == "__main__":
    with patch("runtime.screener.load_engine", lambda *_: FakeEngine((0.8, 0.2))):
        sys.exit(main())
