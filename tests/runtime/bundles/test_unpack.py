"""What is unpacked, and every kind of archive or folder that is not."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.bundle import open_bundle
from runtime.bundles import unpack as module
from runtime.bundles.errors import PackageRefused
from runtime.bundles.unpack import unpack
from runtime.errors import BundleError
from tests.runtime.bundles.making import bundle_folder, packed, sha256_of

Member = tuple[tarfile.TarInfo, bytes]


def member(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, **facts: object) -> Member:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = len(content) if kind in (tarfile.REGTYPE, tarfile.AREGTYPE) else 0
    for key, value in facts.items():
        setattr(info, key, value)
    return info, content if info.isreg() else b""


def archive(path: Path, *members: Member, mode: str = "w", **how: object) -> Path:
    with tarfile.open(path, mode, **how) as made:  # type: ignore[call-overload]
        for info, content in members:
            made.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("form", ["folder", "bundle.tar", "bundle.tar.gz", "nested"])
def test_a_bundle_arrives_whole(tmp_path: Path, into: Path, form: str) -> None:
    folder = bundle_folder(tmp_path / "bundle")
    source = folder if form == "folder" else packed(folder, tmp_path / form) if form != "nested" else tmp_path / "n.tar"
    if form == "nested":
        with tarfile.open(source, "w") as made:
            made.add(folder, "bundle-4")
    found = unpack(source, into)
    assert sha256_of(found) == sha256_of(folder)
    assert (found / "manifest.sig").read_bytes() == (folder / "manifest.sig").read_bytes()


HOSTILE: dict[str, tuple[Member, ...]] = {
    "out of the folder": (member("../outside"),),
    "out by a detour": (member("a/../../outside"),),
    "absolute": (member("/tmp/outside"),),
    "backslash": (member("a\\..\\b"),),
    "control character": (member("a\nb"),),
    "too deep": (member("/".join("abcdefghijk")),),
    "long name": (member("n" * 300),),
    "symbolic link": (member("plans", kind=tarfile.SYMTYPE, linkname="/etc"),),
    "link inside": (member("a"), member("b", kind=tarfile.SYMTYPE, linkname="a")),
    "link, then through it": (member("d", kind=tarfile.SYMTYPE, linkname="/tmp"), member("d/x")),
    "hard link": (member("a"), member("b", kind=tarfile.LNKTYPE, linkname="a")),
    "hard link outside": (member("b", kind=tarfile.LNKTYPE, linkname="../../etc/passwd"),),
    "character device": (member("dev", kind=tarfile.CHRTYPE, devmajor=1, devminor=3),),
    "block device": (member("dev", kind=tarfile.BLKTYPE),),
    "pipe": (member("pipe", kind=tarfile.FIFOTYPE),),
    "contiguous file": (member("cont", kind=tarfile.CONTTYPE),),
    "twice": (member("a"), member("a")),
    "twice by case": (member("a.onnx"), member("A.ONNX")),
    "twice by dot": (member("a"), member("./a")),
    "twice by form": (member("\u00e9"), member("e\u0301")),
    "file, then folder": (member("a"), member("a/b")),
    "folder, then file": (member("a/b"), member("a")),
    "file, then a folder by itself": (member("a"), member("a", kind=tarfile.DIRTYPE)),
    "file, then a folder in it": (member("a"), member("a/b", kind=tarfile.DIRTYPE)),
    "thousands": tuple(member(f"f{number}") for number in range(60)),
    "thousands of folders": tuple(member(f"f{number}", kind=tarfile.DIRTYPE) for number in range(60)),
    "thousands of roots": tuple(member("./", kind=tarfile.DIRTYPE) for _ in range(60)),
    "sparse": (member("s", b"", pax_headers={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),),
    "long header": (member("a", pax_headers={"comment": "c" * 2_000_000}),),
    "wrong size": (member("a", pax_headers={"size": "-512"}),),
    "nothing": (),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_archive_is_refused_in_one_line(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    if what.startswith("thousands"):
        monkeypatch.setattr(module, "MOST_FILES", 50)
    source = archive(tmp_path / "bad.tar", *HOSTILE[what], format=tarfile.PAX_FORMAT)
    if what == "nothing":
        assert list(unpack(source, into).iterdir()) == []  # no manifest: opening it says so
        return
    if what == "sparse":
        source = _sparse(tmp_path / "bad.tar")
    with pytest.raises(PackageRefused) as refused:
        unpack(source, into)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "outside").exists()


def _sparse(path: Path) -> Path:
    """An old GNU sparse member: 4 GiB of nothing."""
    info = tarfile.TarInfo("s")
    info.size = 512
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[156:157] = tarfile.GNUTYPE_SPARSE
    block[386:398], block[398:410] = b"00000000000\0", b"00000001000\0"
    block[483:495] = b"40000000000\0"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    path.write_bytes(bytes(block) + bytes(512) + bytes(1024))
    return path


def test_a_chain_of_headers_is_refused(tmp_path: Path, into: Path) -> None:
    """Each only announces the next one; `tarfile` calls itself for each."""
    long_name = tarfile.TarInfo("././@LongLink")
    long_name.type, long_name.size = tarfile.GNUTYPE_LONGNAME, 2
    one = long_name.tobuf(tarfile.GNU_FORMAT) + b"a\0".ljust(512, b"\0")
    source = tmp_path / "chain.tar"
    source.write_bytes(one * 5000)
    with pytest.raises(PackageRefused):
        unpack(source, into)


def test_a_bomb_is_refused(tmp_path: Path, into: Path) -> None:
    source = archive(tmp_path / "bomb.tar.gz", member("zeros", bytes(40 * 2**20)), mode="w:gz")
    assert source.stat().st_size < 100_000
    with pytest.raises(PackageRefused, match="times its size"):
        unpack(source, into)
    assert sum(path.stat().st_size for path in into.iterdir()) <= module.FREE_EXPANSION + source.stat().st_size * 50


def test_a_bomb_in_a_header_needs_no_memory(tmp_path: Path, into: Path) -> None:
    """A header that says 8 GiB: refused by what it asks for, not by what comes."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 8 * 2**30 - 512
    source = tmp_path / "header.tar.gz"
    source.write_bytes(gzip.compress(info.tobuf(tarfile.PAX_FORMAT) + bytes(4096)))
    with pytest.raises(PackageRefused, match="a header of"):
        unpack(source, into)


