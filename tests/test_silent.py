"""No command speaks to anybody it was not told to, or writes outside its own folders; those of the build side apart."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from tests.silence import ROOT, run_silently

pytestmark = pytest.mark.system

COMMANDS = (
    "runtime.screen sim:seed=1 --frames 2 --vessels",
    "runtime.bench --frames 8 --warmup 1 --no-accuracy --no-cold-start --json bench.json --html bench.html",
    "runtime.daemon measure --frames 8 --source sim:seed=1,size=320x240",
    "device cameras",
    "device telemetry --json",
    "device grab sim:seed=1 -n 2",
    "device probe sim:fps=30 --seconds 1",
    "calibration create sim:seed=1 --frames 12 --count 2 --out set",
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all: the compiled networks in its cache are made once."""
    return tmp_path_factory.mktemp("silent") / "work"


@pytest.mark.parametrize("line", COMMANDS, ids=[" ".join(line.split()[:2]) for line in COMMANDS])
def test_a_command_is_silent(work: Path, line: str) -> None:
    # So few frames make no verdict.
    refusals = (2,) if line.startswith(("runtime.bench", "runtime.daemon measure")) else ()
    run_silently(work, *line.split(), expected=(0, 1, *refusals))


def test_an_exam_from_its_key_to_its_export_is_silent(work: Path) -> None:
    journal = ("--journal", "journal")
    key = ("--key-file", "cart.key")
    run_silently(work, "runtime.exam", "key", "cart.key")
    run_silently(work, "runtime.exam", "demo", *journal, *key)
    exam = json.loads(run_silently(work, "runtime.exam", "list", *journal, *key, "--json").splitlines()[0])["exam"]
    for words in (("show", exam), ("replay", exam), ("export", exam), ("verify",)):
        run_silently(work, "runtime.exam", *words, *journal, *key)
    run_silently(work, "runtime.dicom", "outbox", *journal, *key, "--json", expected=(0, 1))
    run_silently(work, "runtime.dicom", "export-deidentified", exam, *journal, *key, "--out", "study")


def test_what_is_forbidden_is_seen(tmp_path: Path) -> None:
    """The watch itself: a look-up, a connection and a file elsewhere turn it red."""
    (tmp_path / "work").mkdir()
    for number, line in enumerate(
        (
            "import socket\ntry: socket.getaddrinfo('telemetry.invalid', 80)\nexcept OSError: pass",
            "import socket\ntry: socket.create_connection(('192.0.2.1', 80), 0.1)\nexcept OSError: pass",
            f"open({str(tmp_path / 'elsewhere')!r}, 'w')",
            "import pathlib; (pathlib.Path.home() / 'intel').mkdir()",
        )
    ):
        (tmp_path / "work" / f"speaks_{number}.py").write_text(line, encoding="utf-8")
        with pytest.raises(AssertionError, match=r"did what no option names|in the home folder"):
            run_silently(tmp_path / "work", f"speaks_{number}")


def test_openvino_is_loaded_in_one_place_only() -> None:
    """Each other file that imported it first would let its telemetry speak."""
    home = ROOT / "runtime" / "engines" / "openvino"
    for package in ("device", "runtime", "build_engines", "calibration"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, (ast.Import, ast.ImportFrom)):
                    continue
                names = [a.name for a in node.names]
                if isinstance(node, ast.ImportFrom):
                    names = [] if node.level else [node.module or ""]
                if any(name.split(".")[0] == "openvino" for name in names):
                    whole = isinstance(node, ast.Import)
                    assert path == home.parent / "load_openvino.py" if whole else path.parent == home, (
                        f"{path}:{node.lineno}"
                    )
