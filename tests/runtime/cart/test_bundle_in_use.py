"""A cart whose bundles are switched: an exam goes on under its own, the next one is opened under the active one."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

pytest.importorskip("cv2")

import runtime.bundles.starts
import runtime.cart.verbs
from runtime.bundles.starts import MOST_STARTS, go_back
from runtime.bundles.store import Slots
from runtime.bundles.trial import Trial
from runtime.cart.__main__ import main
from runtime.cart.cart import Cart
from runtime.cart.configured import parts_of, program_of
from runtime.cart.hints import Hint
from runtime.cart.users import new_user, save_users
from runtime.config import load_config
from runtime.exam.__main__ import main as exam_main
from runtime.exam.infant import Infant
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import find_key, write_new_key
from runtime.quality import QualityLimits
from runtime.slots import read_active
from runtime.trust.site import Site
from runtime.views import View
from tests.runtime.bundles.making import WORKS, bundle_folder
from tests.runtime.cart.driving import taken, until

WAIT_S = 300.0
MISSING = {"openvino": {"segmentation": "fp32", "classifier": "int8"}}
"""A precision of which there is no graph: the bundle is whole, and does not load."""
INFANT = {
    "infant_id": "B-1",
    "name": "Test^Ada",
    "born_at": (datetime.now(timezone.utc) - timedelta(days=40)).isoformat(),
    "gestational_age": "27w3d",
    "birth_weight_g": 980,
}


class Switched:
    """A cart's folder: its file, its slots, and the cart as it is started from them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.slots = folder, Slots(folder / "slots")
        self.said: list[str] = []
        write_new_key(folder / "journal.key")
        save_users(folder / "users.json", (new_user("anna", "Anna", "2468", "operator"),))
        (folder / "cart.toml").write_text(
            'schema = "rop.cart/1"\nstation = "S-1"\njournal = "journal"\nkey_file = "journal.key"\n'
            'users = "users.json"\n[camera]\nsource = "sim:seed=3,fps=15,size=256x256"\nbudget_ms = 60000\n'
            '[bundle]\nfolder = "slots"\n'
        )

    def install(self, version: str, **changes: object) -> str:
        source = bundle_folder(self.folder / f"made-{version}", sign=None, version=version, **changes)
        return self.slots.add(source, lambda bundle: None)[0].sha256

    def switch(self, sha256: str) -> None:
        self.slots.switch(sha256, "test", Site())

    @contextmanager
    def started(self) -> Iterator[Cart]:
        config = load_config(self.folder / "cart.toml")
        program = program_of(config)
        assert program is not None
        parts = parts_of(config, go_back=lambda why: go_back(program, why, self.said.append))
        with Cart(parts) as cart:
            until(lambda: not problem(cart, "software") and not problem(cart, "camera"), "the cart is ready")
            yield cart

    def journal(self) -> Journal:
        return Journal.open(self.folder / "journal", find_key(self.folder / "journal.key"))

    def read_by(self, exam: str) -> list[str]:
        """SHA-256 of the bundle of each reading of an exam; "" where there is none."""
        with self.journal() as journal:
            readings = [capture.reading for capture in journal.exam(exam).captures]
        return [reading["bundle"]["sha256"] if reading else "" for reading in readings]


def problem(cart: Cart, name: str) -> str:
    return next(part["problem"] for part in cart.health() if part["name"] == name)


def opened(cart: Cart) -> str:
    return str(cart.open_exam(Infant.from_dict(INFANT), operator="anna").result(WAIT_S)["exam"])


