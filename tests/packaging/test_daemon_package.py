"""What of a cart's packages goes into the daemon's: the closure of what the project asks for, and no more."""

from __future__ import annotations

import importlib.util
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def daemon() -> ModuleType:
    spec = importlib.util.spec_from_file_location("daemon_package", ROOT / "packaging" / "daemon.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def installed(folder: Path, name: str, *requires: str) -> None:
    """As pip leaves a package with one module."""
    told = folder / f"{name.replace('-', '_')}-1.dist-info"
    told.mkdir(parents=True)
    module = f"{name.replace('-', '_')}.py"
    (folder / module).write_text("")
    asked = "".join(f"Requires-Dist: {one}\n" for one in requires)
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n{asked}")
    files = (module, f"{told.name}/METADATA", f"{told.name}/RECORD")
    (told / "RECORD").write_text("".join(f"{file},,\n" for file in files))


def packages(folder: Path) -> Path:
    installed(
        folder, "rop-screening-runtime", "numpy>=1.26", 'pynetdicom>=3; extra == "dicom"', 'tomli; python_version < "3"'
    )
    installed(folder, "numpy", "Deep_Below")
    installed(folder, "deep-below", "numpy")
    installed(folder, "cryptography")
    installed(folder, "pynetdicom")
    installed(folder, "tomli")
    kernels = ("device/_yuv.so", "runtime/preprocess/_kernel.so", "runtime/gate/_kernel.so")
    for compiled in (*kernels, "build_engines/x.py", "numpy/tests/x.py"):
        (folder / compiled).parent.mkdir(parents=True, exist_ok=True)
        (folder / compiled).write_text("")
    return folder


def test_what_the_daemon_needs_stays_and_nothing_else(daemon: ModuleType, tmp_path: Path) -> None:
    folder = packages(tmp_path / "packages")
    daemon.slim(folder)
    left = {one.name for one in distributions(path=[str(folder)])}
    assert left == {"rop-screening-runtime", "numpy", "deep-below", "cryptography"}
    assert sorted(path.name for path in folder.glob("*.py")) == [
        "cryptography.py",
        "deep_below.py",
        "numpy.py",
        "rop_screening_runtime.py",
    ]
    assert not list(folder.rglob("tests"))
    assert not (folder / "build_engines").exists()


@pytest.mark.parametrize("missing", ["device/_yuv.so", "runtime/preprocess/_kernel.so", "runtime/gate/_kernel.so"])
def test_a_package_without_its_compiled_parts_is_refused(daemon: ModuleType, tmp_path: Path, missing: str) -> None:
    folder = packages(tmp_path / "packages")
    (folder / missing).unlink()
    with pytest.raises(SystemExit, match="python3-dev"):
        daemon.slim(folder)
