"""The one direction of imports: between the packages, between the floors of a package, and in no circle anywhere."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("device", "runtime", "build_engines", "calibration")
MAY_NOT_IMPORT = {
    "device": {"runtime", "build_engines", "calibration", "tests", "torch", "onnx"},
    "runtime": {"build_engines", "calibration", "tests", "torch", "onnx"},
    "build_engines": {"tests"},
    "calibration": {"build_engines", "tests"},
}
FLOORS = {
    "runtime": """
        cart reread
        fleet
        daemon dicom screen bench
        bundles
        exam
        site_screener
        read_here
        screener
        trust explain
        engines sinks
        plans familiar structure
        bundle quality preprocess cuda decide
        plan_manifest slots
        shares plan_key gate csv_rows
        manifest checked_json summed budget reading commands percentiles metrics config
        explanation
        outcome views errors arrays exact cores cpu_class uptime moved onnx_weights site_state student tls repeats
    """,
    "runtime.bench": """
        __main__
        run
        sweep
        matrix find_rate sheet streams baselines
        turns
        session
        beside
        report
        judge peers
        opened
        measure
        arguments schema
        options
        words errors
    """,
    "runtime.engines": """
        options tensorrt openvino triton fake
        base load_openvino
        address
    """,
    "device": """
        __main__
        commands
        command_parser light
        live
        cameras telemetry
        lamp
        signature checked_file refused_value pixels schemes
        frame
        errors extras eye secrets outputs
        version
        streams _yuv shown numbers paths compiled
    """,
}
"""Rooms by floor, the highest first. A room knows only floors below its own; each has to stand on one."""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_of(path): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")}


@cache
def imported(module: str) -> frozenset[str]:
    """What a module imports anywhere, inside functions and for the type checker too: ours as modules, else by name."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(FILES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                names.add(inside if inside in FILES else node.module)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "import_module":
            names |= {a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return frozenset(names - {module})


def room(module: str, package: str) -> str | None:
    """The room of a package that a module is in; None for other packages' and for the package's own `__init__`."""
    return module.removeprefix(package + ".").split(".")[0] if module.startswith(package + ".") else None


@pytest.mark.parametrize("package", MAY_NOT_IMPORT)
def test_imports_go_one_way(package: str) -> None:
    inside = [module for module in FILES if module.split(".")[0] == package]
    assert inside
    wrong = {module: {name.split(".")[0] for name in imported(module)} & MAY_NOT_IMPORT[package] for module in inside}
    assert {module: names for module, names in wrong.items() if names} == {}


@pytest.mark.parametrize("package", FLOORS)
def test_a_room_knows_only_the_floors_below(package: str) -> None:
    floors = [line.split() for line in FLOORS[package].strip().splitlines()]
    height = {name: -number for number, floor in enumerate(floors) for name in floor}
    rooms = {found for module in FILES if (found := room(module, package)) is not None}
    assert rooms - set(height) == set(), "give the new room a floor"
    up = {
        (module, other)
        for module in FILES
        if (here := room(module, package)) is not None
        for other in imported(module)
        if (there := room(other, package)) is not None and there != here and height[there] >= height[here]
    }
    assert up == set()


def test_no_file_can_be_reached_from_itself() -> None:
    """By imports that the type checker alone sees, too: a circle of words is a circle."""
    state: dict[str, str] = {}
    way: list[str] = []

    def visit(module: str) -> None:
        state[module] = "on the way"
        way.append(module)
        for other in sorted(imported(module) & FILES.keys()):
            assert state.get(other) != "on the way", " -> ".join([*way[way.index(other) :], other])
            if other not in state:
                visit(other)
        state[way.pop()] = "done"

    for module in sorted(FILES):
        if module not in state:
            visit(module)


def test_the_carts_tests_need_nothing_of_the_build_side() -> None:
    """`make test-cart` runs them where it is not installed; what needs it is in tests/build_engines or calibration."""
    theirs = {"build_engines", "calibration", "bench", "gpu"}
    needs = {"torch", "onnx", "onnxscript", "modelopt", "build_engines", "calibration"}
    files = [path for path in (ROOT / "tests").rglob("*.py") if path.relative_to(ROOT / "tests").parts[0] not in theirs]
    assert len(files) > 100
    found = {}
    for path in files:
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module)
        wrong = {name for name in names if name.split(".")[0] in needs or name.startswith("tests.build_engines")}
        if wrong:
            found[str(path.relative_to(ROOT))] = wrong
    assert found == {}


