from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from device.checked_file import SumDiffers, place_of, read_at_most, read_summed, strict_json, writable_by_anybody


def test_one_byte_more_than_the_limit_tells_a_file_that_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_at_most(path, 5) == b"12345"
    assert read_at_most(path, 3) == b"1234"
    assert read_at_most(path, 10**18) == b"12345"
    (tmp_path / "link").symlink_to(path)
    assert read_at_most(tmp_path / "link", 5) == b"12345"


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


KINDS: dict[str, Callable[[Path], object]] = {
    "missing": lambda path: None,
    "folder": lambda path: path.mkdir(),
    "pipe": os.mkfifo,
    "socket": _socket,
    "device that never ends": lambda path: path.symlink_to("/dev/zero"),
    "terminal": lambda path: path.symlink_to("/dev/tty"),
    "link to itself": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    KINDS[kind](Path("it"))
    with pytest.raises(OSError, match=r"No such|not a regular|Too many levels|No such device"):
        read_at_most(Path("it"), 10)


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    for name in ("a\0b", "x" * 300):
        with pytest.raises(OSError, match=r"not a file's name|too long"):
            read_at_most(tmp_path / name, 10)


def test_json_that_says_each_thing_once() -> None:
    assert strict_json(b'{"a": [1, 2.5, {"a": null}]}') == {"a": [1, 2.5, {"a": None}]}


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ('{"a": 1, "a": 1}', "'a' stands twice"),
        ('{"b": {"a": 1, "c": 2, "a": 3}}', "'a' stands twice"),
        ('[{"\\u0061": 1, "a": 3}]', "'a' stands twice"),
        ('{"a": NaN}', "NaN is not a number"),
        ("[Infinity]", "Infinity is not a number"),
        ("[-Infinity]", "-Infinity is not a number"),
        ("[1e999]", "too large a number"),
        ("[-1e999]", "too large a number"),
        ("[" * 100_000, "nested too deeply"),
        ("[1,]", r"Expecting|Illegal"),
        ("", "Expecting value"),
    ],
)
def test_json_that_can_be_read_in_two_ways_is_refused(raw: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        strict_json(raw)
    with pytest.raises(ValueError, match=why):
        strict_json(raw.encode())


def test_a_place_is_one_line_whatever_its_keys_hold() -> None:
    assert place_of(("a", 0, "op\nvino\x1b")) == "a.0.op\\nvino\\x1b"


def test_a_sum_beside_a_file_is_what_it_must_be_to_the_byte(tmp_path: Path) -> None:
    path, beside = tmp_path / "cart.toml", tmp_path / "cart.toml.sha256"
    path.write_bytes(b"a = 1\n")
    assert read_summed(path, 100) == b"a = 1\n"  # none
    own = hashlib.sha256(b"a = 1\n").hexdigest()
    for mark in ("  ", " *"):  # as sha256sum writes it, of text and of bytes
        beside.write_text(f"{own}{mark}cart.toml\n")
        assert read_summed(path, 100) == b"a = 1\n"
    for wrong in ("", own, f"{own.upper()}  cart.toml\n", f"{own}  other.toml\n", f"{own}  cart.toml\n\n"):
        beside.write_text(wrong)
        with pytest.raises(SumDiffers, match=r"sha256sum cart\.toml > cart\.toml\.sha256"):
            read_summed(path, 100)
    with pytest.raises(OSError, match="larger"):
        read_summed(path, 3)


@pytest.mark.parametrize(
    ("modes", "found"),
    [
        ({"a": 0o755, "a/b": 0o755, "a/b/f": 0o644}, None),
        ({"a": 0o775, "a/b": 0o775, "a/b/f": 0o664}, None),  # whom a site has in a group is the site's to say
        ({"a": 0o755, "a/b": 0o755, "a/b/f": 0o646}, "a/b/f"),
        ({"a": 0o755, "a/b": 0o777, "a/b/f": 0o600}, "a/b"),
        ({"a": 0o777, "a/b": 0o700, "a/b/f": 0o600}, "a"),
        ({"a": 0o755, "a/b": 0o1777, "a/b/f": 0o600}, None),
    ],
)
def test_what_anybody_may_write_or_exchange_is_found(tmp_path: Path, modes: dict[str, int], found: str | None) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/f").touch()
    (tmp_path / "link").symlink_to("a/b/f")
    for name, mode in modes.items():
        (tmp_path / name).chmod(mode)
    for path in (tmp_path / "a/b/f", tmp_path / "link"):
        assert writable_by_anybody(path) == (None if found is None else (tmp_path / found).resolve())
    if modes["a/b"] == 0o1777:
        assert writable_by_anybody(tmp_path / "a/b") == (tmp_path / "a/b").resolve(), "anybody can add a file there"
    assert writable_by_anybody(tmp_path / "nowhere") is None


def test_where_a_file_system_is_read_only_nobody_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys").chmod(0o1777)
    assert writable_by_anybody(tmp_path / "keys") is not None
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert writable_by_anybody(tmp_path / "keys") is None
