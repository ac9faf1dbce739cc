"""Debian packages: built, judged by lintian, installed into a root of their own, and used from there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from runtime.daemon.client import Client
from runtime.daemon.measure import started
from tests.pictures import retina
from tests.runtime.daemon.c.building import ROOT, C, tool

pytestmark = pytest.mark.system
DEB = ROOT / "packaging" / "deb"
CHECK = "#include <ropscreen.h>\nint main(void) { return rop_version() == ROPSCREEN_VERSION ? 0 : 1; }\n"


def ran(*command: str | Path) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_the_packages_are_of_the_librarys_version() -> None:
    (version,) = re.findall(r"project\(ropscreen VERSION (\S+) ", (C / "CMakeLists.txt").read_text())
    debian = ROOT / "packaging" / "debian"
    assert (debian / "changelog").read_text().startswith(f"ropscreen ({version}) ")
    assert f"Package: libropscreen{version.split('.')[0]}\n" in (debian / "control").read_text()


def test_what_the_protocol_points_to_comes_with_it() -> None:
    """A maker of a client has the page and the examples of each message, not this repository."""
    documents = (ROOT / "packaging" / "debian" / "libropscreen-dev.docs").read_text().split()
    assert {"runtime/daemon/PROTOCOL.md", "runtime/daemon/golden_messages.json"} <= set(documents)
    assert all((ROOT / document).is_file() for document in documents)


@pytest.mark.parametrize("arguments", [[], ["--host"], ["--host", "arm64"], ["--of", "x"], ["--no-daemon"], ["a", "b"]])
def test_a_wrong_call_says_what_is_right(arguments: list[str]) -> None:
    done = subprocess.run([DEB, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "FOLDER" in done.stderr or "then a folder" in done.stderr


@pytest.mark.soak
@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_the_c_parts_install_and_serve(architecture: str, tmp_path: Path) -> None:
    if ran(tool("dpkg"), "--print-architecture").strip() != "amd64":
        pytest.skip("written for amd64, and arm64 by its cross compiler")
    for needed in ("dh", "lintian", "cmake", "pkg-config"):
        tool(needed)
    compiler, host, run = "gcc", ["--no-daemon"], []
    if architecture == "arm64":
        compiler, host = "aarch64-linux-gnu-gcc", ["--host", "arm64"]
        run = [tool("qemu-aarch64-static"), "-L", "/usr/aarch64-linux-gnu", "-E", f"LD_LIBRARY_PATH={tmp_path / 'so'}"]
    tool(compiler)
    built = tmp_path / "built"
    ran(DEB, *host, built)
    packages = sorted(path for path in built.glob("*.deb") if "dbgsym" not in path.name)
    names = {path.name.split("_")[0] for path in packages}
    assert names == {"libropscreen2", "libropscreen-dev"} | (
        {"gstreamer1.0-ropscreen"} if architecture == "amd64" else set()
    )
    ran(tool("lintian"), "--fail-on", "error", "--allow-root", *packages)
    root, triplet = tmp_path / "root", f"{'x86_64' if architecture == 'amd64' else 'aarch64'}-linux-gnu"
    for package in packages:
        assert ran(tool("dpkg-deb"), "--field", package, "Architecture").strip() == architecture
        ran(tool("dpkg-deb"), "--extract", package, root)
    library = root / "usr/lib" / triplet
    (tmp_path / "so").symlink_to(library)
    (tmp_path / "check.c").write_text(CHECK)
    flags = (library / "pkgconfig/ropscreen.pc").read_text()
    assert f"libdir=/usr/lib/{triplet}\n" in flags
    program = tmp_path / "check"
    ran(
        compiler,
        tmp_path / "check.c",
        f"-I{root}/usr/include",
        f"-L{library}",
        "-lropscreen",
        f"-Wl,-rpath,{library}",
        "-o",
        program,
    )
    ran(*run, program)


@pytest.mark.soak
def test_the_daemons_package_serves(tmp_path: Path) -> None:
    """Built whole, looked at by lintian, and a daemon of its tree reads a frame by Debian's own Python."""
    for needed in ("dh", "lintian", "cmake", "pkg-config"):
        tool(needed)
    ran(DEB, tmp_path / "built")
    (package,) = (tmp_path / "built").glob("ropscreend_*.deb")
    assert package.stat().st_size < 170e6
    ran(tool("lintian"), "--fail-on", "error", "--allow-root", package)
    root, path = tmp_path / "root", tmp_path / "s"
    ran(tool("dpkg-deb"), "--extract", package, root)
    library = root / "usr/lib/ropscreend"
    assert sum(file.stat().st_size for file in library.rglob("*") if file.is_file()) < 440e6
    python = re.findall(r"/usr/bin/python\S+", (library / "python").read_text())[0]
    command = [
        "env",
        "-i",
        f"PYTHONPATH={library / 'packages'}",
        python,
        "-s",
        "-m",
        "runtime.daemon",
        "--socket",
        str(path),
        "--max-age-ms",
        "60000",
    ]
    with started(command, path), Client(path, slots=1, slot_bytes=640 * 480 * 3, max_age_ms=60_000) as client:
        assert client.read(retina(1, width=640, height=480)).outcome.name in ("RETAKE", "REFER", "NO_REFERRAL_FINDINGS")