@pytest.fixture
def switched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Switched:
    monkeypatch.setenv("ROP_SITE_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(runtime.bundles.starts, "try_bundle", lambda asked: WORKS)
    return Switched(tmp_path)


def test_an_exam_across_an_activation_a_restart_and_its_repetition(
    switched: Switched, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = switched.install("old"), switched.install("new")
    switched.switch(old)
    with switched.started() as cart:
        exam = opened(cart)
        taken(cart, View.DISC)
        switched.switch(new)
        time.sleep(0.6)  # two looks of the desk between commands
        taken(cart, View.NASAL)
    with switched.started() as cart:
        assert cart.state()["exam"]["exam"] == exam
        taken(cart, View.TEMPORAL)
        assert problem(cart, "model") == ""
        cart.stop_exam(exam, cause="refused", operator="anna").result(WAIT_S)
        following = opened(cart)
        taken(cart, View.NASAL)
        assert switched.read_by(exam) == [old] * 3
        assert switched.read_by(following) == [new]
        assert new[:12] in cart.service().result(WAIT_S)["model"]
    common = ["--journal", str(switched.folder / "journal"), "--key-file", str(switched.folder / "journal.key")]
    asked = [exam, "--bundle", str(switched.slots.folder), "--json"]
    assert exam_main(["replay", *common, *asked]) == 0, capsys.readouterr().err
    assert [repeat["same"] for repeat in json.loads(capsys.readouterr().out)["repeats"]] == [True] * 3


def test_an_exam_whose_bundle_is_gone_gets_no_finding_of_another(switched: Switched) -> None:
    old, new = switched.install("old"), switched.install("new")
    switched.switch(old)
    with switched.started() as cart:
        exam = opened(cart)
    switched.switch(new)
    shutil.rmtree(switched.slots.folder / old)
    with switched.started() as cart:
        assert "not installed" in problem(cart, "model")
        assert taken(cart, View.NASAL)["outcome"] == "NO_RESULT"
        cart.stop_exam(exam, cause="equipment", operator="anna").result(WAIT_S)
        opened(cart)
        assert taken(cart, View.NASAL)["outcome"] != "NO_RESULT"
        until(lambda: not problem(cart, "model"), "the next exam has its bundle")


def test_the_live_picture_is_judged_by_the_limits_of_the_bundle_in_use(switched: Switched) -> None:
    old, new = switched.install("old"), switched.install("new", gate={"brightness_min": 250.0})
    switched.switch(old)
    with switched.started() as cart:
        opened(cart)
        switched.switch(new)
        assert cart.parts.limits() == QualityLimits()
        until(lambda: preview(cart) is not Hint.TOO_DARK, "a picture by the exam's bundle")
        exam = cart.exam_shown()["exam"]
        cart.stop_exam(exam, cause="equipment", operator="anna").result(WAIT_S)
        opened(cart)
        until(lambda: preview(cart) is Hint.TOO_DARK, "a picture by the new one")


def preview(cart: Cart) -> Hint:
    shown = cart.preview.after(0).result(WAIT_S)
    assert shown is not None
    return shown.framing.hint


def test_a_new_bundle_that_does_not_load_is_left_before_an_exam_is_opened_with_it(switched: Switched) -> None:
    old, bad = switched.install("old"), switched.install("bad", default_precision=MISSING)
    switched.switch(old)
    with switched.started() as cart:
        switched.switch(bad)
        until(lambda: switched.said, "it went back")
        until(lambda: not problem(cart, "software"), "the cart is ready again")
        exam = opened(cart)
        taken(cart, View.NASAL)
    assert switched.read_by(exam) == [old]
    assert "went back to test old" in switched.said[0]


def test_a_check_switches_nothing(switched: Switched, capsys: pytest.CaptureFixture[str]) -> None:
    old, bad = switched.install("old"), switched.install("bad", default_precision=MISSING)
    switched.switch(old)
    switched.switch(bad)
    assert main(["check", "--config", str(switched.folder / "cart.toml")]) == 1
    assert "! engine" in capsys.readouterr().out
    assert active(switched) == bad


def test_an_exam_of_a_bundle_that_the_cart_went_back_from_does_not_load_it_again(switched: Switched) -> None:
    old, new = switched.install("old"), switched.install("new")
    switched.switch(old)
    switched.switch(new)
    with switched.started() as cart:
        exam = opened(cart)
        taken(cart, View.DISC)
    program = program_of(load_config(switched.folder / "cart.toml"))
    assert program is not None
    assert go_back(program, "crash loop", switched.said.append)
    with switched.started() as cart:
        assert "crash loop" in problem(cart, "model")
        # RETAKE where the simulated camera, begun anew, shows what it showed for the view before.
        assert taken(cart, View.NASAL)["outcome"] in ("NO_RESULT", "RETAKE")
        cart.stop_exam(exam, cause="equipment", operator="anna").result(WAIT_S)
    assert active(switched) == old


class Killed(BaseException):
    """The process is gone."""


@pytest.mark.parametrize(("before", "goes_back"), [(WORKS, True), (Trial("no engine at all"), False)])
def test_the_command_counts_starts_that_do_not_last(
    switched: Switched,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    before: Trial,
    goes_back: bool,
) -> None:
    old, new = switched.install("old"), switched.install("new")
    switched.switch(old)
    switched.switch(new)
    monkeypatch.setattr(runtime.bundles.starts, "try_bundle", lambda asked: before)

    def killed(*asked: object) -> int:
        raise Killed

    monkeypatch.setattr(runtime.cart.verbs, "_serve", killed)
    for _ in range(MOST_STARTS):
        with pytest.raises(Killed):
            main(["run", "--config", str(switched.folder / "cart.toml")])
        assert active(switched) == new
    with pytest.raises(Killed):
        main(["run", "--config", str(switched.folder / "cart.toml")])
    assert active(switched) == (old if goes_back else new)
    assert "crash loop" in capsys.readouterr().err


def active(switched: Switched) -> str:
    state = read_active(switched.slots.folder)
    assert state is not None
    return state.active
