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


OPAQUE = "[suppress_type]\n  name = rop_client\n"
"""What programs have only a pointer of. To tell public types by the folder of headers would leave all of them out: the
released descriptions do not know theirs."""


def made_of(sources: list[Path], folder: Path) -> Path:
    """The library as it is installed: its soname, and only what the version script names."""
    script = f"-Wl,--version-script={sources[0].parent / 'ropscreen.map'}"
    output = folder / "libropscreen.so.2"
    build("gcc", output, "-g", "-O1", "-fPIC", "-shared", "-Wl,-soname,libropscreen.so.2", script, *sources)
    return output


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared")
    output = made_of(SOURCES, folder)
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


def old_program(release: Path, sources: list[Path], daemon: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Of a program that was built with a release's header, by a library of these sources.

    The library is loaded at run time, as an update of it would be; ASan watches what it writes.
    """
    sanitized, program = folder / "libropscreen.so.2", folder / "old"
    flags = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    build("gcc", sanitized, *flags, "-fPIC", "-shared", "-Wl,-soname,libropscreen.so.2", *sources)
    # -I of the release comes first: not today's header.
    command = [tool("gcc"), "-std=c11", "-Wall", "-Werror", *flags, f"-I{release}", str(HERE / "old_program.c")]
    done = subprocess.run([*command, str(sanitized), "-o", str(program)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    environment = os.environ | {"LD_LIBRARY_PATH": str(folder), "ASAN_OPTIONS": "detect_leaks=1"}
    return subprocess.run([program, daemon], capture_output=True, text=True, timeout=300, env=environment)


def changed(change: str, folder: Path) -> list[Path]:
    """The library's sources with one of `CHANGES`."""
    before, after = CHANGES[change]
    found = 0
    for name in ("ropscreen.c", "ropscreen.h", "ropscreen_wire.c", "ropscreen_wire.h", "ropscreen.map"):
        text = (C / name).read_text(encoding="utf-8")
        found += before in text
        (folder / name).write_text(text.replace(before, after), encoding="utf-8")
    assert found
    return [folder / "ropscreen.c", folder / "ropscreen_wire.c"]


@pytest.mark.parametrize("release", RELEASED, ids=lambda path: str(path.name))
def test_an_old_program_and_todays_library_touch_no_byte_outside(
    release: Path, lasting_daemon: Path, tmp_path: Path
) -> None:
    ran = old_program(release, SOURCES, lasting_daemon, tmp_path)
    assert (ran.returncode, ran.stdout) == (0, "done\n"), ran.stderr


def test_an_old_program_tells_a_library_that_writes_more(lasting_daemon: Path, tmp_path: Path) -> None:
    ran = old_program(RELEASED[-1], changed("a result that grew", tmp_path), lasting_daemon, tmp_path)
    assert ran.returncode == 1
    assert "not so: it->all[i] == 0xA5" in ran.stderr


def difference(release: Path, library: Path, folder: Path) -> str:
    """What abidiff finds that breaks programs; empty for nothing."""
    (folder / "opaque").write_text(OPAQUE)
    command = [
        tool("abidiff"),
        "--no-added-syms",
        "--suppressions",
        folder / "opaque",
        release / "libropscreen.abi",
        library,
    ]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert done.returncode & 0b0011 == 0, done.stderr  # 1: an error, 2: a wrong call
    return done.stdout if done.returncode & 0b1100 else ""  # 4: the interface changed, 8: incompatibly


@pytest.mark.parametrize("release", RELEASED, ids=lambda path: str(path.name))
def test_abidiff_finds_no_incompatible_change(release: Path, shared: Path, tmp_path: Path) -> None:
    assert difference(release, shared, tmp_path) == ""


CHANGES = {
    "a result that grew": ("    uint8_t reserved[32];\n} rop_result;", "    uint8_t reserved[40];\n} rop_result;"),
    "places exchanged": ("    uint32_t slot;\n    uint32_t flags;\n", "    uint32_t flags;\n    uint32_t slot;\n"),
    "a picture that shrank": ("    uint32_t reserved[5];\n} rop_picture;", "    uint32_t reserved[3];\n} rop_picture;"),
    "another number of a status": ("ROP_NO_SLOT = 2,", "ROP_NO_SLOT = 9,"),
    "a call that gives more": ("bool rop_is_fresh(", "uint64_t rop_is_fresh("),
    "a call that is gone": ("rop_cancel(rop_client *client)", "rop_cancel_all(rop_client *client)"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_abidiff_tells_what_breaks_programs(change: str, tmp_path: Path) -> None:
    assert difference(RELEASED[-1], made_of(changed(change, tmp_path), tmp_path), tmp_path)


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
