from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import runtime.screener
from device.errors import FrameUnreadable, RepeatedFrame
from device.frame import Frame
from runtime.budget import Budget, Deadline
from runtime.bundle import Bundle, open_bundle
from runtime.engines.fake import FakeEngine, Fault
from runtime.errors import AnswerUnusable, BundleError, EngineAway, EngineError
from runtime.outcome import Outcome
from runtime.plans import find_plan
from runtime.reading import FrameFacts, Quality, Reading
from runtime.screener import Screener
from runtime.site_screener import screener_for
from runtime.trust.drift import FEATURES, REFERENCE, WINDOW
from runtime.trust.errors import SignatureRefused, SiteError
from runtime.trust.guard import Guard
from runtime.trust.selftest import SELF_TEST, ask, open_self_test
from runtime.trust.site import MANIFEST_SIGNATURE, Site, open_site
from runtime.trust.watch import SPACING_S, open_watch
from runtime.trust.words import trust_line
from tests.bench.drift_false_alarms import reference_of
from tests.pictures import retina
from tests.runtime.engines.tensorrt.fake_plans import KEY, write_plans
from tests.runtime.trust.conftest import public_pem, sign

pytestmark = pytest.mark.usefixtures("without_draws")
Write = Callable[..., Path]
IMAGES = [np.asarray(cv2.resize(retina(seed), (256, 256)), np.uint8) for seed in range(2)]


class SeeingEngine(FakeEngine):
    """As the fake engine, but it sees a ridge in the second of the known frames."""

    ridge = (0.1, 0.9)

    def _infer(self, image: Any, budget: Budget, deadline: Deadline) -> Any:
        usual = self.probabilities
        self.probabilities = self.ridge if np.array_equal(image[0], IMAGES[1]) else usual
        try:
            return super()._infer(image, budget, deadline)
        finally:
            self.probabilities = usual


MEANING = {
    "classes": ["no_ridge", "ridge"],
    "refer_classes": ["ridge"],
    "frames": [{"class_name": "no_ridge", "refer": False}, {"class_name": "ridge", "refer": True}],
}


def equip_with_a_positive(folder: Path, **meaning: Any) -> Bundle:
    return equip(folder, SeeingEngine(), meaning=MEANING | meaning)


