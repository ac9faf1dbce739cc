"""Finishes the daemon's part of a Debian package. `daemon.py LIBRARY DEBIAN VERSION`, by the Python of VERSION.

LIBRARY/packages holds what a cart needs and this project, as pip installed them: what the daemon does without is
removed. Launchers and systemd units come beside it.
"""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALLED = Path("/usr/lib/ropscreend")
PROJECT, MORE = "rop-screening-runtime", ("cryptography",)
"""Signed bundles and profiles need the second."""
NOT_HERE = ("build_engines", "calibration", "bin")
COMPILED = ("device/_yuv*.so", "runtime/preprocess/_kernel*.so", "runtime/gate/_kernel*.so")
LAUNCHER = """\
#!/bin/sh
# The Python of ropscreend, with the packages that it was tested with and no others.
exec env -u PYTHONHOME PYTHONPATH={installed}/packages PYTHONDONTWRITEBYTECODE=1 /usr/bin/python{version} -s "$@"
"""
COMMAND = """\
#!/bin/sh
exec {installed}/python -m runtime.daemon "$@"
"""


def needed(installed: dict[str, Distribution]) -> set[str]:
    """The project's packages, and what those need in turn, by canonical name; no extras."""
    from pip._vendor.packaging.requirements import Requirement
    from pip._vendor.packaging.utils import canonicalize_name

    found, waiting = set[str](), [PROJECT, *MORE]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found or name not in installed:
            continue
        found.add(name)
        for text in installed[name].requires or ():
            asked = Requirement(text)
            if asked.marker is None or asked.marker.evaluate({"extra": ""}):
                waiting.append(asked.name)
    return found


def slim(packages: Path) -> None:
    """Leave what the daemon uses. Raises `SystemExit` where a compiled part is missing."""
    sys.path.insert(0, str(HERE.parent / "constraints"))
    from install import remove_unused
    from pip._vendor.packaging.utils import canonicalize_name

    for pattern in COMPILED:
        if not list(packages.glob(pattern)):
            raise SystemExit(f"{packages}: no {pattern}: a C compiler and python3-dev are needed")
    installed = {str(canonicalize_name(one.name)): one for one in distributions(path=[str(packages)])}
    for name in sorted(set(installed) - needed(installed)):
        for file in installed[name].files or ():
            path = Path(str(file.locate()))
            if packages in path.resolve().parents:
                path.unlink(missing_ok=True)
    for name in NOT_HERE:
        shutil.rmtree(packages / name, ignore_errors=True)
    remove_unused(packages)
    for folder in sorted((path for path in packages.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def main(library: Path, debian: Path, version: str) -> None:
    """Write into the tree of the package, and the units into `debian` where debhelper finds them."""
    slim((library / "packages").resolve())
    sys.path.insert(0, str(library / "packages"))
    from runtime.daemon.units import NAME, DaemonUnitOptions, service_unit, socket_unit

    command = library.parents[1] / "bin" / "ropscreend"
    command.parent.mkdir(parents=True, exist_ok=True)
    for path, text in ((library / "python", LAUNCHER), (command, COMMAND)):
        path.write_text(text.format(installed=INSTALLED, version=version))
        path.chmod(0o755)
    options = DaemonUnitOptions(INSTALLED / "python", ())
    (debian / f"{NAME}.service").write_text(service_unit(options))
    (debian / f"{NAME}.socket").write_text(socket_unit(options))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
