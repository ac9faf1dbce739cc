"""The library stays compatible: programs built with a released header run on today's, and it exports no more."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.runtime.daemon.c.building import HERE, SOURCES, C, build, tool

pytestmark = pytest.mark.system
RELEASED = sorted((HERE / "released").iterdir())
"""Headers as they were released, and the description of each library's binary interface; never edited afterwards."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library as it is installed: its soname, and only what the version script names."""
    folder = tmp_path_factory.mktemp("shared")
    script = f"-Wl,--version-script={C / 'ropscreen.map'}"
    output = folder / "libropscreen.so.2"
    build("gcc", output, "-g", "-O1", "-fPIC", "-shared", "-Wl,-soname,libropscreen.so.2", script, *SOURCES)
    (folder / "libropscreen.so").symlink_to(output.name)
    return output


def test_only_rop_is_exported(shared: Path) -> None:
    listed = subprocess.run(
        [tool("nm"), "-D", "--defined-only", str(shared)], capture_output=True, text=True, check=True
    )
    names = {line.split()[-1].split("@")[0] for line in listed.stdout.splitlines()} - {"ROPSCREEN_2"}
    header = (C / "ropscreen.h").read_text(encoding="utf-8")
    declared = set(re.findall(r"\b(rop_\w+)\(", re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)))
    assert names == declared
    assert len(names) > 20


@pytest.mark.parametrize("release", RELEASED, ids=lambda path: str(path.name))
def test_an_old_program_and_todays_library_touch_no_byte_outside(
    release: Path, shared: Path, lasting_daemon: Path, tmp_path: Path
) -> None:
    """The library is loaded at run time, as an update of it would be; ASan watches what it writes."""
    sanitized = tmp_path / "libropscreen.so.2"
    flags = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    build("gcc", sanitized, *flags, "-fPIC", "-shared", "-Wl,-soname,libropscreen.so.2", *SOURCES)
    program = tmp_path / "old"
    # -I of the release comes first: not today's header.
    command = [tool("gcc"), "-std=c11", "-Wall", "-Werror", *flags, f"-I{release}", str(HERE / "old_program.c")]
    done = subprocess.run([*command, str(sanitized), "-o", str(program)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path), "ASAN_OPTIONS": "detect_leaks=1"}
    ran = subprocess.run([program, lasting_daemon], capture_output=True, text=True, timeout=300, env=environment)
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr


@pytest.mark.parametrize("release", RELEASED, ids=lambda path: str(path.name))
def test_abidiff_finds_no_incompatible_change(release: Path, shared: Path) -> None:
    done = subprocess.run(
        [tool("abidiff"), "--no-added-syms", "--headers-dir2", str(C), str(release / "libropscreen.abi"), str(shared)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode & 0b1100 == 0, done.stdout  # 4: the interface changed, 8: incompatibly


def test_the_numbers_agree(shared: Path) -> None:
    """Header, soname, CMake and the newest release are of one major version."""
    header = (C / "ropscreen.h").read_text(encoding="utf-8")
    major, minor, patch = (
        re.search(rf"ROPSCREEN_VERSION_{part} (\d+)u", header) for part in ("MAJOR", "MINOR", "PATCH")
    )
    assert major
    assert minor
    assert patch
    version = ".".join(found.group(1) for found in (major, minor, patch))
    assert f"VERSION {version} " in (C / "CMakeLists.txt").read_text(encoding="utf-8")
    assert RELEASED[-1].name.split(".")[0] == major.group(1)
    assert f"ROPSCREEN_{major.group(1)} {{" in (C / "ropscreen.map").read_text(encoding="utf-8")
