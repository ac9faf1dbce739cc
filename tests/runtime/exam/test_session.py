from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device.errors import BoardRefused, DeviceError, FlashNotCaught, FrameTimeout
from device.frame import Frame, StatedOf
from runtime.arrays import UInt8Array
from runtime.bundle import Bundle
from runtime.engines.fake import FakeEngine, Fault
from runtime.exam.demonstration import demonstration_camera, run_demonstration
from runtime.exam.errors import ExamRefused, JournalFull, WrongThread
from runtime.exam.infant import now_utc
from runtime.exam.journal import Journal
from runtime.exam.journal import journal as journal_module
from runtime.exam.journal import sights as sights_module
from runtime.exam.journal.crypt import JournalKey
from runtime.exam.journal.images import ImageStore
from runtime.exam.journal.png import encode_png
from runtime.exam.likeness import SIDE
from runtime.exam.replay import replay
from runtime.exam.rules import rules_for
from runtime.exam.session import Accepted, ExamSession
from runtime.outcome import READING_PENDING, Outcome
from runtime.reading import Reading
from runtime.screener import Screener
from runtime.views import Eye, View
from tests.pictures import retina
from tests.runtime.exam.making import NONE, NRF, PLACES, REFER, RETAKE, infant

KEY = JournalKey(bytes(32))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def screener(bundle: Bundle, engine: FakeEngine) -> Iterator[Screener]:
    with Screener(bundle, engine=engine) as made:
        yield made


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.open(tmp_path / "journal", KEY, create=True) as made:
        yield made


@pytest.fixture
def session(journal: Journal, screener: Screener) -> ExamSession:
    return ExamSession(journal, screener, operator="anna")


def shot(number: int) -> Frame:
    return Frame(retina(number), number, "camera")


def test_a_whole_exam(session: ExamSession, journal: Journal, bundle: Bundle) -> None:
    exam_id = session.open(infant(), rules_for(bundle))
    for number, (eye, view) in enumerate(PLACES):
        session.aim(eye, view)
        assert session.result.infant.outcome is NONE
        assert session.take(shot(number)).outcome is NRF
    record = session.close()
    assert record.result.infant.outcome is NRF
    assert journal.exam(exam_id) == record
    with pytest.raises(ExamRefused, match="while no exam was open"):
        session.take(shot(50))


@pytest.mark.parametrize("fault", Fault)
def test_an_engine_that_fails_for_one_frame_gives_no_all_clear(
    session: ExamSession, engine: FakeEngine, bundle: Bundle, fault: Fault
) -> None:
    session.open(infant(), rules_for(bundle))
    for number, (eye, view) in enumerate(PLACES):
        engine.fault = fault if number == 4 else None
        session.aim(eye, view)
        session.take(shot(number))
    assert session.close().result.infant.outcome is NONE


def test_a_frozen_camera_gives_no_all_clear(session: ExamSession, bundle: Bundle) -> None:
    session.open(infant(), rules_for(bundle))
    for eye, view in PLACES:
        session.aim(eye, view)
        session.take(shot(1))
    assert session.close().result.infant.outcome is RETAKE


def test_an_infant_switched_during_inference(
    session: ExamSession, journal: Journal, engine: FakeEngine, bundle: Bundle
) -> None:
    first = session.open(infant(), rules_for(bundle))
    session.aim(Eye.OD, View.DISC)
    accepted = session.accept(shot(1))
    session.close()
    second = session.open(infant(infant_id="H-2"), rules_for(bundle))
    session.aim(Eye.OS, View.NASAL)
    engine.probabilities = (0.1, 0.9)
    session.finish(accepted)
    assert journal.exam(first).result.eyes[Eye.OD].outcome is REFER
    assert journal.exam(second).captures == ()


def test_a_frame_from_before_the_exam_is_not_taken(session: ExamSession, journal: Journal, bundle: Bundle) -> None:
    old = shot(1)
    exam_id = session.open(infant(), rules_for(bundle))
    between = Frame(retina(2), 2, "camera")
    session.aim(Eye.OD, View.DISC)
    with pytest.raises(ExamRefused, match="no exam was open"):
        session.take(old)
    with pytest.raises(ExamRefused, match="before eye and view were set"):
        session.take(between)
    assert journal.exam(exam_id).captures == ()