def forks(node: ast.AST) -> bool:
    """Whether this copies the process that it runs in; `spawn` and `subprocess` start another one."""
    if isinstance(node, ast.Attribute):
        return node.attr in ("fork", "forkpty") and getattr(node.value, "id", "") in ("os", "pty")
    if isinstance(node, ast.ImportFrom):
        return node.module in ("os", "pty") and any(alias.name in ("fork", "forkpty") for alias in node.names)
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    words = {word.arg: word.value for word in node.keywords}
    if name in ("get_context", "set_start_method"):
        return not any(isinstance(value, ast.Constant) and value.value == "spawn" for value in node.args)
    return "preexec_fn" in words or (name == "ProcessPoolExecutor" and "mp_context" not in words)


@pytest.mark.parametrize(
    ("code", "does"),
    [
        ("os.fork()", True),
        ("from os import fork", True),
        ("pty.fork()", True),
        ("multiprocessing.get_context('fork')", True),
        ("multiprocessing.get_context()", True),
        ("ProcessPoolExecutor(2)", True),
        ("subprocess.run(command, preexec_fn=print)", True),
        ("multiprocessing.get_context('spawn')", False),
        ("cuda.record(self.fork, self.main)", False),
        ("pty.openpty()", False),
    ],
)
def test_what_copies_its_process_is_told_from_what_starts_another(code: str, does: bool) -> None:
    assert any(forks(node) for node in ast.walk(ast.parse(code))) is does


def test_no_test_forks_the_process_that_runs_the_tests() -> None:
    """Its copy lacks the threads of the libraries in it and may end by a signal: a program of its own is to fork."""
    texts = {module_of(path): path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py")}
    programs = {
        module
        for module, text in texts.items()
        if re.search("fork|preexec_fn|get_context|set_start_method|ProcessPoolExecutor", text)
        and any(map(forks, ast.walk(ast.parse(text))))
    }
    assert "tests.runtime.forked_screener" in programs
    assert [module for module in programs if re.fullmatch("(test_.*|conftest)", module.split(".")[-1])] == []
    for program in programs:
        package, _, name = program.rpartition(".")
        imported = re.compile(rf"^ *from {package}(\.{name} import | import .*\b{name}\b)", re.MULTILINE)
        others = (module for module in texts if not module.startswith("tests.bench."))  # where all are programs
        assert [module for module in others if imported.search(texts[module])] == [], f"{program} is not to be imported"


WRITES_BY_ITSELF = {
    "device.outputs": "the one that does it",
    "device.cameras.stills": "in a temporary folder of its own",
    "runtime.bench.peers.peer": "in a temporary folder of its own",
    "runtime.bench.measure.cold_start": "in a temporary folder of its own",
    "runtime.daemon.golden": "for developers: writes the golden messages anew",
    "runtime.trust.issues": "into what mkstemp made, synced to the disk",
    "runtime.bundles.flushed": "into what mkstemp made, synced to the disk before its rename",
    "runtime.bundles.unpack": "each file new and synced, in a folder that mkdtemp made",
    "runtime.fleet.pull": "opened without following a link, locked before it is filled",
    "runtime.exam.journal.images": "in the journal's own folders, each file new",
    "device.streams": "standard streams, by numbers that are open",
}


def writes(node: ast.AST) -> bool:
    """Whether this is a call that makes a file by its name and would follow a link; mode "x" never does."""
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if name in ("write_text", "write_bytes", "imwrite", "touch", "savez", "copyfile", "copy2", "copytree"):
        return True
    modes = [
        value.value
        for value in (*node.args, *(word.value for word in node.keywords))
        if isinstance(value, ast.Constant)
    ]
    return name == "open" and any(
        isinstance(mode, str) and re.fullmatch("[wa]b?[+]?|r[+]b?|rb[+]", mode) for mode in modes
    )


def test_files_are_written_by_device_outputs() -> None:
    """It alone follows no link and gives the mode at creation: write_whole, writing or an OutputFolder."""
    found = {
        module
        for module, path in FILES.items()
        if module.split(".")[0] in ("device", "runtime")
        and any(writes(node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert found - WRITES_BY_ITSELF.keys() == set(), "write files with device.outputs"