def equip(folder: Path, engine: FakeEngine = FakeEngine(), **selftest: Any) -> Bundle:  # noqa: B008
    """Give a bundle a self-test that the fake engine passes, and a drift reference."""
    files: dict[str, bytes] = {}
    names = [f"selftest/frame_{number}.png" for number in (1, 2)]
    for name, image in zip(names, IMAGES, strict=True):
        files[name] = cv2.imencode(".png", image[..., ::-1])[1].tobytes()
    answers = [ask(engine, image[np.newaxis]) for image in IMAGES]
    known = {
        "probability_tolerance": 0.01,
        "vessels_tolerance": 0.01,
        "frames": [{"probabilities": a.probabilities.tolist(), "vessels": a.blocks.tolist()} for a in answers],
    }
    content = {"schema": "rop.selftest/1", "made_by": "tests", "frames": names, "answers": {"fp32": known}}
    files[SELF_TEST] = json.dumps(content | selftest).encode()
    reference = reference_of(np.random.default_rng(1).uniform(size=(249, len(FEATURES))))
    drift = {
        "schema": "rop.drift-reference/1",
        "references": {"all": reference.model_dump(), "Neo": reference.model_dump()},
    }
    files[REFERENCE] = json.dumps(drift).encode()
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, data in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
        manifest["files"].append({"path": name, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return open_bundle(folder)


class Clock:
    """Monotonic seconds that tests move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def equipped(write_bundle: Write) -> Bundle:
    return equip(write_bundle())


@pytest.fixture
def signed_with_plans(write_bundle: Write, key: Ed25519PrivateKey) -> Bundle:
    """Signed by the maker, who did not sign the plans in it."""
    bundle = open_bundle(write_bundle())
    sign(bundle.path / "manifest.json", bundle.path / MANIFEST_SIGNATURE, key)
    write_plans(bundle, {"segmentation": b"segmentation plan", "classifier": b"classifier plan"})
    return bundle


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


def frames() -> list[Frame]:
    return [Frame(retina(seed), sequence=seed, source=f"eye_{seed}.png") for seed in range(3)]


def test_a_reading_says_who_stands_for_it_and_that_the_self_test_passed(equipped: Bundle, engine: FakeEngine) -> None:
    with Screener(equipped, engine=engine, trust=Guard(equipped)) as screener:
        line = json.loads(screener.screen(frames()[0]).to_json())
    assert line["outcome"] == "NO_REFERRAL_FINDINGS"
    assert line["trust"]["bundle"] == {"state": "unchecked", "by": None, "key": None}
    assert line["trust"]["self_test"]["state"] == "passed"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", line["trust"]["self_test"]["at"])
    assert line["trust"]["drift"]["state"] == "gathering"
    assert line["trust"]["plan"] is line["trust"]["site"] is None


def test_the_guard_is_on_unless_it_is_switched_off_which_every_reading_says(
    equipped: Bundle, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Screener(equipped, engine=engine) as screener:
        trust = json.loads(screener.screen(frames()[0]).to_json())["trust"]
    assert (trust["bundle"]["state"], trust["self_test"]["state"]) == ("unchecked", "passed")
    with Screener(equipped, engine=FakeEngine((0.8, 0.2)), trust="off") as screener:
        assert screener.self_test() == screener.problem == ""
        reading = screener.screen(frames()[0])
    assert reading.outcome is Outcome.NO_REFERRAL_FINDINGS
    trust = json.loads(reading.to_json())["trust"]
    assert trust["bundle"] == {"state": "off", "by": None, "key": None}
    assert (trust["self_test"]["state"], trust["drift"]["state"], trust["site"]) == ("none", "off", None)
    assert reading.trust is not None
    assert "GUARD OFF" in trust_line(reading.trust)


def test_a_bundle_for_clinical_use_needs_a_site_also_in_a_program(write_bundle: Write, engine: FakeEngine) -> None:
    bundle = open_bundle(write_bundle(clinical_use=True))
    with pytest.raises(SignatureRefused, match="no site is configured that vouches for it"):
        Screener(bundle, engine=engine)
    assert engine.closed


def test_a_program_loads_an_engine_with_what_the_guard_watches(
    signed_with_plans: Bundle, keys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan is another file than the graphs that were signed, and is looked at as it is loaded."""

    def load(bundle: Bundle, *_: object) -> FakeEngine:
        find_plan(bundle, KEY)
        return FakeEngine()

    monkeypatch.setattr(runtime.screener, "load_engine", load)
    with pytest.raises(SignatureRefused, match=r"has no plan\.sig"):
        Screener(signed_with_plans, engine="tensorrt", trust=Guard(signed_with_plans, open_site(trusted_keys=keys)))


def test_a_program_asks_no_server_that_the_site_did_not_name(
    equipped: Bundle, keys: Path, write_profile: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.screener, "load_engine", lambda *_: pytest.fail("it was asked"))
    site = open_site(write_profile(bundle_sha256=equipped.sha256, allow_unsigned=True), keys)
    with pytest.raises(SiteError, match="the site's profile names none to read its frames"):
        Screener(equipped, engine="triton://elsewhere:8001/retina", trust=Guard(equipped, site))


def test_the_engine_stays_open_as_long_as_the_screener(equipped: Bundle, engine: FakeEngine) -> None:
    with Screener(equipped, engine=engine):
        assert not engine.closed
    assert engine.closed


def test_a_program_obeys_the_site_that_the_environment_names(
    write_bundle: Write,
    keys: Path,
    key: Ed25519PrivateKey,
    write_profile: Write,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    equipped, engine = equip_with_a_positive(write_bundle()), SeeingEngine()
    monkeypatch.setenv("ROP_TRUSTED_KEYS", str(keys))
    monkeypatch.setenv(
        "ROP_SITE_PROFILE", str(write_profile(bundle_sha256=equipped.sha256, refer_threshold=0.05, allow_unsigned=True))
    )
    with Screener(equipped, engine=engine) as screener:
        reading = screener.screen(frames()[0])
    assert (reading.outcome, reading.reason) == (Outcome.REFER, "ridge 0.10, threshold 0.05")
    assert reading.trust is not None
    assert reading.trust.bundle.state == "unsigned"


def test_the_self_test_runs_at_the_start_and_every_hour(equipped: Bundle, engine: FakeEngine, clock: Clock) -> None:
    with Screener(equipped, engine=engine, trust=Guard(equipped, clock=clock)) as screener:
        assert engine.frames == 2 * len(IMAGES)  # twice, to see whether it repeats itself
        clock.now += 3599
        screener.between_frames()
        assert engine.frames == 2 * len(IMAGES)
        clock.now += 1
        screener.between_frames()
        assert engine.frames == 3 * len(IMAGES)
        screener.between_frames()
        assert engine.frames == 3 * len(IMAGES)
        clock.now += 3600  # nobody came between frames: the frame itself waits for it
        screener.screen(frames()[0])
        assert engine.frames == 4 * len(IMAGES) + 1


@pytest.mark.parametrize("fault", [*Fault, "other answer", "other vessels"])
def test_an_engine_that_changed_gives_no_result_from_then_on(
    equipped: Bundle, engine: FakeEngine, clock: Clock, fault: Fault | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Screener(equipped, engine=engine, trust=Guard(equipped, clock=clock)) as screener:
        assert screener.screen(frames()[0]).outcome is Outcome.NO_REFERRAL_FINDINGS
        if isinstance(fault, Fault):
            engine.fault = fault
        elif fault == "other answer":
            engine.probabilities = (0.898, 0.102)  # within the bundle's tolerance, not within this machine's own
        else:
            monkeypatch.setattr(engine, "_infer", _with_a_spot(engine))
        clock.now += 3600
        screener.between_frames()
        engine.fault, engine.probabilities = None, (0.9, 0.1)
        monkeypatch.undo()
        for _ in range(2):
            readings = [screener.screen(frame) for frame in (*frames(), frames()[2])]
            readings += [screener.unreadable(RepeatedFrame("again", source="x", sequence=4))]
            readings += [screener.unreadable(FrameUnreadable("torn", source="x", sequence=5))]
            assert {reading.outcome for reading in readings} == {Outcome.NO_RESULT}
            assert all(reading.reason.startswith("self-test failed: ") for reading in readings)
            assert all(reading.probabilities is None and reading.vessels is None for reading in readings)
            assert all(reading.trust is not None and reading.trust.self_test.state == "failed" for reading in readings)
            clock.now += 3600  # later tests do not bring it back
    assert screener.trust is not None
    assert "there will be no result" in trust_line(screener.trust)


def test_the_least_change_that_stays_is_caught_and_one_that_passes_is_not(
    equipped: Bundle, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    test = open_self_test(equipped, "fp32")
    assert test is not None
    assert test.run(engine) == ""
    original, calls = engine._infer, [0]

    def infer(*arguments: Any) -> Any:
        found = original(*arguments)
        calls[0] += 1
        if calls[0] <= wrong_for:
            found.logits[0] = np.nextafter(found.logits[0], np.float32(9))
        return found

    monkeypatch.setattr(engine, "_infer", infer)
    wrong_for = len(IMAGES)
    assert test.run(engine) == ""
    wrong_for, calls[0] = 100, 0
    assert test.run(engine) == "the answers are no longer those of the start"


def _with_a_spot(engine: FakeEngine) -> Callable[..., Any]:
    original = engine._infer

    def infer(*arguments: Any) -> Any:
        found = original(*arguments)
        found.vessels[100, 100] = 1 - found.vessels[100, 100].round()
        return found

    return infer


@pytest.mark.parametrize("repeats", [False, True])
def test_an_engine_that_is_wrong_from_the_start_gives_no_result(equipped: Bundle, repeats: bool) -> None:
    """Known answers go before repeating itself, which an engine that is wrong does as well."""
    with Screener(equipped, engine=FakeEngine((0.8, 0.2)), trust=Guard(equipped, repeats=repeats)) as screener:
        reading = screener.screen(frames()[0])
    assert reading.outcome is Outcome.NO_RESULT
    assert reading.reason == "self-test failed: frame 1: probability is off by 0.1, at most 0.01"


def test_a_self_test_that_is_asked_for_runs_at_once(equipped: Bundle, engine: FakeEngine) -> None:
    with Screener(equipped, engine=engine, trust=Guard(equipped)) as screener:
        before = engine.frames
        assert screener.self_test() == ""
        assert engine.frames == before + len(IMAGES)
        engine.probabilities = (0.8, 0.2)
        assert screener.self_test().startswith("self-test failed: frame 1")


def test_before_there_is_an_engine_nothing_is_due_and_nothing_is_said_of_it(bundle: Bundle, clock: Clock) -> None:
    guard, engine = Guard(bundle, clock=clock), FakeEngine()
    assert (guard.problem, guard.due, guard.facts(engine.facts).self_test.state) == ("", False, "none")
    guard.engine_loaded(engine)
    clock.now += 10 * 3600
    assert not guard.due  # the bundle holds no self-test


def test_an_engine_with_another_number_of_classes_fails(equipped: Bundle) -> None:
    test = open_self_test(equipped, "fp32")
    assert test is not None
    assert test.run(FakeEngine((0.8, 0.1, 0.1))) == "frame 1: got 3 classes, expected 2"


def test_an_engine_that_slept_through_the_hour_is_tested(
    equipped: Bundle, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock that goes on while the machine sleeps; `time.monotonic` would stand still."""
    slept = [1000.0]
    monkeypatch.setattr("time.clock_gettime", lambda clock: slept[0] if clock == time.CLOCK_BOOTTIME else 0.0)
    guard = Guard(equipped)
    guard.engine_loaded(engine)
    assert not guard.due
    slept[0] += 3600
    assert guard.due


def test_a_reload_is_tested_anew(equipped: Bundle, engine: FakeEngine, clock: Clock) -> None:
    guard = Guard(equipped, clock=clock)
    guard.engine_loaded(FakeEngine((0.2, 0.8)))
    assert guard.problem
    guard.engine_loaded(engine)
    assert not guard.problem


def test_a_precision_without_known_answers_is_refused_and_the_engine_given_back(
    equipped: Bundle, engine: FakeEngine
) -> None:
    engine.facts = engine.facts.__class__("fake", "int8", "none")
    with pytest.raises(BundleError, match="its self-test knows fp32, not int8"):
        Screener(equipped, engine=engine, trust=Guard(equipped))
    assert engine.closed


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "rop.selftest/2"},
        {"frames": ["selftest/frame_1.png"]},
        {"frames": ["selftest/frame_1.png", "segmentation.fp32.onnx"]},
        {"frames": ["selftest/frame_1.png", "../frame.png"]},
        {"answers": {}},
        {"answers": {"fp32": {"probability_tolerance": 0.9, "vessels_tolerance": 0.01, "frames": []}}},
        {"answers": {"fp32": {"probability_tolerance": float("nan"), "vessels_tolerance": 0.01, "frames": []}}},
    ],
)
def test_a_self_test_that_cannot_be_used_is_refused(write_bundle: Write, change: dict[str, Any]) -> None:
    bundle = equip(write_bundle(), **change)
    with pytest.raises(BundleError):
        open_self_test(bundle, "fp32")


def test_a_site_needs_a_self_test(write_bundle: Write, keys: Path, key: Ed25519PrivateKey, engine: FakeEngine) -> None:
    folder = write_bundle()
    sign(folder / "manifest.json", folder / MANIFEST_SIGNATURE, key)
    bundle = open_bundle(folder)
    with pytest.raises(BundleError, match=r"holds no self-test.*python -m build_engines trust"):
        Screener(bundle, engine=engine, trust=Guard(bundle, open_site(trusted_keys=keys)))
    assert engine.closed


def test_a_cart_without_a_site_runs_without_a_self_test_and_says_so(bundle: Bundle, engine: FakeEngine) -> None:
    with Screener(bundle, engine=engine, trust=Guard(bundle)) as screener:
        reading = screener.screen(frames()[0])
    assert reading.outcome is Outcome.NO_REFERRAL_FINDINGS
    assert reading.trust is not None
    assert (reading.trust.self_test.state, reading.trust.drift.state) == ("none", "off")
    assert trust_line(reading.trust) == ""


def test_a_sites_decisions_reach_the_screener(
    write_bundle: Write, keys: Path, key: Ed25519PrivateKey, write_profile: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    equipped = equip_with_a_positive(write_bundle())
    monkeypatch.setattr(runtime.screener, "load_engine", lambda *_: SeeingEngine())
    sign(equipped.path / "manifest.json", equipped.path / MANIFEST_SIGNATURE, key)
    profile = write_profile(
        bundle_sha256=equipped.sha256,
        refer_threshold=0.05,
        budget_ms={"total": 5000},
        quality_limits={"brightness_max": 254.0},
        self_test_every_s=60,
        drift={"reference": "Neo", "gradable_share": 0.9},
    )
    site = open_site(profile, keys)
    with screener_for(site, equipped, budget=Budget(total=9000, segment=400)) as screener:
        reading = screener.screen(frames()[0])
    assert (reading.outcome, reading.budget_ms) == (Outcome.REFER, 5000)
    trust = json.loads(reading.to_json())["trust"]
    assert trust["bundle"]["by"] == "maker"
    assert trust["site"] == {"name": "Ward 4", "profile_sha256": site.profile_sha256, "by": "maker"}
    assert reading.trust is not None
    assert trust_line(reading.trust) == "bundle signed by maker, profile of Ward 4, signed by maker"
    with screener_for(site, equipped, threshold=0.5) as screener:  # an exam that was opened under another one
        assert screener.screen(frames()[1]).outcome is Outcome.NO_REFERRAL_FINDINGS


def test_a_profile_that_expires_while_a_program_runs_ends_its_results(
    write_bundle: Write, keys: Path, key: Ed25519PrivateKey, write_profile: Write
) -> None:
    equipped, engine = equip_with_a_positive(write_bundle()), SeeingEngine()
    sign(equipped.path / "manifest.json", equipped.path / MANIFEST_SIGNATURE, key)
    site, day = open_site(write_profile(), keys), [date.today()]
    assert site.profile is not None
    with Screener(equipped, engine=engine, trust=Guard(equipped, site, today=lambda: day[0])) as screener:
        day[0] = site.profile.expires
        assert screener.screen(frames()[0]).outcome is Outcome.NO_REFERRAL_FINDINGS
        day[0] += timedelta(days=1)
        reading = screener.screen(frames()[1])
    assert reading.outcome is Outcome.NO_RESULT
    assert reading.reason == f"the site's profile expired on {site.profile.expires}; have a new one signed"


def test_a_bundle_that_expires_while_a_program_runs_ends_its_results(write_bundle: Write) -> None:
    day = [date.today()]
    equipped = equip(write_bundle(expires=day[0].isoformat()))
    with Screener(equipped, engine=FakeEngine(), trust=Guard(equipped, today=lambda: day[0])) as screener:
        assert screener.screen(frames()[0]).outcome is Outcome.NO_REFERRAL_FINDINGS
        day[0] += timedelta(days=1)
        reading = screener.screen(frames()[1])
    assert reading.outcome is Outcome.NO_RESULT
    assert reading.reason == f"the bundle expired on {equipped.manifest.expires}; have a new one signed"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (EngineAway("no answer"), "^fake: was lost while it was tested: no answer; start again when"),
        (AnswerUnusable("another bundle's"), "^fake: failed while it was tested: another bundle's$"),
    ],
    ids=["lost", "wrong"],
)
def test_a_server_that_does_not_pass_its_first_test_is_none_to_begin_with(
    equipped: Bundle, monkeypatch: pytest.MonkeyPatch, fault: EngineAway, said: str
) -> None:
    """Only one that was lost may be read for by another engine: what answers wrongly is no server that is away."""

    def away(*_: Any) -> Any:
        raise fault

    engine = FakeEngine()
    monkeypatch.setattr(engine, "_infer", away)
    with pytest.raises(EngineError, match=said) as caught:
        Screener(equipped, engine=engine, trust=Guard(equipped))
    assert isinstance(caught.value, EngineAway) is (type(fault) is EngineAway)
    assert engine.closed


def test_a_bundle_that_is_out_of_date_at_the_start_says_that_and_is_not_asked(write_bundle: Write) -> None:
    equipped, engine = equip(write_bundle(expires=date.today().isoformat())), FakeEngine()
    guard = Guard(equipped, today=lambda: date.today() + timedelta(days=1))
    with Screener(equipped, engine=engine, trust=guard) as screener:
        assert screener.problem.startswith("the bundle expired on ")
    assert engine.frames == 0


def test_where_a_site_is_the_engine_is_held_to_pictures_drawn_for_this_machine_too(
    write_bundle: Write, keys: Path, write_profile: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def differs(bundle: Bundle, engine: FakeEngine) -> str:
        asked.append(engine)
        return "a drawn picture is read otherwise"

    monkeypatch.setattr("runtime.trust.guard.drawn_problem", differs)
    equipped = equip_with_a_positive(write_bundle())
    with Screener(equipped, engine=SeeingEngine(), trust=Guard(equipped)) as screener:  # nobody configured it
        assert screener.problem == ""
    assert not asked
    site = open_site(write_profile(allow_unsigned=True), keys)
    used: list[object] = []
    monkeypatch.setattr(Site, "note_used", lambda self, *found: used.append(found))
    with Screener(equipped, engine=SeeingEngine(), trust=Guard(equipped, site)) as screener:
        assert screener.problem.endswith("a drawn picture is read otherwise")
        assert screener.screen(frames()[0]).outcome is Outcome.NO_RESULT
    assert len(asked) == 1
    with Screener(equipped, engine=FakeEngine((0.2, 0.8)), trust=Guard(equipped, site)) as screener:
        assert screener.problem != ""  # its known frames fail: it is not asked for drawn ones
    assert len(asked) == 1
    assert not used
    monkeypatch.setattr("runtime.trust.guard.drawn_problem", lambda *_: "")
    with Screener(equipped, engine=SeeingEngine(), trust=Guard(equipped, site)):
        assert len(used) == 1


def test_the_watch_for_drift_sees_every_reading(equipped: Bundle, engine: FakeEngine) -> None:
    guard = Guard(equipped)
    with Screener(equipped, engine=engine, trust=guard) as screener:
        for number, frame in enumerate(frames()):
            reading = screener.screen(frame)
            assert reading.trust is not None
            assert reading.trust.drift.frames == number
    assert guard.facts(engine.facts).drift.frames == len(frames())


def test_a_site_decides_how_often_the_engine_is_tested_and_what_drift_is_measured_against(
    write_bundle: Write, keys: Path, write_profile: Write, clock: Clock
) -> None:
    equipped, engine = equip_with_a_positive(write_bundle()), SeeingEngine()
    drift = {"reference": "RetCam", "gradable_share": 0.9}
    site = open_site(write_profile(allow_unsigned=True, self_test_every_s=60, drift=drift), keys)
    with pytest.raises(BundleError, match=r"no drift reference 'RetCam', it has: all, Neo"):
        Guard(equipped, site, clock=clock)
    site = open_site(write_profile(allow_unsigned=True, self_test_every_s=60), keys)
    with Screener(equipped, engine=engine, trust=Guard(equipped, site, clock=clock)) as screener:
        tested = engine.frames
        clock.now += 59
        screener.between_frames()
        assert engine.frames == tested
        clock.now += 1
        screener.between_frames()
        assert engine.frames == tested + len(IMAGES)


def test_a_site_that_no_longer_stands_for_the_bundle_says_so(
    write_bundle: Write, keys: Path, key: Ed25519PrivateKey, stranger: Ed25519PrivateKey, write_profile: Write
) -> None:
    equipped = equip_with_a_positive(write_bundle())
    sign(equipped.path / "manifest.json", equipped.path / MANIFEST_SIGNATURE, key)
    site = open_site(write_profile(), keys)
    guard = Guard(equipped, site)
    (equipped.path / MANIFEST_SIGNATURE).unlink()  # what counts is what was read when the bundle was opened
    assert guard.unvouched(site) == ""
    (keys / "maker.pem").write_bytes(public_pem(stranger))
    assert "signed with key" in guard.unvouched(open_site(None, keys))
    assert "withdrawn" in guard.unvouched(replace(site, withdrawn=frozenset({equipped.sha256})))


def test_a_screener_hands_on_whether_a_site_still_stands_for_its_bundle(
    equipped: Bundle, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    guard, site = Guard(equipped), Site()
    monkeypatch.setattr(guard, "unvouched", lambda asked: "it was withdrawn" if asked is site else "")
    with Screener(equipped, engine=engine, trust=guard) as screener:
        assert screener.unvouched(site) == "it was withdrawn"
    with Screener(equipped, engine=FakeEngine(), trust="off") as screener:
        assert screener.unvouched(site) == ""


def test_a_reading_says_how_its_plan_was_vouched_for(
    signed_with_plans: Bundle, keys: Path, write_profile: Write
) -> None:
    profile = write_profile(bundle_sha256=signed_with_plans.sha256, allow_unsigned_plans=True)
    guard = Guard(signed_with_plans, open_site(profile, keys))
    facts = FakeEngine().facts
    assert guard.facts(facts).plan is None
    for sha256, state in ((find_plan(guard.bundle, KEY).sha256, "unsigned"), ("e" * 64, "unchecked")):
        plan = guard.facts(replace(facts, plan_sha256=sha256)).plan
        assert plan is not None
        assert plan.state == state


def test_an_engine_whose_answers_nobody_knows_must_repeat_them_where_it_is_asked_to(
    bundle: Bundle, clock: Clock
) -> None:
    for repeats in (False, True):
        engine = FakeEngine()
        with Screener(bundle, engine=engine, trust=Guard(bundle, repeats=repeats, clock=clock)) as screener:
            assert (engine.frames > 0) is repeats
            engine.probabilities = (0.6, 0.4)
            clock.now += 3600
            reading = screener.screen(frames()[0])
            assert (reading.outcome is Outcome.NO_RESULT) is repeats
            assert reading.trust is not None
            assert reading.trust.self_test.state == ("failed" if repeats else "none")
    with Screener(bundle, engine=FakeEngine(), trust=Guard(bundle, clock=clock)) as screener:
        assert screener.screen(frames()[0]).outcome is Outcome.NO_REFERRAL_FINDINGS


def test_a_profile_that_asks_for_a_reference_that_is_not_there_is_refused(equipped: Bundle) -> None:
    with pytest.raises(BundleError, match=r"no drift reference 'RetCam', it has: all, Neo"):
        open_watch(equipped, "RetCam")


def reading_of(reading: Reading, source: str, seconds: float, gradable: bool = True) -> Reading:
    facts = reading.frame
    quality = Quality(gradable, (), reading.quality.measures if reading.quality else {})
    return Reading(
        FrameFacts(source, 0, facts.captured_at + timedelta(seconds=seconds)),
        reading.outcome,
        "",
        reading.bundle,
        reading.engine,
        probabilities=reading.probabilities,
        quality=quality,
        vessel_fraction=reading.vessel_fraction,
    )


@pytest.fixture
def reading(equipped: Bundle, engine: FakeEngine) -> Reading:
    with Screener(equipped, engine=engine) as screener:
        return screener.screen(frames()[0])


def test_frames_of_a_video_count_once_in_a_while_and_every_picture_counts(equipped: Bundle, reading: Reading) -> None:
    watch = open_watch(equipped)
    assert watch is not None
    for number in range(50):
        watch.count(reading_of(reading, f"camera:0:{number}{'~1' * (number > 40)}", number / 10))
    assert watch.facts.frames == 1
    watch.count(reading_of(reading, "camera:0:51", SPACING_S + 1))
    watch.count(reading_of(reading, "camera:0:52", -60))  # the clock was set back
    assert watch.facts.frames == 3
    for number in range(5):
        watch.count(reading_of(reading, f"eye_{number}.png", 0))
    assert watch.facts.frames == 8


def test_what_the_watch_saw_is_there_after_a_restart_and_an_alarm_too(
    equipped: Bundle, reading: Reading, tmp_path: Path
) -> None:
    file = tmp_path / "drift.json"
    watch = open_watch(equipped, file=file)
    assert watch is not None
    for number in range(WINDOW + 3):
        watch.count(reading_of(reading, f"eye_{number}.png", 0))
    assert watch.facts.state == "alarm"  # all the same score, where the reference's are spread
    again = open_watch(equipped, file=file)
    assert again is not None
    assert again.facts == watch.facts
    other = open_watch(equipped, gradable_share=0.4, file=file)
    assert other is not None
    assert other.facts.state == "gathering"
    assert [path.name for path in tmp_path.glob("*drift*")] == ["drift.json"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"reference": 1}', b"\xff"])
def test_a_spoilt_file_of_the_watch_begins_anew(equipped: Bundle, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "drift.json"
    file.write_bytes(content)
    watch = open_watch(equipped, file=file)
    assert watch is not None
    assert watch.facts.frames == 0


def test_a_watch_that_cannot_keep_its_file_goes_on(equipped: Bundle, reading: Reading, tmp_path: Path) -> None:
    watch = open_watch(equipped, file=tmp_path / "nowhere" / "drift.json")
    assert watch is not None
    watch.count(reading_of(reading, "eye.png", 0))
    assert watch.facts.frames == 1


@pytest.mark.parametrize(
    ("threshold", "reason"),
    [
        (None, ""),
        (0.89, ""),
        (0.91, "frame 2: has to be referred and was not (ridge 0.90, threshold 0.91)"),
        (
            0.9999999999999999,
            "frame 2: has to be referred and was not (ridge 0.8999999761581421, threshold 0.9999999999999999)",
        ),
        (0.05, ""),
    ],
)
def test_a_threshold_under_which_a_known_positive_is_not_referred_gives_no_result(
    write_bundle: Write, threshold: float | None, reason: str
) -> None:
    bundle = equip_with_a_positive(write_bundle())
    with Screener(bundle, engine=SeeingEngine(), threshold=threshold) as screener:
        assert screener.problem == (f"self-test failed: {reason}" if reason else "")
        outcome = screener.screen(frames()[0]).outcome
    assert (outcome is Outcome.NO_RESULT) is bool(reason)


def test_an_engine_that_takes_one_class_for_another_gives_no_result(write_bundle: Write) -> None:
    """By tolerances that would let it pass."""
    bundle = equip_with_a_positive(write_bundle(), frames=[{"class_name": "ridge", "refer": False}] * 2)
    with Screener(bundle, engine=SeeingEngine()) as screener:
        assert screener.problem == "self-test failed: frame 1: shows ridge, was taken for no_ridge"


@pytest.mark.parametrize(
    "classes",
    [
        [("ridge", False), ("no_ridge", True)],
        [("ridge", True), ("no_ridge", False)],
        [("no_ridge", True), ("ridge", False)],
        [("no_ridge", False), ("stage_1", True)],
        [("no_ridge", False), ("ridge", True), ("other", False)],
    ],
)
def test_swapped_classes_and_a_turned_refer_do_not_fit_the_self_test(
    write_bundle: Write, classes: list[tuple[str, bool]]
) -> None:
    labels = [{"name": name, "meaning": "m", "refer": refer} for name, refer in classes]
    bundle = equip_with_a_positive(write_bundle(classes=labels))
    with pytest.raises(BundleError, match="its self-test is for the classes no_ridge, ridge, of which ridge refer"):
        open_self_test(bundle, "fp32")


@pytest.mark.parametrize(
    "meaning",
    [
        None,
        MEANING | {"frames": MEANING["frames"][:1] * 2},  # type: ignore[index]
        MEANING | {"frames": [{"class_name": None, "refer": False}] * 2},
    ],
)
def test_a_site_needs_a_known_positive(
    write_bundle: Write, keys: Path, key: Ed25519PrivateKey, meaning: dict[str, Any] | None
) -> None:
    folder = write_bundle()
    bundle = equip(folder, SeeingEngine(), meaning=meaning)
    sign(folder / "manifest.json", folder / MANIFEST_SIGNATURE, key)
    with pytest.raises(BundleError, match="knows no frame that has to be referred, and this site needs one"):
        Screener(bundle, engine=SeeingEngine(), trust=Guard(bundle, open_site(trusted_keys=keys)))


@pytest.mark.parametrize(
    "meaning",
    [
        MEANING | {"frames": MEANING["frames"][:1]},  # type: ignore[index]
        MEANING | {"frames": [{"class_name": "stage_3", "refer": True}] * 2},
        MEANING | {"frames": [{"class_name": "ridge", "refer": "no"}] * 2},
        MEANING | {"refer_classes": []},
    ],
)
def test_a_meaning_that_cannot_be_is_refused(write_bundle: Write, meaning: dict[str, Any]) -> None:
    with pytest.raises(BundleError):
        open_self_test(equip(write_bundle(), meaning=meaning), "fp32")


@pytest.mark.parametrize("threshold", [0.1799999, 0.25, 0.5, 0.99])
def test_an_edited_threshold_is_found_without_a_key_however_near_it_is(threshold: float) -> None:
    """No frame of the self-test lies between 0.25 and 0.5: the stage vectors know what the bundle was built with."""
    shipped = open_bundle()
    assert open_self_test(shipped, "int8") is not None
    assert open_self_test(shipped, "int8", threshold=0.25) is not None, "a signed profile may set another one"
    edited = replace(shipped, manifest=shipped.manifest.model_copy(update={"refer_threshold": threshold}))
    with pytest.raises(BundleError, match=f"refers at {threshold:g}, it was built with 0.18: somebody edited it"):
        open_self_test(edited, "int8")


@pytest.mark.parametrize(
    ("limit", "value"),
    [("redness_min", 0.0), ("redness_min", 0.02), ("brightness_max", 1e9), ("detail_min", 1.44), ("relief_min", 0.0)],
)
def test_an_edited_limit_of_the_gate_is_found_without_a_key(limit: str, value: float) -> None:
    """relief_min is not stated by the manifest as it was built: this software's own counts then."""
    shipped = open_bundle()
    gate = {**(shipped.manifest.gate or {}), limit: value}
    edited = replace(shipped, manifest=shipped.manifest.model_copy(update={"gate": gate}))
    with pytest.raises(BundleError, match=f"its gate's {limit} is {value}, it was built with .*: somebody edited it"):
        open_self_test(edited, "int8")


def test_a_gate_of_which_a_limit_was_taken_out_is_found() -> None:
    shipped = open_bundle()
    gate = {name: value for name, value in (shipped.manifest.gate or {}).items() if name != "redness_min"}
    edited = replace(shipped, manifest=shipped.manifest.model_copy(update={"gate": gate}))
    with pytest.raises(BundleError, match=r"its gate.s redness_min is not stated, it was built with 0\.03"):
        open_self_test(edited, "int8")
