"""The pins: whole, without an address, fit for setup.cfg; and what stands in an installation's way is one line."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "constraints").glob("*.txt"))


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / "constraints" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["install"] = module
    spec.loader.exec_module(module)
    return module


install = load()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one package, `tiny`, whose pins and packages a test spoils; in a folder with a space in its name."""
    folder = tmp_path / "a project"
    (folder / "constraints").mkdir(parents=True)
    (folder / "setup.cfg").write_text(
        "[metadata]\nname = whole\nversion = 1\n[options]\npy_modules =\ninstall_requires =\n    tiny>=2\n"
        "[options.extras_require]\nsome =\n    tiny\n"
    )
    (folder / "constraints" / "all.txt").write_text("tiny==2.5\n")
    (folder / "wheels").mkdir()
    for version in ("2.4", "2.5"):
        wheel(folder / "wheels", version)
    monkeypatch.setattr(install, "HERE", folder / "constraints")
    monkeypatch.setattr(install, "PROJECT", folder)
    monkeypatch.setattr(install, "RECIPES", {"cart": install.Recipe("all.txt", project=False)})
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", (folder / "wheels").as_uri())
    monkeypatch.setenv("PIP_RETRIES", "1")
    return folder


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that is made once."""
    folder = tmp_path_factory.mktemp("environment") / ".venv"
    install.make(folder)
    return folder


@pytest.fixture
def environment(empty: Path) -> Path:
    """The same without what a test before this one installed."""
    for path in empty.glob("lib/python*/site-packages/tiny*"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return empty


def wheel(folder: Path, version: str, needs: str = "") -> None:
    with zipfile.ZipFile(folder / f"tiny-{version}-py3-none-any.whl", "w") as file:
        info = f"tiny-{version}.dist-info"
        file.writestr("tiny.py", "")
        needed = f"Requires-Dist: {needs}\n" if needs else ""
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n{needed}")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", "")


def line_of(environment: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that an installation ends in, with exit code 2."""
    install.RECIPES["cart"] = install.Recipe("all.txt", whole=True)
    assert install.main(["cart", "--venv", str(environment)]) == 2
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    return said