def test_a_frame_of_the_last_infant_never_reaches_the_next(
    session: ExamSession, journal: Journal, bundle: Bundle
) -> None:
    session.open(infant(), rules_for(bundle))
    session.aim(Eye.OD, View.DISC)
    late = shot(1)
    session.close()
    second = session.open(infant(infant_id="H-2"), rules_for(bundle))
    session.aim(Eye.OD, View.DISC)
    with pytest.raises(ExamRefused, match="it is closed, no frame can be added"):
        session.take(late)
    assert journal.exam(second).captures == ()


def test_what_a_crash_left_unread_is_read_at_the_next_start(
    session: ExamSession, journal: Journal, screener: Screener, bundle: Bundle
) -> None:
    exam_id = session.open(infant(), rules_for(bundle))
    session.aim(Eye.OD, View.DISC)
    kept = session.accept(shot(1)).frame
    assert journal.exam(exam_id).captures[0].reason == READING_PENDING
    after = ExamSession(journal, screener, operator="anna")
    assert after.resume("0" * 64) == exam_id
    assert journal.pending() == [(exam_id, 1)]  # another bundle reads nothing of this exam
    assert after.resume(bundle.sha256) == exam_id
    capture = journal.exam(exam_id).captures[0]
    assert (capture.outcome, capture.frame_sha256) == (NRF, kept.sha256)
    with pytest.raises(ExamRefused, match="before eye and view were set"):
        after.take(shot(2))
    after.aim(Eye.OD, View.NASAL)
    after.take(shot(2))
    assert after.close().summary.captures == 2


def test_a_camera_that_gives_nothing_is_part_of_the_record(session: ExamSession, bundle: Bundle) -> None:
    session.open(infant(), rules_for(bundle))
    session.aim(Eye.OD, View.DISC)
    session.miss(FrameTimeout("no frame in 2 s"))
    verdict = session.result.views[Eye.OD, View.DISC]
    assert verdict.banner == "No result - OD disc-centred, no frame in 2 s"


def test_replay_gives_the_same_outcomes(session: ExamSession, journal: Journal, bundle: Bundle) -> None:
    rules = rules_for(bundle)
    with demonstration_camera(seed=3, faults=0.3) as camera:
        record = run_demonstration(session, camera, rules, now_utc())
    exam_id = record.summary.exam_id
    with Screener(bundle, engine=FakeEngine(), reject_repeats=False) as again:
        found = replay(journal, exam_id, again, bundle.sha256)
    assert found.same
    assert len(found.repeats) == len(record.captures) >= 10
    assert {repeat.same for repeat in found.repeats} == {True}
    assert {repeat.kept for repeat in found.repeats} == {NRF, RETAKE}
    journal.exclude(exam_id, 1, reason="of the twin", operator="anna")
    with Screener(bundle, engine=FakeEngine(), reject_repeats=False) as again:
        found = replay(journal, exam_id, again, bundle.sha256)
    assert [repeat.note for repeat in found.repeats] == [
        "in the exam NO RESULT: frame excluded by a person",
        *[""] * (len(record.captures) - 1),
    ]
    with Screener(bundle, engine=FakeEngine((0.2, 0.8)), reject_repeats=False) as other:
        changed = replay(journal, exam_id, other, bundle.sha256)
    assert not changed.same
    assert {repeat.again for repeat in changed.repeats if repeat.same is False} == {Outcome.REFER}
    with pytest.raises(ExamRefused, match="name its bundle with --bundle"):
        replay(journal, exam_id, again, "0" * 64)


