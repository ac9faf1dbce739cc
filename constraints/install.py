"""Makes a virtual environment of the pinned packages; whatever is in the way is said in one line, exit code 2."""

from __future__ import annotations

import argparse
import configparser
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent

UNREACHABLE = re.compile(
    r"NewConnectionError|NameResolutionError|Temporary failure in name resolution|Name or service not known"
    r"|Network is unreachable|Connection refused|ConnectTimeout|ReadTimeout|ProxyError|connection broken"
)
UNTRUSTED = re.compile(r"CERTIFICATE_VERIFY_FAILED\] (?P<why>[^(\n]+)")
MISSING = re.compile(r"satisfies the requirement (?P<what>\S+)[^\n]*\(from versions: (?P<offered>[^)]*)\)")
HASH = re.compile(r"THESE PACKAGES DO NOT MATCH THE HASHES.*?\n\s+(?P<what>[\w.\-]+==\S+)", re.DOTALL)
FOLDER = re.compile(r"\[Errno (?:13|28|30|122)\] (?P<why>[^:]+): '?(?P<where>[^'\n]+)'?")
PIN = re.compile(r"(?P<name>[A-Za-z0-9][\w.\-]*)==(?P<version>[^\s;\\]+)\s*(?:;\s*(?P<marker>[^\\]*))?\\?$")


ELSEWHERE = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_DRY_RUN", "PIP_CONSTRAINT", "PIP_REQUIREMENT")
"""What would have pip install elsewhere, nothing, or something else; an index and its certificate stay as named."""
OF_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "PYTHONSTARTUP", "PYTHONINSPECT")
"""What shows an environment's Python other packages (pip would not install what it sees there), or has pip fail."""
WHOLE = (".build", ".test")
"""Stamps of the recipes that need what `unused.list` names: where one stands, a cart's recipe removes nothing."""


class CannotInstall(Exception):
    """The environment cannot be made; the text says what, got, expected, do this, in one line."""


@dataclass(frozen=True)
class Recipe:
    """What one environment is made of."""

    lock: str = ""
    """The file of pins, in this folder; without one the newest of everything is taken."""
    whole: bool = False
    """The lock names all that is installed: nothing is looked for beyond it."""
    extras: tuple[str, ...] = ()
    """Extras of setup.cfg that the lock must fulfil, and that are installed where it is not the whole list."""
    more: tuple[str, ...] = ()
    """Extras whose packages are installed on top of a whole lock, pinned by all.txt."""
    project: bool = True
    """The project itself is installed; without it only what the extras name."""
    system: bool = False
    """The environment sees the system's packages: on a Jetson, TensorRT is one of them."""
    slim: bool = False
    """What `unused.list` names is removed, unless the environment is a whole one too, and bytecode is made by the
    modules' first use, not for all of them."""