def test_the_files_name_no_address_and_no_folder() -> None:
    assert {path.name for path in LOCKS} == {"all.txt", "cart.txt", "cart-tensorrt.txt", "floors.txt"}
    for path in LOCKS:
        assert not re.search(r"://|/work|/opt|/home|--index|--find-links", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_telemetry_and_the_gpu_half_of_pytorch_are_pinned_nowhere(path: Path) -> None:
    names = set(install.read_pins(path))
    assert "openvino-telemetry" not in names
    assert not {name for name in names if name.startswith(("nvidia-cu", "nvidia-nccl"))} | (names & {"triton"})


@pytest.mark.parametrize("recipe", [name for name, recipe in install.RECIPES.items() if recipe.lock])
def test_the_pins_fulfil_setup_cfg(recipe: str) -> None:
    made = install.RECIPES[recipe]
    install.check_pins(made, install.read_pins(ROOT / "constraints" / made.lock), Path(sys.executable))


@pytest.mark.parametrize("name", ["cart.txt", "cart-tensorrt.txt"])
def test_a_cart_has_hashes_and_the_versions_that_are_tested(name: str) -> None:
    text = (ROOT / "constraints" / name).read_text(encoding="utf-8")
    pins, tested = install.read_pins(ROOT / "constraints" / name), install.read_pins(ROOT / "constraints" / "all.txt")
    assert {package: [version for version, _ in found] for package, found in pins.items()} == {
        package: [version for version, _ in tested[package]] for package in pins
    }
    for block in re.split(r"\n(?=[a-z])", text)[1:]:
        assert "--hash=sha256:" in block, block.split("\n", maxsplit=1)[0]
    assert ("openvino" in pins) == (name == "cart.txt")


def test_a_tiny_project_installs_without_a_home(
    project: Path, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME", raising=False)
    install.RECIPES["cart"] = install.Recipe("all.txt", extras=("some",), project=False)
    for home in (None, "/proc/nowhere"):
        if home is not None:
            monkeypatch.setenv("HOME", home)
        assert install.main(["cart", "--venv", str(environment)]) == 0


def test_what_pip_is_told_elsewhere_keeps_nothing_out_of_the_environment(
    project: Path, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install.RECIPES["cart"] = install.Recipe("all.txt", extras=("some",), project=False)
    for name, value in (("TARGET", str(project / "elsewhere")), ("DRY_RUN", "1"), ("USER", "1")):
        monkeypatch.setenv(f"PIP_{name}", value)
    assert install.main(["cart", "--venv", str(environment)]) == 0
    asked = [
        str(environment / "bin" / "python"),
        "-c",
        "from importlib.metadata import version; print(version('tiny'))",
    ]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == "2.5"
    assert not (project / "elsewhere").exists()


def test_packages_that_only_the_callers_python_sees_are_installed_all_the_same(
    project: Path, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip would say of them that they are there, and they are gone with the caller's PYTHONPATH."""
    elsewhere = project / "elsewhere"
    with zipfile.ZipFile(project / "wheels" / "tiny-2.5-py3-none-any.whl") as file:
        file.extractall(elsewhere)
    monkeypatch.setenv("PYTHONPATH", str(elsewhere))
    monkeypatch.setenv("PYTHONWARNINGS", "error")
    install.RECIPES["cart"] = install.Recipe("all.txt", extras=("some",), project=False)
    assert install.main(["cart", "--venv", str(environment)]) == 0
    assert list(environment.glob("lib/python*/site-packages/tiny.py"))


def test_a_list_that_was_cut_off_is_refused(
    project: Path, environment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What setup.cfg asks for stands on it, what that needs stood on a line that is gone."""
    (project / "wheels" / "tiny-2.5-py3-none-any.whl").unlink()
    wheel(project / "wheels", "2.5", needs="Other.Package>=1")
    said = line_of(environment, capsys)
    assert "all.txt is not whole: tiny needs other-package, which it does not pin; fetch it again" in said
    (project / "constraints" / "left-out.in").write_text('# not wanted\nother-package ; python_version < "3.10"\n')
    pins = install.read_pins(project / "constraints" / "all.txt")
    install.check_whole(install.Recipe("all.txt"), pins, environment / "bin" / "python")


def test_an_environment_that_was_stopped_before_its_pip_came_gets_one(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")], check=True)
    python = install.make(tmp_path / "venv")
    subprocess.run([str(python), "-m", "pip", "--version"], check=True, stdout=subprocess.DEVNULL)


def test_where_no_environment_can_be_made_none_is_left(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Debian's Python without python3-venv: it makes the folder and its Python first."""
    python = project / "python-of-debian"
    python.write_text(
        f'#!/bin/sh\n{sys.executable} -m venv --without-pip "$3"\n'
        "echo 'The virtual environment was not created successfully because ensurepip is not available.'\nexit 1\n"
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    assert "apt-get install python3-venv" in line_of(project / ".venv", capsys)
    assert not (project / ".venv").exists()


def test_two_installations_of_one_clone_take_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[Path] = []
    said = ""
    monkeypatch.setattr(install, "install", lambda recipe, venv, wheelhouse: done.append(venv))
    second = threading.Thread(target=install.main, args=(["cart", "--venv", str(tmp_path / "venv")],))
    with install.alone():
        second.start()
        while "another installation of this clone is at work" not in said:
            assert second.is_alive()
            said += capsys.readouterr().err
            time.sleep(0.01)
        assert not done
    second.join()
    assert done == [tmp_path / "venv"]


def test_of_a_fault_of_pip_itself_the_last_line_is_said() -> None:
    told = "Collecting tiny\nERROR: Exception:\nTraceback (most recent call last):\n  File x\nValueError: broken\n"
    assert install.last_line(told) == "ValueError: broken"


def test_what_builds_the_project_is_pinned_also_from_a_folder_with_a_space(
    project: Path, environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "constraints" / "all.txt").write_text("tiny==2.4\n")
    given: list[dict[str, str]] = []
    monkeypatch.setattr(install, "run", lambda command, surroundings, venv: given.append(surroundings))
    install.install(install.Recipe("all.txt", slim=True), environment)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "tiny"]
    told = subprocess.run(pip, env=given[-1], capture_output=True, text=True, check=False)
    assert "tiny-2.4" in told.stdout, told.stderr


def test_an_index_whose_certificate_nobody_here_trusts_is_said_to_be_that() -> None:
    """As pip 25 says it behind a network that opens what is encrypted."""
    told = (
        "Could not fetch URL https://localhost:1/simple/tiny/: There was a problem confirming the ssl certificate: "
        "HTTPSConnectionPool(host='localhost', port=1): Max retries exceeded with url: /simple/tiny/ (Caused by "
        "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: "
        "self-signed certificate (_ssl.c:1006)'))) - skipping\n"
        "ERROR: Could not find a version that satisfies the requirement tiny==2.5 (from versions: none)\n"
        "ERROR: No matching distribution found for tiny==2.5\n"
    )
    said = install.explain(told)
    assert "certificate is not trusted (certificate verify failed: self-signed certificate)" in said
    assert "tiny==2.5" in said
    assert "PIP_CERT" in said


def test_who_stops_it_is_told_how_it_goes_on(
    project: Path, environment: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(install, "run", stopped)
    assert install.main(["cart", "--venv", str(environment)]) == 130
    assert capsys.readouterr().err == f"{environment}: stopped, not whole; the same command goes on\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such file; fetch it again"),
        (b"\xff\xfe\x00tiny", "cannot be read"),
        (b"", "there is no pin in it"),
        (b"<<<<<<< HEAD\ntiny==2.5\n", "line 1: '<<<<<<< HEAD' is no pin"),
        (b"tiny>=2\n", "line 1: 'tiny>=2' is no pin"),
        (b"tiny==1.9\n", "older than setup.cfg, which asks for tiny>=2: it pins 1.9; write it again: make constraints"),
        (b"other==1\n", "older than setup.cfg, which asks for tiny>=2: it does not pin it"),
        (b"tiny==2.9\n", "the package index has no tiny==2.9: it has 2.4, 2.5; use another, or pin what it has"),
    ],
    ids=["missing", "binary", "empty", "merge", "no pin", "older", "not pinned", "mirror lacks it"],
)
def test_unusable_pins_are_one_line(
    project: Path, environment: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, words: str
) -> None:
    path = project / "constraints" / "all.txt"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    assert words in line_of(environment, capsys)


def test_a_file_that_is_not_the_pinned_one_is_refused(
    project: Path, environment: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "constraints" / "all.txt").write_text(f"tiny==2.5 \\\n    --hash=sha256:{'0' * 64}\n")
    assert line_of(environment, capsys).startswith("tiny==2.5: the file that came is not the one that was pinned")


@pytest.mark.parametrize("at_hand", ["", "2.4"])
def test_without_a_network_the_way_out_is_named(
    project: Path, environment: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, at_hand: str
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    if at_hand:
        (project / "wheels" / "tiny-2.5-py3-none-any.whl").unlink()
    else:
        monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")  # nobody listens there
    said = line_of(environment, capsys)
    assert said.startswith("no package index can be reached")
    assert (f"at hand: only {at_hand}" in said) == bool(at_hand)
    assert "docs/offline.md" in said


def test_a_folder_that_cannot_be_written_is_named(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / ".venv").write_text("a file where the folder should be")
    assert str(project / ".venv") in line_of(project / ".venv", capsys)


def test_an_environment_of_another_python_is_refused(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / ".venv" / "bin").mkdir(parents=True)
    python = project / ".venv" / "bin" / "python"
    python.write_text("#!/bin/sh\necho 3.9\n")
    python.chmod(0o755)
    assert "is of Python 3.9, asked for is" in line_of(project / ".venv", capsys)


@pytest.mark.system
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_make_refuses_an_old_python_and_one_that_is_not_the_environments(tmp_path: Path) -> None:
    for name in ("Makefile", "setup.cfg"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "constraints", tmp_path / "constraints")
    pins = re.search(r"^PINS := ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert pins is not None
    sources = re.findall(r"[\w/]+\.[ch]\b", pins[1])
    assert "device/yuv.c" in sources
    for name in ("setup.py", "pyproject.toml", "device/compiled.py", *sources):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    old = tmp_path / "python-of-old"
    patched = "import sys; sys.version_info = (3, 9, 18); sys.version = '3.9.18 (main)'; exec(sys.argv[1])"
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{patched}" "$2"\n')
    old.chmod(0o755)
    made = make(tmp_path, f"PYTHON={old}", "run")
    assert made.returncode == 2
    assert made.stderr.splitlines()[0].startswith("Python 3.10 or newer is needed, this is 3.9.18; name another")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in (".cart", "bin/python"):
        (tmp_path / ".venv" / name).write_text("#!/bin/sh\necho 3.9\n")
    (tmp_path / ".venv" / "bin" / "python").chmod(0o755)
    made = make(tmp_path, f"PYTHON={sys.executable}", "run")
    assert made.returncode == 2
    assert "is of Python 3.9, asked for is" in made.stderr.splitlines()[0]


def make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(["make", *words], cwd=folder, env=surroundings, capture_output=True, text=True, check=False)


def test_what_no_cart_uses_is_removed_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "packages"
    kept = (
        "openvino/libs/libopenvino_intel_cpu_plugin.so",
        "openvino/libs/libopenvino_onnx_frontend.so.2641",
        "numpy/testing/x",
        "numpy/_core/tests/_natype.py",
    )
    gone = ("openvino/libs/libopenvino_intel_gpu_plugin.so", "numpy/lib/tests/test_io.py", "numpy/_core/tests/data/a")
    for name in (*kept, *gone):
        (packages / name).parent.mkdir(parents=True, exist_ok=True)
        (packages / name).write_text("")
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho {packages}\n")
    python.chmod(0o755)
    install.slim(python)
    install.slim(python)  # a second installation finds nothing left
    left = {str(path.relative_to(packages)) for path in packages.rglob("*") if path.is_file()}
    assert left == set(kept)


def test_a_slim_environment_that_becomes_a_whole_one_gets_back_what_was_removed(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "constraints" / "unused.list").write_text("tiny.py\n")
    monkeypatch.setattr(install.slim, "__defaults__", (project / "constraints" / "unused.list",))
    cart = install.Recipe("all.txt", project=False, extras=("some",), slim=True)
    monkeypatch.setattr(install, "RECIPES", {"cart": cart, "test": replace(cart, slim=False)})
    venv = tmp_path / "venv"

    def is_there_after(recipe: str) -> bool:
        assert install.main([recipe, "--venv", str(venv)]) == 0
        return bool(list(venv.glob("lib/python*/site-packages/tiny.py")))

    assert not is_there_after("cart")
    assert is_there_after("test")
    assert not is_there_after("cart")
    assert is_there_after("test")
    (venv / ".test").touch()  # as make does once the whole one stands: a cart's recipe must not take from it
    assert is_there_after("cart")


def test_patterns_stay_beneath_the_packages() -> None:
    lines = (ROOT / "constraints" / "unused.list").read_text(encoding="utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns
    for pattern in patterns:
        assert not pattern.startswith(("/", "*")), pattern
        assert ".." not in pattern, pattern


def test_numpys_public_modules_stay_all() -> None:
    """`from numpy import *`, as SciPy has it, imports each of them."""
    numpy = pytest.importorskip("numpy")
    lines = set((ROOT / "constraints" / "unused.list").read_text(encoding="utf-8").splitlines())
    assert not {f"numpy/{name}" for name in numpy.__all__} & lines


def test_an_environment_that_must_see_the_system_is_one_that_does(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        install, "RECIPES", {"jetson": install.Recipe("all.txt", extras=("some",), project=False, system=True)}
    )
    assert install.main(["jetson", "--venv", str(tmp_path / "new")]) == 0
    assert "include-system-site-packages = true" in (tmp_path / "new" / "pyvenv.cfg").read_text()
    assert install.main(["jetson", "--venv", str(tmp_path / "new")]) == 0  # it is there, and sees them
    shutil.rmtree(tmp_path / "new")
    install.make(tmp_path / "new")
    capsys.readouterr()
    assert install.main(["jetson", "--venv", str(tmp_path / "new")]) == 2
    assert "does not see the system's packages" in capsys.readouterr().err