def test_replay_says_what_cannot_be_repeated(
    session: ExamSession, journal: Journal, engine: FakeEngine, bundle: Bundle
) -> None:
    exam_id = session.open(infant(), rules_for(bundle))
    session.aim(Eye.OD, View.DISC)
    engine.fault = Fault.CRASH
    session.take(shot(1))
    engine.fault = None
    session.miss(FrameTimeout("none"))
    session.take(Frame(retina(1), 1, "camera", captured_ns=time.monotonic_ns()))
    with Screener(bundle, engine=FakeEngine(), reject_repeats=False) as again:
        found = replay(journal, exam_id, again, bundle.sha256)
    assert [repeat.same for repeat in found.repeats] == [None, None, None]
    assert found.same
    assert found.repeats[0].note == "a fault of that moment"


def test_a_picture_is_kept_while_it_is_read(
    session: ExamSession, journal: Journal, screener: Screener, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam_id = session.open(infant(), rules_for(bundle))
    session.aim(Eye.OD, View.DISC)
    both = threading.Barrier(2, timeout=60)  # neither side gets past it alone
    told: list[Accepted] = []

    def encoded(pixels: UInt8Array) -> bytes:
        both.wait()
        return encode_png(pixels)

    def read() -> Reading:
        both.wait()
        with pytest.raises(WrongThread):
            journal.exams()
        return screener.screen(frame)

    monkeypatch.setattr(journal_module, "encode_png", encoded)
    frame = shot(1)
    accepted, reading = session.accept_while(frame, read, told.append)
    monkeypatch.undo()
    assert told == [accepted]
    assert journal.pending() == [(exam_id, accepted.number)]
    assert journal.add_reading(exam_id, accepted.number, reading).outcome is NRF


def test_what_can_be_done_before_an_outcome_is_kept_is_done_while_the_picture_is(
    session: ExamSession, journal: Journal, screener: Screener, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam_id = session.open(infant(), rules_for(bundle))
    session.aim(Eye.OD, View.DISC)
    frame = shot(1)

    def read() -> Reading:
        reading = screener.screen(frame)
        journal.look_ahead(exam_id, frame, reading)
        return reading

    accepted, reading = session.accept_while(frame, read)
    assert reading.vessels is not None

    def late(*_: object) -> None:
        raise AssertionError("this is done while the outcome is waited for")

    with monkeypatch.context() as then:
        then.setattr(journal_module, "encode_png", late)
        then.setattr(sights_module, "small", late)
        then.setattr(sights_module, "sight", late)
        journal.add_reading(exam_id, accepted.number, reading)
    np.testing.assert_array_equal(journal.vessels(exam_id, accepted.number), reading.vessels)


def test_a_vessel_map_that_was_made_ready_is_kept_with_its_own_reading_only(
    session: ExamSession, journal: Journal, screener: Screener, bundle: Bundle
) -> None:
    exam_id = session.open(infant(), rules_for(bundle))
    session.aim(Eye.OD, View.DISC)
    frames = [shot(1), shot(2)]
    numbers = [session.accept(frame).number for frame in frames]
    first, second = (screener.screen(frame) for frame in frames)
    assert second.vessels is not None
    second = replace(second, vessels=255 - second.vessels)
    journal.look_ahead(exam_id, frames[0], first)
    journal.add_reading(exam_id, numbers[1], second)
    journal.add_reading(exam_id, numbers[0], first)
    np.testing.assert_array_equal(journal.vessels(exam_id, numbers[1]), second.vessels)
    np.testing.assert_array_equal(journal.vessels(exam_id, numbers[0]), first.vessels)


def test_of_pictures_that_were_not_read_only_the_newest_is_held_whole(
    session: ExamSession, journal: Journal, bundle: Bundle
) -> None:
    exam_id = session.open(infant(), rules_for(bundle))
    session.aim(Eye.OD, View.DISC)
    sights = sights_module.Sights(journal)
    for number in (1, 2, 3):
        sights.taken(exam_id, number, shot(number))
    sizes = [pixels.shape[0] for pixels in sights._exam.taken.values()]
    assert sizes[:2] == [SIDE, SIDE]
    assert sizes[2] > SIDE


@pytest.mark.parametrize("error", [SystemExit(75), RuntimeError("a fault of the reader")])
def test_a_picture_is_kept_whatever_ends_its_reading(
    session: ExamSession, journal: Journal, bundle: Bundle, error: BaseException
) -> None:
    exam_id = session.open(infant(), rules_for(bundle))
    session.aim(Eye.OD, View.DISC)

    def read() -> Reading:
        raise error

    with pytest.raises(type(error)):
        session.accept_while(shot(1), read)
    assert journal.pending() == [(exam_id, 1)]
    assert session.resume(bundle.sha256) == exam_id
    assert journal.pending() == []


def test_a_reading_counts_for_nothing_where_its_picture_could_not_be_kept(
    session: ExamSession, journal: Journal, screener: Screener, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    exam_id = session.open(infant(), rules_for(bundle))
    session.aim(Eye.OD, View.DISC)

    def full(self: object, content: bytes) -> str:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(ImageStore, "put", full)
    told: list[Accepted] = []
    with pytest.raises(JournalFull):
        session.accept_while(shot(1), lambda: screener.screen(shot(1)), told.append)
    assert not told
    assert not journal.exam(exam_id).captures  # and the journal is this thread's again


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FlashNotCaught("no frame of 5 holds it"), "the flash was given, but no picture holds it: take it again"),
        (BoardRefused("recharging", code=3, detail=400), "the light board refused, no flash was given (recharging)"),
        (FrameTimeout("nothing in 2 s"), "nothing in 2 s"),
    ],
)
def test_what_the_light_could_not_do_is_a_miss_in_words(
    session: ExamSession, journal: Journal, bundle: Bundle, error: DeviceError, words: str
) -> None:
    session.open(infant(), rules_for(bundle))
    session.aim(Eye.OD, View.DISC)
    missed = session.miss(error)
    assert missed.outcome is NONE
    assert words in missed.reason
    kept = journal.exam(session.exam_id).captures[0]
    assert (kept.outcome, kept.image_sha256) == (NONE, None)
    assert words in kept.reason


