"""What the tests of evaluations share: a bundle of tiny networks, and results without their slow charts."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.bundle import Bundle
from tests.build_engines.evaluate.studies import bundle_in


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return bundle_in(tmp_path)


@pytest.fixture
def no_charts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("build_engines.evaluate.charts.draw", lambda result, path: path.write_text("<svg/>"))