RECIPES: Mapping[str, Recipe] = {
    "cart": Recipe("cart.txt", whole=True, extras=("cart",), slim=True),
    "cart-tensorrt": Recipe("cart-tensorrt.txt", whole=True, extras=("cart", "tensorrt"), slim=True),
    "jetson": Recipe("cart-tensorrt.txt", whole=True, extras=("cart", "tensorrt"), system=True, slim=True),
    "test-cart": Recipe("cart.txt", whole=True, extras=("cart",), more=("test",), slim=True),
    "build": Recipe("all.txt", extras=("build", "evaluate")),
    "test": Recipe("all.txt", extras=("build", "evaluate", "test", "dev")),
    "fleet": Recipe("all.txt", extras=("cart", "fleet", "test")),
    "release": Recipe("all.txt", extras=("release",), project=False),
    "floors": Recipe("floors.txt", whole=True, extras=("test",)),
    "latest": Recipe(extras=("build", "evaluate", "test", "dev")),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; see `--help`."""
    parser = argparse.ArgumentParser(prog="constraints/install.py", description=__doc__)
    parser.add_argument("recipe", choices=[*RECIPES, "fits"], help="what to install; fits: only look at the Python")
    parser.add_argument("--venv", type=Path, default=PROJECT / ".venv", help="the environment (default .venv)")
    parser.add_argument("--wheelhouse", type=Path, help="take every package from this folder, without a network")
    options = parser.parse_args(arguments)
    try:
        fits(options.venv)
        if options.recipe != "fits":
            with alone():
                install(RECIPES[options.recipe], options.venv, options.wheelhouse)
    except CannotInstall as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        print(f"{options.venv}: stopped, not whole; the same command goes on", file=sys.stderr)  # noqa: T201
        return 130
    return 0


@contextmanager
def alone() -> Iterator[None]:
    """Two installations of one clone take turns: each would find the other's packages half written."""
    with Path(__file__).open("rb") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another installation of this clone is at work: waiting for its end", file=sys.stderr)  # noqa: T201
            fcntl.flock(held, fcntl.LOCK_EX)
        except OSError:
            pass  # a file system without locks
        yield


def fits(venv: Path) -> None:
    """Refuse an environment of another Python than the one that runs this: it would silently be taken instead."""
    python = venv / "bin" / "python"
    if not python.exists():
        return
    asked = "{}.{}".format(*sys.version_info[:2])
    command = [str(python), "-c", "import sys; print('{}.{}'.format(*sys.version_info[:2]))"]
    got = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    if got != asked:
        raise CannotInstall(
            f"{venv} is of Python {got or '(broken)'}, asked for is {asked}: name another folder "
            f"(make PYTHON=... VENV=.venv-{asked} ...) or remove this one (rm -r {venv})"
        )


def install(recipe: Recipe, venv: Path, wheelhouse: Path | None = None) -> None:
    """Make the environment if there is none, and bring what the recipe names into it.

    Raises `CannotInstall`.
    """
    if recipe.lock and not recipe.project and not (HERE / recipe.lock).exists():
        recipe = replace(recipe, lock="")  # the tools that write the pins must come before there are any
    pins = read_pins(HERE / recipe.lock) if recipe.lock else {}
    python = make(venv, system=recipe.system)
    if pins:
        check_pins(recipe, pins, python)
    pip = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--progress-bar=off"]
    if recipe.slim:
        pip.append("--no-compile")
    if wheelhouse is not None:
        pip += ["--no-index", "--find-links", str(wheelhouse.resolve())]
    everything = str(HERE / "all.txt")
    project = str(PROJECT) + (f"[{','.join(recipe.extras)}]" if recipe.extras and not recipe.whole else "")
    plain = own_environment(os.environ)
    # What builds the project in an environment of its own is pinned too; a space would end a path there, no address.
    named = (HERE / "all.txt").as_uri()
    surroundings = plain | ({"PIP_CONSTRAINT": named, "PIP_BUILD_CONSTRAINT": named} if recipe.lock else {})
    if recipe.whole:
        hashed = ["--require-hashes"] if "--hash=" in (HERE / recipe.lock).read_text(encoding="utf-8") else []
        run([*pip, "--no-deps", *hashed, "--requirement", str(HERE / recipe.lock)], plain, venv)
        check_whole(recipe, pins, python)
        if recipe.more:
            run([*pip, "--constraint", everything, *requirements(recipe.more, core=False)], plain, venv)
        run([*pip, "--no-deps", "--editable", project], surroundings, venv)
    elif not recipe.project:
        pinned = ["--constraint", everything] if recipe.lock else []
        run([*pip, *pinned, *requirements(recipe.extras, core=False)], plain, venv)
    elif recipe.lock:
        run([*pip, "--editable", project], surroundings, venv)
    else:
        run([*pip, "--upgrade", "--upgrade-strategy=eager", "--editable", project], surroundings, venv)
    if recipe.slim and not any((venv / stamp).exists() for stamp in WHOLE):
        slim(python)
    elif not recipe.slim:
        restore(python, pip, everything if recipe.lock else None, venv)


def slim(python: Path, listed: Path = HERE / "unused.list") -> None:
    """`remove_unused` from an environment. A pattern that fits nothing is none the worse."""
    ask = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    remove_unused(Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()), listed)


