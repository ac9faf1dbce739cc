"""Nothing compiled is kept: what lies in a cache is a network that no signature covers."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.bundle import open_bundle
from runtime.engines import load_engine
from tests.runtime.word.tiny import write_tiny_bundle


def test_an_engine_writes_nothing_and_reads_nothing_but_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.chdir(tmp_path / "TMPDIR")
    bundle = open_bundle(write_tiny_bundle(tmp_path / "bundle"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with load_engine(bundle, "openvino", "fp32") as engine:
        compiled = engine._compiled["segmentation"].models[0]  # type: ignore[attr-defined]
        assert compiled.get_property("LOADED_FROM_CACHE") is False
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
