"""Where pictures lie: what an object storage holds is listed and read as the same folder of this machine is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import cv2
import pytest

from runtime.reread.errors import RereadError
from runtime.reread.folders import pictures_below
from runtime.reread.keyring import JournalKeys
from runtime.reread.places import StoragePlace, is_address
from runtime.reread.reader import CHANGED, load
from runtime.reread.sources import find_sources, stored_in
from runtime.reread.stored import Stored
from tests.pictures import retina


def listed(where: str) -> list[Stored]:
    return list(pictures_below(0, where, lambda _: None))


@pytest.mark.parametrize(
    "address",
    [
        "s3://k:Sesame@b/x",
        "s3://k:a/Sesame@b/x",
        "s3://k:a#Sesame@b/x",
        "s3://k:a?Sesame@b/x",
        "s3://b/x?secret_key=Sesame",
        "abfs://c@a/x?sas_token=Sesame",
        "abfs://:Sesame@a.dfs.core.windows.net/c",
    ],
)
def test_an_address_with_a_password_is_refused_without_it(address: str) -> None:
    with pytest.raises(RereadError, match="would be written into the report") as refused:
        StoragePlace(address)
    assert "Sesame" not in str(refused.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pytest.importorskip("pyarrow", reason="pyarrow (extra fleet) is not installed")
    for name in ("b.png", "a.jpg", "sub/1", "sub/.hidden.png", "sub/overlays/c.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", retina(len(name))[..., ::-1])[1].tobytes())
    (tmp_path / "in" / "notes.txt").write_text("nothing")
    (tmp_path / "in" / "sub" / "readings.jsonl").write_text("{}")
    return tmp_path / "in"


def test_a_storage_gives_what_the_folder_gives(folder: Path) -> None:
    here, there = listed(str(folder)), listed(f"file://{folder}")
    assert [frame.file for frame in here] == ["a.jpg", "b.png", "sub/1"]
    assert [replace(frame, folder=str(folder)) for frame in there] == here
    for one, other in zip(here, there, strict=True):
        mine, its = load(one, JournalKeys([])), load(other, JournalKeys([]))
        assert not isinstance(mine, str)
        assert not isinstance(its, str), its
        assert (mine.sha256, mine.sequence) == (its.sha256, its.sequence)


def test_labels_and_changes_in_a_storage(folder: Path) -> None:
    (folder / "labels.csv").write_text("image,refer,infant\nb.png,1,Doe\ngone.png,0,Doe\n")
    frames = listed(f"file://{folder}")
    assert [(f.file, f.label, f.exam) for f in frames] == [("b.png", True, "s0-1"), ("gone.png", False, "s0-1")]
    assert load(frames[1], JournalKeys([])) == "cannot be read (No such file or directory)"
    (folder / "b.png").write_bytes(b"another")
    assert load(frames[0], JournalKeys([])) == CHANGED


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("file://{}/nothing", "cannot be read"),
        ("file://{}/journal", "an exam journal is read from a disk; mount it"),
        ("file://{}/empty", "holds no picture"),
    ],
)
def test_what_cannot_be_used_is_one_line(folder: Path, where: str, words: str) -> None:
    (folder / "empty").mkdir()
    (folder / "journal").mkdir()
    (folder / "journal" / "journal.sqlite3").touch()
    told: list[str] = []
    assert not list(stored_in(find_sources([where.format(folder)]), JournalKeys([]), [], told.append))
    assert len(told) == 1
    assert words in told[0]


def test_addresses_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RereadError, match="a password in an address") as refused:
        find_sources(["s3://me:secret@bucket/eyes"])
    assert "secret" not in str(refused.value).replace("SECRET", "")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(RereadError, match="pyarrow is not installed here; install it: pip install"):
        StoragePlace("s3://bucket/eyes")


def test_an_unknown_kind_of_storage_is_named() -> None:
    pytest.importorskip("pyarrow", reason="pyarrow (extra fleet) is not installed")
    with pytest.raises(RereadError, match="nonsense://bucket/eyes"):
        find_sources(["nonsense://bucket/eyes"])


@pytest.mark.parametrize(
    ("text", "expected"), [("s3://b/x", True), ("gs://b", True), ("/a//b", False), ("c:/x", False)]
)
def test_what_is_an_address(text: str, expected: bool) -> None:
    assert is_address(text) is expected


@pytest.mark.parametrize(
    "names",
    [
        ("{0}", "file://{0}"),
        ("{0}", "file://{0}/"),
        ("file://{0}/sub", "{0}"),
        ("file://{0}", "file:///{0}/sub"),
        ("file://{0}/../in", "{0}"),
        ("file://{0}/../link", "{0}"),
    ],
)
def test_one_place_by_two_names_is_refused(folder: Path, names: tuple[str, str]) -> None:
    (folder.parent / "link").symlink_to(folder)
    for named in (names, names[::-1]):
        with pytest.raises(RereadError, match="would count twice; name one of the two"):
            find_sources([name.format(folder) for name in named])


def test_two_places_beside_each_other_are_two(folder: Path) -> None:
    other = folder.with_name("in2")
    other.mkdir()
    assert len(find_sources([str(folder), f"file://{other}"])) == 2


def test_a_folder_that_is_mounted_twice_is_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a bind mount has it: another path, the same folder."""
    mount = folder.with_name("mount")
    mount.mkdir()
    state = os.stat

    def same(path: str | Path, **options: object) -> os.stat_result:
        return state(folder / "sub" if str(path) == str(mount) else path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "stat", same)
    with pytest.raises(RereadError, match=r"mount is in \S+/in by another name"):
        find_sources([folder, mount])


def test_a_bucket_by_two_addresses_is_one(folder: Path) -> None:
    where = "?region=eu-west-1&endpoint_override=localhost:1"
    for other in (
        f"s3://bucket/eyes/{where}",
        f"s3://bucket/eyes/left{where}",
        f"s3://bucket/eyes{where}&scheme=https",
    ):
        with pytest.raises(RereadError, match="by another name"):
            find_sources([f"s3://bucket/eyes{where}", other])
    assert len(find_sources([f"s3://bucket/eyes{where}", f"s3://bucket/eyes2{where}"])) == 2