def remove_unused(packages: Path, listed: Path = HERE / "unused.list") -> None:
    """Remove what `unused.list` names from a folder of packages. Raises `CannotInstall`."""
    try:
        lines = listed.read_text(encoding="utf-8").splitlines()
        for pattern in (line for line in lines if line and not line.startswith("#")):
            for found in packages.glob(pattern):
                if found.is_dir() and not found.is_symlink():
                    shutil.rmtree(found)
                else:
                    found.unlink()
    except OSError as error:
        raise CannotInstall(f"{packages}: what a cart does not use cannot be removed ({error})") from None


INCOMPLETE = """
import csv
from importlib.metadata import distributions
for package in distributions():  # by its RECORD: `files` of Python 3.12 and newer leaves out what is missing
    named = [row[0] for row in csv.reader((package.read_text("RECORD") or "").splitlines()) if row]
    if any(not name.endswith(".pyc") and not package.locate_file(name).exists() for name in named):
        print("{}=={}".format(package.metadata["Name"], package.version))
"""


def restore(python: Path, pip: list[str], pinned: str | None, venv: Path) -> None:
    """Install anew the packages of which files are missing: a cart's environment that becomes a whole one was slim.

    Raises `CannotInstall`.
    """
    told = subprocess.run([str(python), "-c", INCOMPLETE], capture_output=True, text=True, check=False)
    if told.returncode:
        raise CannotInstall(f"{python}: cannot be asked what is installed ({last_line(told.stderr)}); remove {venv}")
    packages = sorted(set(told.stdout.split()))
    if packages:
        constraint = ["--constraint", pinned] if pinned else []
        run([*pip, *constraint, "--no-deps", "--force-reinstall", *packages], own_environment(os.environ), venv)