def test_no_space_is_an_error_of_the_disk(tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bundle_folder(tmp_path / "bundle")
    usage = type("usage", (), {"free": 1000})
    monkeypatch.setattr("runtime.bundles.unpack.shutil.disk_usage", lambda _: usage)
    with pytest.raises(OSError, match="MiB free"):
        unpack(folder, into)


SPOILT: dict[str, Callable[[Path], object]] = {
    "symbolic link": lambda folder: (folder / "x").symlink_to("/etc/passwd"),
    "link to a folder": lambda folder: (folder / "plans").symlink_to("/etc"),
    "pipe": lambda folder: os.mkfifo(folder / "pipe"),
    "too deep": lambda folder: (folder / "/".join("abcdefghijk")).mkdir(parents=True),
}


@pytest.mark.parametrize("what", SPOILT)
def test_a_hostile_folder_is_refused(tmp_path: Path, into: Path, what: str) -> None:
    folder = bundle_folder(tmp_path / "bundle")
    SPOILT[what](folder)
    with pytest.raises(PackageRefused):
        unpack(folder, into)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x1f\x8b broken", b"<html>404</html>" * 100])
def test_what_is_no_archive(tmp_path: Path, into: Path, content: bytes) -> None:
    (tmp_path / "file.tar").write_bytes(content)
    with pytest.raises(PackageRefused):
        unpack(tmp_path / "file.tar", into)


@pytest.mark.parametrize("path", ["missing.tar", "/dev/zero", "/dev/null"])
def test_what_is_no_file(tmp_path: Path, into: Path, path: str) -> None:
    with pytest.raises(PackageRefused):
        unpack(tmp_path / path, into)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    name=st.sampled_from(["a.tar", "a.tar.gz"]),
    flips=st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), min_size=1, max_size=4),
    kept=st.floats(0.1, 1),
)
def test_flipped_bytes_are_refused_or_harmless(
    tmp_path_factory: pytest.TempPathFactory, name: str, flips: list[tuple[int, int]], kept: float
) -> None:
    """Whatever is changed: the bundle is whole, or it is refused in the project's own words."""
    folder = tmp_path_factory.mktemp("fuzz")
    source = packed(bundle_folder(folder / "bundle"), folder / name)
    content = bytearray(source.read_bytes())
    for place, value in flips:
        content[place % len(content)] = value
    source.write_bytes(content[: round(len(content) * kept)])
    (folder / "into").mkdir()
    with contextlib.suppress(BundleError):
        open_bundle(unpack(source, folder / "into"))
    assert {path.name for path in folder.iterdir()} == {"bundle", source.name, "into"}


def test_programs_of_other_users_can_read_it_whatever_the_umask(tmp_path: Path, into: Path) -> None:
    source = archive(
        tmp_path / "a.tar", member("b/plans", kind=tarfile.DIRTYPE), member("b/plans/key/x"), member("b/m")
    )
    before = os.umask(0o077)
    try:
        root = unpack(source, into)
    finally:
        os.umask(before)
    modes = {str(path.relative_to(root)): path.stat().st_mode & 0o777 for path in (root, *root.rglob("*"))}
    assert modes == {".": 0o755, "plans": 0o755, "plans/key": 0o755, "plans/key/x": 0o644, "m": 0o644}
