"""The C library builds everywhere without a warning, needs nothing but libc, and can be installed and found."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.runtime.daemon.c.building import ROOT, SOURCES, STRICT, WARNINGS, C, build, tool

pytestmark = pytest.mark.system
COMPILERS = ["gcc", "clang", "aarch64-linux-gnu-gcc"]
SYSTEM_CALLS = {"clock_gettime", "close", "connect", "fcntl", "fstat", "mmap", "munmap", "poll", "recvmsg", "send"}
SYSTEM_CALLS |= {"setsockopt", "shutdown", "socket", "__errno_location"}
SYSTEM_CALLS |= {"getsockopt", "geteuid"}
TEXT = {"snprintf", "vsnprintf", "__snprintf_chk", "__vsnprintf_chk", "calloc", "free"}
MEMORY = {
    "calloc",
    "free",
    "memcpy",
    "memcmp",
    "memmove",
    "memset",
    "strnlen",
    "__stack_chk_fail",
    "_GLOBAL_OFFSET_TABLE_",
}


@pytest.mark.parametrize("compiler", COMPILERS)
def test_builds_without_a_warning(compiler: str, tmp_path: Path) -> None:
    for program in ("example", "loop"):
        build(compiler, tmp_path / program, "-O2", C / f"ropscreen_{program}.c", *SOURCES)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_headers_serve_cpp_without_a_warning(compiler: str, tmp_path: Path) -> None:
    source = tmp_path / "includes.cpp"
    source.write_text('#include "ropscreen.hpp"\n#include "ropscreen.h"\nint main() { return rop_new() == nullptr; }\n')
    command = [tool(compiler), "-std=c++17", *WARNINGS, "-fsyntax-only", f"-I{C}", str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def test_shares_a_program_with_the_light_board(tmp_path: Path) -> None:
    source = tmp_path / "both.c"
    source.write_text('#include "ropscreen.h"\n#include "ropboard.h"\nint main(void) { return 0; }\n')
    board = ROOT / "device" / "light" / "c"
    build("gcc", tmp_path / "both", f"-I{board}", source, *SOURCES, board / "ropboard.c")


def test_uses_nothing_but_libc_and_of_it_little(tmp_path: Path) -> None:
    found: set[str] = set()
    for source in SOURCES:
        built = build("gcc", tmp_path / f"{source.stem}.o", "-O2", "-c", source)
        listed = subprocess.run([tool("nm"), "-u", str(built)], capture_output=True, text=True, check=True, timeout=300)
        found |= {line.split()[-1] for line in listed.stdout.splitlines()}
    assert {name for name in found if not name.startswith("ropd_")} <= SYSTEM_CALLS | MEMORY | TEXT


def test_no_function_calls_itself(tmp_path: Path) -> None:
    """No recursion: no cycle among the calls that the compiler sees."""
    calls: dict[str, set[str]] = {}
    for source in SOURCES:
        command = [tool("clang"), *STRICT, "-O0", "-S", "-emit-llvm", f"-I{C}", str(source), "-o", "-"]
        listing = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
        for name, body in re.findall(r"^define .*?@(\w+)\(.*?\{$(.*?)^\}$", listing, re.MULTILINE | re.DOTALL):
            calls[name] = set(re.findall(r"call .*?@(\w+)\(", body))
    assert len(calls) > 50
    while leaves := [name for name, called in calls.items() if not called & calls.keys()]:
        for name in leaves:
            del calls[name]
    assert calls == {}


def test_installs_and_is_found_by_cmake_and_pkg_config(tmp_path: Path) -> None:
    def run(*command: str | Path) -> str:
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    cmake, prefix = tool("cmake"), tmp_path / "prefix"
    environment = os.environ | {"PKG_CONFIG_PATH": str(prefix / "lib" / "pkgconfig")}
    run(cmake, "-S", C, "-B", tmp_path / "b", f"-DCMAKE_INSTALL_PREFIX={prefix}", "-DCMAKE_INSTALL_LIBDIR=lib")
    run(cmake, "--build", tmp_path / "b")
    run(cmake, "--install", tmp_path / "b")
    user = tmp_path / "user"
    user.mkdir()
    (user / "main.c").write_text(
        "#include <ropscreen.h>\nint main(void) { return rop_descriptor(NULL) == -1 ? 0 : 1; }\n"
    )
    (user / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.16)\nproject(user C)\nfind_package(ropscreen REQUIRED)\n"
        "add_executable(user main.c)\ntarget_link_libraries(user PRIVATE ropscreen::ropscreen)\n"
    )
    run(cmake, "-S", user, "-B", user / "b", f"-DCMAKE_PREFIX_PATH={prefix}")
    run(cmake, "--build", user / "b")
    run(user / "b" / "user")
    flags = run(tool("pkg-config"), "--cflags", "--libs", "ropscreen").split()
    run(tool("cc"), user / "main.c", *flags, "-o", user / "by_pkg_config")
    run(user / "by_pkg_config")
    assert (prefix / "bin" / "ropscreen-example").is_file()