def read_pins(path: Path) -> dict[str, list[tuple[str, str]]]:
    """The pins of a file written by `make constraints`: for each package its versions, each with its marker.

    Raises `CannotInstall` where the file is missing, unreadable or written otherwise.
    """
    again = "fetch it again (git checkout constraints) or write it (make constraints)"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CannotInstall(f"{path}: there is no such file; {again}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CannotInstall(f"{path}: cannot be read ({error}); {again}") from None
    pins: dict[str, list[tuple[str, str]]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#") or line.lstrip().startswith("--hash=sha256:"):
            continue
        found = PIN.match(line)
        if found is None:
            raise CannotInstall(f"{path}, line {number}: {line.strip()[:60]!r} is no pin (name==version); {again}")
        marker = (found["marker"] or "").strip()
        pins.setdefault(canonical(found["name"]), []).append((found["version"], marker))
    if not pins:
        raise CannotInstall(f"{path}: there is no pin in it; {again}")
    return pins


def canonical(name: str) -> str:
    """A package's name as all write it alike."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(extras: tuple[str, ...], *, core: bool = True) -> list[str]:
    """What setup.cfg asks for, with these extras."""
    config = configparser.ConfigParser()
    config.read(PROJECT / "setup.cfg", encoding="utf-8")
    asked = config["options"]["install_requires"] if core else ""
    for extra in extras:
        asked += "\n" + config["options.extras_require"][extra]
    return [line.strip() for line in asked.splitlines() if line.strip()]


CHECK = """
import sys
from pip._vendor.packaging.markers import Marker
from pip._vendor.packaging.requirements import Requirement
for line in sys.stdin.read().splitlines():
    asked, _, pins = line.partition("\\t")
    asked = Requirement(asked)
    if asked.marker is not None and not asked.marker.evaluate():
        continue
    pins = [pin.partition("|") for pin in pins.split("\\t") if pin]
    here = [version for version, _, marker in pins if not marker or Marker(marker).evaluate()]
    if not here or not asked.specifier.contains(here[0], prereleases=True):
        print("{}\\t{}".format(asked, here[0] if here else ""))
"""


def check_pins(recipe: Recipe, pins: dict[str, list[tuple[str, str]]], python: Path) -> None:
    """Refuse pins that are older than setup.cfg: what it asks for must be among them, in a version that it takes."""
    left_out = {"openvino"} if recipe.lock == "cart-tensorrt.txt" else set()
    lines = []
    for asked in requirements(recipe.extras, core=recipe.project):
        name = canonical(re.split(r"[\s\[;<>=!~]", asked, maxsplit=1)[0])
        if name not in left_out:
            lines.append("\t".join([asked, *("|".join(pin) for pin in pins.get(name, []))]))
    told = subprocess.run(
        [str(python), "-c", CHECK], input="\n".join(lines), capture_output=True, text=True, check=False
    )
    if told.returncode:
        raise CannotInstall(
            f"{python}: pip cannot be used ({last_line(told.stderr)}); remove the environment and try again"
        )
    if told.stdout:
        asked, _, pinned = told.stdout.splitlines()[0].partition("\t")
        what = f"pins {pinned}" if pinned else "does not pin it"
        raise CannotInstall(
            f"{HERE / recipe.lock} is older than setup.cfg, which asks for {asked}: it {what}; "
            "write it again: make constraints"
        )


LACKS = """
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pip._vendor.packaging.requirements import Requirement
from pip._vendor.packaging.utils import canonicalize_name
pins, left_out = (line.split() for line in sys.stdin.read().splitlines())
for pin in pins:
    try:
        asked = [Requirement(line) for line in distribution(pin).requires or ()]
    except PackageNotFoundError:  # pinned for another Python or machine
        continue
    for one in asked:
        name = canonicalize_name(one.name)
        if name in left_out or one.marker is not None and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            distribution(name)
        except PackageNotFoundError:
            print(pin, name)
"""


def check_whole(recipe: Recipe, pins: dict[str, list[tuple[str, str]]], python: Path) -> None:
    """Refuse a list that is not whole, as one that was cut off: each package on it must find what it needs."""
    lists = ["left-out.in", *(["no-openvino.in"] if recipe.lock == "cart-tensorrt.txt" else [])]
    lines = [line for path in map(HERE.joinpath, lists) if path.exists() for line in path.read_text().splitlines()]
    left_out = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    asked = f"{' '.join(pins)}\n{' '.join(left_out)}\n"
    told = subprocess.run(
        [str(python), "-c", LACKS],
        input=asked,
        capture_output=True,
        text=True,
        check=False,
        env=own_environment(os.environ),
    )
    if told.returncode:
        raise CannotInstall(f"{python}: cannot be asked what is installed ({last_line(told.stderr)}); remove it")
    if told.stdout:
        package, lacking = told.stdout.splitlines()[0].split()
        raise CannotInstall(
            f"{HERE / recipe.lock} is not whole: {package} needs {lacking}, which it does not pin; fetch it again "
            "(git checkout constraints) or write it (make constraints)"
        )


def make(venv: Path, *, system: bool = False) -> Path:
    """The environment's Python; the environment is made first where there is none.

    system: it sees the system's packages. Raises `CannotInstall` where one is there that does not.
    """
    python = venv / "bin" / "python"
    if python.exists():
        settings = venv / "pyvenv.cfg"
        seen = "include-system-site-packages = true" in settings.read_text(encoding="utf-8") if system else True
        if not seen:
            raise CannotInstall(
                f"{venv} does not see the system's packages, as this one must: name another folder "
                f"(make VENV=.venv-jetson jetson) or remove this one (rm -r {venv})"
            )
        bring_pip(python)
        return python
    was_there = venv.exists()
    command = [sys.executable, "-m", "venv", *(["--system-site-packages"] if system else []), str(venv)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode or not python.exists():
        told = made.stdout + made.stderr
        if not was_there:
            shutil.rmtree(venv, ignore_errors=True)  # half an environment would pass for one at the next call
        if "ensurepip" in told or "No module named venv" in told:
            raise CannotInstall(
                f"{sys.executable} cannot make environments (no venv, or no ensurepip); install them: "
                "apt-get install python3-venv"
            )
        raise CannotInstall(explain(told) or f"{venv}: cannot be made: {last_line(told)}")
    return python


def bring_pip(python: Path) -> None:
    """An environment that was stopped while it was made, or made by uv, has no pip; where there is none to bring,
    `check_pins` says so."""
    plain = own_environment(os.environ)
    if subprocess.run(
        [str(python), "-c", "import pip._internal"], capture_output=True, env=plain, check=False
    ).returncode:
        subprocess.run([str(python), "-m", "ensurepip"], capture_output=True, env=plain, check=False)


def own_environment(given: Mapping[str, str]) -> dict[str, str]:
    """The user's environment without what would keep pip from installing the pins into the virtual environment."""
    kept = {name: value for name, value in given.items() if name not in (*ELSEWHERE, *OF_PYTHON)}
    return kept | {"PIP_USER": "0"}


def run(command: list[str], surroundings: Mapping[str, str], venv: Path) -> None:
    """Run pip; what it said stays in `install.log` of the environment. Raises `CannotInstall`."""
    try:
        with (venv / "install.log").open("w", encoding="utf-8") as log:
            code = subprocess.run(
                command, stdout=log, stderr=subprocess.STDOUT, env=dict(surroundings), check=False
            ).returncode
    except OSError as error:
        raise CannotInstall(f"{venv}: cannot be written ({error.strerror})") from None
    if code:
        told = (venv / "install.log").read_text(encoding="utf-8", errors="replace")
        raise CannotInstall(f"{explain(told) or last_line(told)} [all that pip said: {venv / 'install.log'}]")


def explain(told: str) -> str:
    """Pip's pages as one line; nothing where they are of no known kind."""
    unreachable = UNREACHABLE.search(told)
    if found := MISSING.search(told):
        if untrusted := UNTRUSTED.search(told):
            return (
                f"the package index's certificate is not trusted ({untrusted['why'].strip()}), while looking for "
                f"{found['what']}; name your network's authority to pip (PIP_CERT=FILE), or install from a wheelhouse "
                "(docs/offline.md)"
            )
        offered = [name.strip() for name in found["offered"].split(",") if name.strip() not in ("", "none")]
        if unreachable:
            at_hand = f" (at hand: only {', '.join(offered[-3:])})" if offered else ""
            return (
                f"no package index can be reached ({unreachable.group(0)}) while looking for {found['what']}{at_hand}; "
                "connect this machine, or install from a wheelhouse (docs/offline.md)"
            )
        has = (
            f"it has {', '.join(offered[-3:])}"
            if offered
            else "it has none that fits this Python and machine, or it cannot be reached"
        )
        return f"the package index has no {found['what']}: {has}; use another, or pin what it has (make constraints)"
    if found := HASH.search(told):
        return (
            f"{found['what']}: the file that came is not the one that was pinned (SHA-256 differs); use another index"
        )
    if found := FOLDER.search(told):
        return f"{found['where']}: {found['why'].strip().lower()}; nothing can be installed there"
    if unreachable:
        return f"no package index can be reached ({unreachable.group(0)}); connect this machine, or see docs/offline.md"
    return ""


def last_line(told: str) -> str:
    """The last line that says something, an error where there is one."""
    lines = [line.strip() for line in told.splitlines() if line.strip()] or ["nothing was said"]
    errors = [line for line in lines if line.lower().startswith("error") and not line.endswith("Exception:")]
    return (errors or lines)[-1]


if __name__ == "__main__":
    sys.exit(main())
