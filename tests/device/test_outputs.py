from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from device.outputs import PUBLIC, OutputFolder, write_whole, writing


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Another user's file."""
    path = tmp_path / "victim"
    path.write_text("theirs")
    return path


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


PLANTED: dict[str, Callable[[Path, Path], None]] = {
    "link": lambda at, victim: at.symlink_to(victim),
    "link to nothing": lambda at, victim: at.symlink_to(victim.with_name("new")),
    "hard link": lambda at, victim: at.hardlink_to(victim),
    "link in a circle": lambda at, victim: at.symlink_to(at),
}


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("way", ["write", "start"])
def test_what_was_planted_loses_its_name_only(out: Path, victim: Path, planted: str, way: str) -> None:
    PLANTED[planted](out / "readings", victim)
    with OutputFolder(out) as folder:
        if way == "write":
            folder.write("readings", b"ours")
        else:
            fd = folder.start("readings")
            os.write(fd, b"ours")
            os.close(fd)
    assert victim.read_text() == "theirs"
    assert not victim.with_name("new").exists()
    assert not (out / "readings").is_symlink()
    assert (out / "readings").read_bytes() == b"ours"
    assert os.listdir(out) == ["readings"]


@pytest.mark.parametrize("way", ["write", "start"])
def test_a_pipe_or_a_folder_is_refused_at_once(out: Path, way: str) -> None:
    os.mkfifo(out / "pipe")
    (out / "folder").mkdir()
    with OutputFolder(out) as folder:
        for name, why in (("pipe", "pipe or device"), ("folder", "Is a directory")):
            with pytest.raises(OSError, match=why):
                folder.write(name, b"") if way == "write" else folder.start(name)
    assert sorted(os.listdir(out)) == ["folder", "pipe"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/etc/x", "a\0b"])
def test_only_names_in_the_folder(out: Path, name: str) -> None:
    with OutputFolder(out) as folder, pytest.raises(OSError, match="not a file's name"):
        folder.write(name, b"")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
def test_modes_from_the_start_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(0o022)
    try:
        (tmp_path / "old").touch(0o666)
        os.umask(umask & 0o077)
        with OutputFolder(tmp_path / "new" / "out", make=True) as folder:
            os.umask(umask)
            with folder.writing("private") as file:
                assert os.fstat(file.fileno()).st_mode & 0o777 == 0o600
            folder.write("public", b"", PUBLIC)
            os.close(folder.start("started"))
            modes = {name: (tmp_path / "new" / "out" / name).stat().st_mode & 0o777 for name in os.listdir(folder.path)}
        write_whole(tmp_path / "old", b"")
        assert (tmp_path / "old").stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
    assert modes == {"private": 0o600, "public": 0o644, "started": 0o600}
    assert (tmp_path / "new" / "out").stat().st_mode & 0o077 == 0


def test_the_folder_is_held_when_another_takes_its_place(out: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "a").write_text("theirs")
    with OutputFolder(out) as folder:
        out.rename(tmp_path / "moved")
        out.symlink_to(theirs)
        folder.write("a", b"ours")
        folder.remove("b")
        folder.remove("a")
        folder.write("c", b"ours")
    assert (theirs / "a").read_text() == "theirs"
    assert os.listdir(theirs) == ["a"]
    assert os.listdir(tmp_path / "moved") == ["c"]


def test_links_to_folders(out: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(out)
    with OutputFolder(link) as folder:  # named by this user, who made it
        folder.write("a", b"")
    with pytest.raises(OSError, match="a link stands there"):
        OutputFolder(link, link_ok=False)
    with pytest.raises(OSError, match="a link stands there"):
        OutputFolder(link, make=True, link_ok=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link to another user")
def test_another_users_link_is_not_followed(out: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(out)
    os.lchown(link, 12345, 12345)
    with pytest.raises(OSError, match="a link stands there"):
        OutputFolder(link)
    with pytest.raises(OSError, match="a link stands there"):
        write_whole(link / "a", b"")
    assert os.listdir(out) == []


def test_a_part_exchanged_before_it_is_named_is_seen(out: Path, victim: Path) -> None:
    def write() -> None:
        with writing(out / "report") as file:
            file.write(b"ours")
            (part,) = out.iterdir()
            part.unlink()
            part.symlink_to(victim)

    with pytest.raises(OSError, match="meanwhile"):
        write()
    assert victim.read_text() == "theirs"
    assert os.listdir(out) == []


def test_a_failure_leaves_the_old_file_and_no_part(out: Path) -> None:
    write_whole(out / "a", b"old")

    def write() -> None:
        with writing(out / "a") as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert os.listdir(out) == ["a"]
    assert (out / "a").read_bytes() == b"old"


def test_reading_never_follows_or_waits(out: Path, victim: Path) -> None:
    (out / "link").symlink_to(victim)
    os.mkfifo(out / "pipe")
    (out / "folder").mkdir()
    (out / "file").write_text("ours")
    with OutputFolder(out) as folder:
        assert [folder.read(name) for name in ("link", "pipe", "folder", "missing")] == [None] * 4
        file = folder.read("file")
        assert file is not None
        with file:
            assert file.read() == b"ours"


def test_parts_of_a_killed_program_are_removed_and_nothing_else(out: Path, victim: Path) -> None:
    (out / ".rop-0123.part").symlink_to(victim)
    (out / ".rop-keep").touch()
    (out / "x.part").touch()
    with OutputFolder(out) as folder:
        folder.remove_parts()
    assert sorted(os.listdir(out)) == [".rop-keep", "x.part"]
    assert victim.read_text() == "theirs"


def test_a_racing_stranger_never_gets_a_victim_written(out: Path, victim: Path) -> None:
    """Somebody puts links in the place of all that appears, as fast as they can."""
    stop = threading.Event()

    def plant() -> None:
        while not stop.is_set():
            for name in [*os.listdir(out), "readings"]:
                beside = out.parent / "beside"
                try:
                    beside.symlink_to(victim)
                    os.replace(beside, out / name)
                except OSError:
                    beside.unlink(missing_ok=True)

    stranger = threading.Thread(target=plant)
    stranger.start()
    try:
        with OutputFolder(out) as folder:
            for _ in range(200):
                try:
                    folder.write("readings", b"ours")
                    os.close(folder.start("lines"))
                except OSError:
                    continue
    finally:
        stop.set()
        stranger.join()
    assert victim.read_text() == "theirs"
    shutil.rmtree(out)
