"""Finishes the daemon's part of a Debian package: launchers and systemd units. `daemon.py LIBRARY DEBIAN PYTHON`."""

from __future__ import annotations

import sys
from pathlib import Path

INSTALLED = Path("/usr/lib/ropscreend")
LAUNCHER = """\
#!/bin/sh
# The Python of ropscreend, with the packages that it was tested with and no others.
exec env -u PYTHONHOME PYTHONPATH={installed}/packages PYTHONDONTWRITEBYTECODE=1 /usr/bin/python{version} -s "$@"
"""
COMMAND = """\
#!/bin/sh
exec {installed}/python -m runtime.daemon "$@"
"""


def main(library: Path, debian: Path, version: str) -> None:
    """Write into the tree of the package, and the units into `debian` where debhelper finds them."""
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
