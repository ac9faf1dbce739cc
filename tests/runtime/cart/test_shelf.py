"""Bundles from the Service screen: looked for, installed, activated between exams, gone back from; by a technician."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the cart's pages need the extra `cart`")

from runtime.bundles import actions
from runtime.bundles.actions import Means
from runtime.bundles.trial import Compared, Trial
from runtime.cart.cart import Cart
from runtime.cart.errors import NotNow
from runtime.cart.noted import SEALED, Noted
from runtime.cart.shelf import MOST_FOUND, Shelf, packages
from runtime.exam.journal.secrets import Secrets
from runtime.views import View
from tests.runtime.bundles.making import WORKS, bundle_folder, packed, sha256_of
from tests.runtime.cart.driving import taken, until
from tests.runtime.cart.test_bundle_in_use import WAIT_S, Switched, opened, switched

__all__ = ["switched"]
LOST = Compared("OD", "nasal", "REFER", "NO_REFERRAL_FINDINGS", 20.0, 21.0)
OTHER = Trial("", "passed", "fake fp32 on none", (LOST,))
FAILS = Trial("self-test failed: probabilities differ by 0.4")


@pytest.fixture(autouse=True)
def state_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROP_SITE_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(actions, "build_plans", lambda *_: "")


def tried_with(monkeypatch: pytest.MonkeyPatch, trial: Trial) -> None:
    monkeypatch.setattr(actions, "try_bundle", lambda asked: trial)


def done(shelf: Shelf | Cart) -> dict[str, Any]:
    """Its state, once nothing goes on."""
    look = shelf.state if isinstance(shelf, Shelf) else shelf.bundles
    until(lambda: not look()["task"]["running"], "the change of bundles is done")
    return look()


def test_from_the_stick_to_the_next_exam_and_back(switched: Switched, monkeypatch: pytest.MonkeyPatch) -> None:
    tried_with(monkeypatch, WORKS)
    old = switched.install("old")
    switched.switch(old)
    stick = packed(bundle_folder(switched.folder / "made", sign=None, version="new"), switched.folder / "new.tar.gz")
    new = sha256_of(switched.folder / "made")
    with switched.started() as cart:
        cart.install_bundle(str(stick))
        found = done(cart)
        assert found["task"]["said"][0] == "test new is installed now, not active"
        assert [(slot["sha256"], slot["state"]) for slot in found["slots"]] == [(old, "active"), (new, "")]
        exam = opened(cart)
        changes: list[Callable[[], object]] = [
            lambda: cart.install_bundle(str(stick)),
            lambda: cart.activate_bundle(new, operator="tom"),
            lambda: cart.go_back(reason="tried", operator="tom"),
        ]
        for change in changes:
            with pytest.raises(NotNow, match="between exams"):
                change()
        taken(cart, View.DISC)
        cart.stop_exam(exam, cause="refused", operator="anna").result(WAIT_S)
        cart.activate_bundle(new, operator="tom")
        assert done(cart)["task"]["said"] == ("test new is the active bundle",)
        following = opened(cart)
        taken(cart, View.DISC)
        cart.stop_exam(following, cause="refused", operator="anna").result(WAIT_S)
        cart.go_back(reason="refused more often", operator="tom")
        found = done(cart)
        assert found["since"].endswith("by tom on the cart, refused more often")
        kept = switched.slots.read()
        assert kept is not None
        assert kept.why.startswith(SEALED)  # a thief reads neither, the screen both
        last = opened(cart)
        taken(cart, View.DISC)
        assert [switched.read_by(one) for one in (exam, following, last)] == [[old], [new], [old]]


def test_where_nothing_was_installed_the_shipped_one_can_be_gone_back_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried_with(monkeypatch, WORKS)
    shelf = Shelf(Means(tmp_path / "slots"), media=())
    assert (shelf.state()["slots"], shelf.state()["back"]) == ([], "")
    shelf.install(str(bundle_folder(tmp_path / "made", sign=None)))
    slots = done(shelf)["slots"]
    assert [slot["state"] for slot in slots] == ["active", ""]
    shelf.activate(slots[1]["sha256"], despite="", operator="tom")
    assert done(shelf)["back"].startswith(slots[0]["name"])


def test_what_a_trial_says_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = Noted()
    noted.secrets = Secrets.new()
    shelf = Shelf(Means(tmp_path / "slots"), media=(), after="reload it", noted=noted)
    tried_with(monkeypatch, OTHER)
    made = bundle_folder(tmp_path / "made", sign=None)
    shelf.install(str(made))
    slot = done(shelf)["slots"][1]
    assert "REFER and would be NO REFERRAL FINDINGS" in slot["objections"][-1]
    shelf.activate(slot["sha256"], despite="", operator="tom")
    found = done(shelf)
    assert found["task"]["problem"].endswith("if it is meant, activate it with a reason")
    assert found["slots"][0]["sha256"] != slot["sha256"]
    shelf.activate(slot["sha256"], despite="looked at with Dr. Lind", operator="tom")
    found = done(shelf)
    assert (found["task"]["problem"], found["task"]["said"][-1]) == ("", "reload it")
    assert "despite: looked at with Dr. Lind" in found["since"]
    tried_with(monkeypatch, FAILS)
    shelf.install(str(bundle_folder(tmp_path / "bad", sign=None, version="bad")))
    found = done(shelf)
    bad = next(slot for slot in found["slots"] if slot["version"] == "bad")
    assert bad["forbidden"] == found["task"]["problem"] == FAILS.problem
    shelf.activate(bad["sha256"], despite="all the same", operator="tom")
    found = done(shelf)
    assert FAILS.problem in found["task"]["problem"]
    assert found["slots"][0]["sha256"] == slot["sha256"]


def test_one_change_at_a_time_and_nothing_that_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    go = threading.Event()
    monkeypatch.setattr(actions, "try_bundle", lambda asked: (go.wait(300), WORKS)[1])
    shelf = Shelf(Means(tmp_path / "slots"), media=())
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text.tar").write_text("no archive")
    for path in (
        "",
        "made",
        "../made",
        str(tmp_path / "nothing"),
        str(tmp_path / "pipe"),
        "/dev/zero",
        "/" + "x" * 999,
    ):
        with pytest.raises(NotNow, match="no such folder or archive"):
            shelf.install(path)
    shelf.install(str(tmp_path / "text.tar"))
    assert "not a whole tar archive" in done(shelf)["task"]["problem"]
    shelf.install(str(bundle_folder(tmp_path / "made", sign=None)))
    with pytest.raises(NotNow, match="wait until that is done"):
        shelf.rollback(reason="tried", operator="tom")
    go.set()
    done(shelf)
    with pytest.raises(NotNow, match="one fixed bundle"):
        Shelf(None).install(str(tmp_path / "made"))
    assert "cart.toml" in Shelf(None).state()["fixed"]


def test_a_stick_is_looked_through_and_no_further(tmp_path: Path) -> None:
    stick = tmp_path / "media" / "STICK"
    bundle_folder(stick / "bundles" / "new", sign=None)
    (stick / "old.tar.gz").touch()
    (stick / "holiday.jpg").touch()
    (stick / "a" / "b" / "c" / "d").mkdir(parents=True)
    (stick / "a" / "b" / "c" / "d" / "deep.tar").touch()
    (stick / "away").symlink_to("/")
    (stick / "link.tar").symlink_to("/etc/passwd")
    found = list(packages([tmp_path / "media", tmp_path / "not there"]))
    assert found == [str(stick / "old.tar.gz"), str(stick / "bundles" / "new")]
    for number in range(MOST_FOUND + 5):
        (stick / f"{number}.tar").touch()
    assert len(list(packages([tmp_path / "media"]))) == MOST_FOUND
