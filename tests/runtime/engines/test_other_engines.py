"""An engine that another package brings: one module, one line of registration, and every command takes it by name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime import engines
from runtime.bundle import Bundle
from runtime.engines import backend_names, load_engine, register
from runtime.engines.base import Backend, Engine
from runtime.engines.fake import FakeEngine
from runtime.errors import EngineError
from runtime.screen.__main__ import main

MODULE = """
from runtime.engines.base import Backend
from runtime.engines.fake import FakeEngine
from runtime.reading import EngineFacts


def load(bundle, precision, threads):
    engine = FakeEngine()
    engine.facts = EngineFacts("abacus", "+".join(dict.fromkeys(precision.values())), "beads")
    return engine


BACKEND = Backend(load, auto={auto})
"""


@pytest.fixture(autouse=True)
def nothing_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_registered", {})


def install(folder: Path, module: str, value: str = "abacus_engine:BACKEND") -> dict[str, str]:
    """A package as pip leaves it, and the environment in which Python sees it."""
    facts = folder / "abacus-1.0.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: abacus\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(f"[{engines.ENTRY_POINTS}]\nabacus = {value}\n")
    (folder / "abacus_engine.py").write_text(module)
    return os.environ | {"PYTHONPATH": str(folder)}


def screen(environment: dict[str, str], out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runtime.screen", "sim:seed=1", "--frames", "2", "--out", str(out), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def backends_of(out: Path) -> set[str]:
    return {json.loads(line)["engine"]["backend"] for line in (out / "readings.jsonl").read_text().splitlines()}


@pytest.mark.parametrize(("options", "auto"), [(("--engine", "abacus"), False), ((), True)])
def test_screen_reads_with_an_engine_of_another_package(tmp_path: Path, options: tuple[str, ...], auto: bool) -> None:
    environment = install(tmp_path / "site", MODULE.format(auto=auto))
    found = screen(environment, tmp_path / "out", *options)
    assert found.returncode == 0, found.stderr
    assert backends_of(tmp_path / "out") == {"abacus"}


@pytest.mark.parametrize(
    ("module", "value", "reason"),
    [
        ("raise RuntimeError('no beads')", "abacus_engine:BACKEND", "cannot be imported (RuntimeError: no beads)"),
        ("", "abacus_engine:BACKEND", "cannot be imported (AttributeError"),
        ("", "nowhere:BACKEND", "cannot be imported (ModuleNotFoundError"),
        ("BACKEND = 'constant'", "abacus_engine:BACKEND", "is a str, expected a runtime.engines.base.Backend"),
    ],
)
def test_one_that_cannot_be_used_is_said_and_auto_goes_on_without_it(
    tmp_path: Path, module: str, value: str, reason: str
) -> None:
    environment = install(tmp_path / "site", module, value)
    found = screen(environment, tmp_path / "out", "--engine", "abacus")
    assert found.returncode == 2
    assert reason in found.stderr
    assert found.stderr.count("\n") == 1
    assert not (tmp_path / "out" / "readings.jsonl").exists()
    found = screen(environment, tmp_path / "out")
    assert found.returncode == 0, found.stderr
    assert backends_of(tmp_path / "out") == {"openvino"}


def test_a_registered_engine_is_taken_by_name(tmp_path: Path) -> None:
    register("abacus", Backend(lambda bundle, precision, threads: FakeEngine()))
    assert backend_names() == ("tensorrt", "tensorrt-rtx", "triton", "abacus", "openvino")
    assert main(["sim:seed=1", "--frames", "2", "--engine", "abacus", "--out", str(tmp_path / "out")]) == 0
    assert backends_of(tmp_path / "out") == {"fake"}


def test_auto_takes_only_what_offers_itself(tiny: Bundle) -> None:
    register("quiet", Backend(lambda bundle, precision, threads: FakeEngine()))
    with load_engine(tiny) as engine:
        assert engine.facts.backend == "openvino"
        assert "quiet" not in engine.facts.why


def _breaks(*_: object) -> Engine:
    raise KeyError("constant")


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        (Backend(_breaks, auto=True), "abacus: failed as it was loaded (KeyError: 'constant')"),
        (Backend(_breaks, missing=_breaks, auto=True), "abacus: failed as it was loaded (KeyError: 'constant')"),  # type: ignore[arg-type]
        (Backend(_breaks, missing=lambda bundle: "no beads here", auto=True), "abacus: no beads here"),
        (Backend(lambda *_: "beads", auto=True), "abacus: gave a str, expected an Engine"),  # type: ignore[arg-type]
    ],
)
def test_auto_never_ends_in_what_another_package_raises(tiny: Bundle, backend: Backend, reason: str) -> None:
    register("abacus", backend)
    with load_engine(tiny) as engine:
        assert engine.facts.backend == "openvino"
        assert reason in engine.facts.why


def test_by_name_its_fault_is_an_engine_error(tiny: Bundle) -> None:
    register("abacus", Backend(_breaks))
    with pytest.raises(EngineError, match="abacus: failed as it was loaded"):
        load_engine(tiny, "abacus")


@pytest.mark.parametrize("name", ["auto", "openvino", "abacus"])
def test_a_name_stays_what_it_was(name: str) -> None:
    register("abacus", Backend(_breaks))
    with pytest.raises(ValueError, match="there is one of that name"):
        register(name, Backend(_breaks))