RIGHT, LEFT, HERS, ANOTHERS = StatedOf("R"), StatedOf("L"), StatedOf(patient_id="  h-1 "), StatedOf(patient_id="H-2")


@pytest.mark.parametrize(
    ("known", "eye", "stated", "words"),
    [
        ("H-1", Eye.OD, LEFT, "says OS, OD is set"),
        ("H-1", Eye.OS, RIGHT, "says OD, OS is set"),
        ("H-1", Eye.OD, ANOTHERS, "another patient's identifier"),
        ("H-1", Eye.OD, StatedOf("L", "H-1"), "says OS"),
        ("H-1", Eye.OD, StatedOf("R", "H-2"), "another patient's identifier"),
        ("H-1", Eye.OD, StatedOf("B"), r"says both eyes \(laterality B\), expected OD alone; look which eye"),
        ("H-1", Eye.OS, StatedOf("RL"), "says OD and OS at once .*, expected OS alone; look which eye"),
        ("EMERGENCY-20261129-1200-ABCD", Eye.OS, StatedOf("B"), "says both eyes"),
        ("H-1", Eye.OD, RIGHT, ""),
        ("H-1", Eye.OS, LEFT, ""),
        ("H-1", Eye.OD, HERS, ""),
        ("H-1", Eye.OD, StatedOf(), ""),
        ("EMERGENCY-20261129-1200-ABCD", Eye.OD, ANOTHERS, ""),
    ],
)
def test_a_picture_that_says_it_is_anothers_is_not_kept(
    session: ExamSession, journal: Journal, bundle: Bundle, known: str, eye: Eye, stated: StatedOf, words: str
) -> None:
    exam_id = session.open(replace(infant(), infant_id=known), rules_for(bundle))
    session.aim(eye, View.NASAL)
    frame = Frame(retina(0), 0, "camera", stated=stated)
    if not words:
        assert session.take(frame).outcome is Outcome.NO_REFERRAL_FINDINGS
        return
    with pytest.raises(ExamRefused, match=words) as refused:
        session.take(frame)
    assert "H-2" not in str(refused.value)
    assert journal.exam(exam_id).captures == ()
