from __future__ import annotations

import contextlib
import hashlib
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from device.pixels import Lying, PixelFormat, rgb
from runtime.bundle import Bundle
from runtime.daemon import ring
from runtime.daemon.client import Client
from runtime.daemon.clock import now_ns
from runtime.daemon.errors import DaemonGone, DaemonRefused
from runtime.daemon.messages import (
    SUPERSEDED,
    Configure,
    DaemonState,
    FrameOrder,
    Reason,
    ResultFlag,
    WireOutcome,
)
from runtime.daemon.reader import LATE_ALARM, TORN
from runtime.daemon.ring import SealedRing, make_ring
from runtime.daemon.wire import ErrorCode
from runtime.engines.fake import Fault
from runtime.outcome import ONE_PICTURE
from runtime.preprocess import network_input
from runtime.quality import grade
from tests.pictures import retina
from tests.runtime.daemon.conftest import Running, awaited, running

FINDINGS = (WireOutcome.REFER, WireOutcome.NO_REFERRAL_FINDINGS)


def test_pixels_that_are_no_bytes_are_refused_and_the_next_frame_is_read(daemon: Running) -> None:
    with daemon.client() as client:
        wrongs: list[Any] = [
            retina(1).astype(np.float32),
            retina(1).astype(np.uint16),
            retina(1)[..., 0],
            retina(1) > 9,
            retina(1).tobytes(),
            None,
        ]
        for wrong in wrongs:
            with pytest.raises(ValueError, match="expected uint8"):
                client.read(wrong)
        with pytest.raises(ValueError, match="expected uint8"):
            client.fill(0, wrongs[0])
        with pytest.raises(ValueError, match="a slot holds"):
            client.read(np.zeros((9000, 9000, 3), np.uint8))
        assert client.read(retina(1)).outcome in FINDINGS


def test_a_frame_is_read_where_it_lies(daemon: Running) -> None:
    picture = retina(1)
    with daemon.client(name="cam:1") as client:
        result = client.read(picture, sequence=7, vessels=True)
        vessels = client.vessels(result)
        info = client.bundle()
    assert result.outcome is WireOutcome.NO_REFERRAL_FINDINGS
    assert result.sequence == 7
    assert result.probabilities[: result.class_count] == pytest.approx((0.9, 0.1))
    assert result.text == ONE_PICTURE
    assert result.frame_sha256 == hashlib.sha256(picture.tobytes()).digest()
    assert result.bundle_sha256 == info.sha256
    assert result.flags == ResultFlag.VESSELS | ResultFlag.GRADED | ResultFlag.GRADABLE
    assert all(ms >= 0 for ms in result.timings_ms)
    assert vessels is not None
    assert vessels.shape == (256, 256)
    assert vessels.any()
    assert 0 < result.vessel_fraction < 1
    assert (info.class_names[:2], info.refer_mask) == (("no_ridge", "ridge"), 2)
    assert "not for clinical use" in info.notice


def test_no_copy_of_the_pixels_is_made(daemon: Running) -> None:
    with daemon.client() as client:
        client.fill(0, retina(1))
        seen = rgb(client.ring.pixels(0), Lying(PixelFormat.RGB8, 320, 240, 960))
        assert np.shares_memory(seen, client.ring.pixels(0))
        assert seen.flags.c_contiguous


def test_other_orders_and_strides_give_the_same_picture(daemon: Running) -> None:
    picture = retina(2)
    given, row = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), 960
    with daemon.client() as client:
        client.begin(0)
        rows = client.ring.pixels(0)[: 1024 * 240].reshape(240, 1024)
        rows[:, :row] = given.reshape(240, row)
        rows[:, row:] = 77
        client.finish(0)
        client.submit(0, 320, 240, pixel_format=PixelFormat.BGR8, stride=1024)
        assert client.result().frame_sha256 == hashlib.sha256(picture.tobytes()).digest()


@pytest.mark.parametrize("fault", list(Fault))
def test_no_fault_of_the_engine_is_a_finding(daemon: Running, fault: Fault) -> None:
    with daemon.client() as client:
        daemon.engine.fault = fault
        result = client.read(retina(1), vessels=True)
        assert result.outcome is WireOutcome.NO_RESULT
        assert result.class_count == 0
        assert client.vessels(result) is None
        daemon.engine.fault = None
        assert client.read(retina(2)).outcome is WireOutcome.NO_REFERRAL_FINDINGS


def test_an_engine_that_goes_on_failing_degrades(daemon: Running) -> None:
    with daemon.client() as client:
        daemon.engine.fault = Fault.SEGMENT_ERROR
        for seed in range(3):
            client.read(retina(seed))
        assert client.health().reasons & Reason.ENGINE_FAILING
        awaited(lambda: "engine failed" in daemon.words[-1], "the log")
        daemon.engine.fault = None
        client.read(retina(9))
        assert not client.health().reasons & Reason.ENGINE_FAILING
        awaited(lambda: "engine failed" not in daemon.words[-1], "the log")


def test_a_frame_that_changes_while_it_is_read_is_torn(daemon: Running) -> None:
    daemon.engine.segment_delay_ms = 100.0
    before = daemon.engine.frames
    with daemon.client() as client:
        client.fill(0, retina(1))
        client.submit(0, 320, 240, vessels=True)
        awaited(lambda: daemon.engine.frames > before, "the frame in the engine")
        client.begin(0)
        result = client.result()
        assert (result.outcome, result.flags, result.reason) == (WireOutcome.NO_RESULT, ResultFlag.TORN, TORN)
        assert client.vessels(result) is None
        assert client.health().torn == 1


def test_a_slot_that_is_filled_anew_before_its_turn_is_torn(daemon: Running) -> None:
    daemon.engine.segment_delay_ms = 60_000.0
    with daemon.client(order=FrameOrder.EVERY) as client:
        for slot in (0, 1):
            client.fill(slot, retina(slot))
            client.submit(slot, 320, 240)
        client.fill(1, retina(5))
        daemon.engine.segment_delay_ms = 0.0
        assert client.result().outcome in FINDINGS
        assert client.result().flags == ResultFlag.TORN


def test_late_frames_are_no_result_and_say_late(daemon: Running) -> None:
    daemon.engine.segment_delay_ms = 2500.0
    with daemon.client() as client:
        passed = client.read(retina(1), deadline_ns=now_ns() - 1)
        during = client.read(retina(2), deadline_ns=now_ns() + 2_000_000_000, vessels=True)  # begun before it
        for result in (passed, during):
            assert result.outcome is WireOutcome.NO_RESULT
            assert result.flags & ResultFlag.LATE
            assert result.reason.startswith("late")
            assert result.class_count == 0
        assert passed.frame_sha256 == bytes(32)
        assert during.frame_sha256 != bytes(32)
        daemon.engine.segment_delay_ms = 0.0
        in_time = client.read(retina(3), deadline_ns=now_ns() + 50 * 10**9)
        assert in_time.outcome in FINDINGS
        assert client.health().late == 2


def test_a_reading_that_cannot_be_done_by_its_deadline_is_broken_off(daemon: Running) -> None:
    daemon.engine.segment_delay_ms, daemon.engine.classify_delay_ms = 30.0, 60_000.0
    with daemon.client() as client:
        start = time.monotonic()
        result = client.read(retina(1), deadline_ns=now_ns() + 20_000_000)
        assert time.monotonic() - start < 50
        assert (result.outcome, bool(result.flags & ResultFlag.LATE)) == (WireOutcome.NO_RESULT, True)
        daemon.engine.segment_delay_ms = daemon.engine.classify_delay_ms = 0.0
        assert client.read(retina(2)).outcome in FINDINGS


def test_questions_are_answered_and_frames_taken_while_one_is_read(daemon: Running) -> None:
    daemon.engine.segment_delay_ms = 60_000.0
    with daemon.client(order=FrameOrder.EVERY) as client, daemon.client(name="other") as other:
        client.fill(0, retina(1))
        before = daemon.engine.frames
        client.submit(0, 320, 240, sequence=1)
        awaited(lambda: daemon.engine.frames > before, "the frame in the engine")
        client.fill(1, retina(2))
        client.submit(1, 320, 240, sequence=2)
        assert other.health().frames == 0
        awaited(lambda: other.health().waiting == 1, "the second frame")
        assert other.health().frames == 0  # the first is still being read
        daemon.engine.segment_delay_ms = 0.0
        assert [client.result().sequence for _ in range(2)] == [1, 2]
        assert other.health().frames == 2


def test_no_frame_is_forgotten_between_the_two_threads_that_hear(daemon: Running) -> None:
    """Clients submit and ask at every moment of the change from one to the other; a forgotten one would time out."""
    done: list[int] = []

    def use(name: str) -> None:
        with daemon.client(name=name, order=FrameOrder.EVERY, stored_pictures=True) as client:
            for slot in range(3):
                client.fill(slot, retina(slot)[:120, :160])
            for number in range(25):
                for slot in range(1 + number % 3):
                    client.submit(slot, 160, 120, sequence=number)
                client.health()
                done.extend(client.result().sequence for _ in range(1 + number % 3))

    threads = [threading.Thread(target=use, args=(f"c{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4 * sum(1 + number % 3 for number in range(25))
    assert daemon.service.health().frames == len(done)
    assert daemon.service.health().waiting == 0


def test_a_frame_refused_while_a_question_is_asked_is_not_the_questions_refusal(bundle: Bundle, tmp_path: Path) -> None:
    with running(tmp_path / "s", bundle) as daemon, daemon.client() as client:
        client.fill(0, retina(1))
        client.submit(0, 320, 240)
        assert client.health().state is DaemonState.LIVE
        assert client.free_slot() == 1  # the slot is the client's again
        with pytest.raises(DaemonRefused) as refused:
            client.result()
        assert refused.value.code is ErrorCode.NOT_READY


def test_a_ring_that_takes_long_to_make_holds_nobody_up(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    making, release = threading.Event(), threading.Event()

    def slowly(*arguments: Any) -> SealedRing:
        making.set()
        assert release.wait(120)
        return make_ring(*arguments)

    with daemon.client() as other, Client(daemon.path, "slow") as slow, Client(daemon.path, "gone") as gone:
        rings = ring_mappings()
        monkeypatch.setattr("runtime.daemon.service.make_ring", slowly)
        slow._send(Configure(1, 100, FrameOrder.NEWEST, 0))
        assert making.wait(120)
        gone._send(Configure(1, 100, FrameOrder.NEWEST, 0))
        gone.close()
        for seed in range(3):
            assert other.read(retina(seed)).outcome in FINDINGS
        awaited(lambda: other.health().clients == 2, "the end of the one that is gone")
        slow._send(Configure(1, 100, FrameOrder.NEWEST, 0))
        with pytest.raises(DaemonRefused) as refused:
            slow.result()
        assert refused.value.code is ErrorCode.ALREADY_CONFIGURED
        release.set()
        awaited(lambda: ring_mappings() == rings + 1, "the ring of the one that is still there")
    awaited(lambda: ring_mappings() == 0, "the end of all rings")


def ring_mappings() -> int:
    return Path("/proc/self/maps").read_text().count("ropscreend-ring")


def test_hardware_that_slows_down_when_it_idles_is_kept_warm(daemon: Running) -> None:
    warmed: list[int] = []
    daemon.engine.keep_warm = lambda: warmed.append(1)  # type: ignore[method-assign]
    daemon.engine.idle_every_s = 0.01
    with daemon.client() as client:
        assert client.read(retina(1)).outcome in FINDINGS
        awaited(lambda: len(warmed) > 3, "calls while no frame came")


def test_a_fault_of_the_engines_thread_ends_it(bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(tmp_path / "s", bundle) as daemon:
        daemon.release.set()
        daemon.ready()
        with daemon.client() as client:
            client.fill(0, retina(1))
            monkeypatch.setattr(daemon.service._reader.turns, "next", lambda: 1 / 0)
            with contextlib.suppress(DaemonGone):  # it may have ended by then
                client.submit(0, 320, 240)
        awaited(lambda: daemon.failure is not None, "the end")
    assert "software fault: ZeroDivisionError" in str(daemon.failure)


def test_a_frozen_camera_is_found_for_each_client(daemon: Running) -> None:
    with daemon.client(name="a") as one, daemon.client(name="b") as other, daemon.client(stored_pictures=True) as file:
        assert one.read(retina(1)).outcome in FINDINGS
        assert other.read(retina(1)).outcome in FINDINGS
        assert other.read(retina(2)).outcome in FINDINGS
        repeated = one.read(retina(1))
        assert (repeated.outcome, repeated.reason) == (WireOutcome.RETAKE, "repeated frame")
        assert [file.read(retina(1)).outcome for _ in range(2)] == [WireOutcome.NO_REFERRAL_FINDINGS] * 2


def test_ungradable_frames_are_retaken(daemon: Running) -> None:
    with daemon.client() as client:
        dark = client.read(np.zeros((240, 320, 3), np.uint8), vessels=True)
        small = client.read(retina(1)[:32, :32])
    assert dark.outcome is WireOutcome.RETAKE
    assert dark.flags == ResultFlag.GRADED
    assert dark.text.startswith("Retake")
    assert small.outcome is WireOutcome.NO_RESULT


def more_frames(daemon: Running, before: int) -> bool:
    return daemon.engine.frames > before


def test_the_newest_frame_wins_or_every_frame_comes_in_order(daemon: Running) -> None:
    daemon.engine.segment_delay_ms = 150.0
    for order in FrameOrder:
        before = daemon.engine.frames
        with daemon.client(slots=5, order=order, stored_pictures=True) as client:
            for slot in range(5):
                client.fill(slot, retina(slot))
            client.submit(0, 320, 240, sequence=0)
            awaited(partial(more_frames, daemon, before), "the first frame in the engine")
            for slot in range(1, 5):
                client.submit(slot, 320, 240, sequence=slot)
            results = {r.sequence: r for r in (client.result() for _ in range(5))}
            assert client.free_slot() is not None
        read = [number for number, r in results.items() if r.outcome in FINDINGS]
        if order is FrameOrder.NEWEST:
            assert read == [0, 4]
            assert {r.reason for n, r in results.items() if n in (1, 2, 3)} == {SUPERSEDED}
            assert all(results[n].flags == ResultFlag.SUPERSEDED for n in (1, 2, 3))
        else:
            assert read == [0, 1, 2, 3, 4]


def test_eight_clients_get_fair_turns(daemon: Running) -> None:
    clients = [
        daemon.client(slots=8 if n == 0 else 3, name=f"c{n}", order=FrameOrder.EVERY, stored_pictures=True)
        for n in range(8)
    ]
    try:
        greedy = clients[0]
        for slot in range(8):
            greedy.fill(slot, retina(slot))
        for client in clients[1:]:
            client.fill(0, retina(1))
        daemon.engine.segment_delay_ms = 200.0
        for slot in range(8):
            greedy.submit(slot, 320, 240, sequence=slot)
        for client in clients[1:]:
            client.submit(0, 320, 240)
        awaited(lambda: daemon.service.health().waiting == 14, "everything submitted")
        daemon.engine.segment_delay_ms = 1.0
        finished = [client.result().done_ns for client in clients[1:]]
        greedy_done = [greedy.result().done_ns for _ in range(8)]
        # One of the greedy client's may be under way, and one has its turn in the round of the others.
        assert sum(done < max(finished) for done in greedy_done) <= 3
    finally:
        for client in clients:
            client.close()


def test_before_the_engine_is_loaded_frames_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    with running(tmp_path / "s", bundle) as daemon, daemon.client() as client:
        assert client.health().state is DaemonState.LIVE
        client.fill(0, retina(1))
        client.submit(0, 320, 240)
        with pytest.raises(DaemonRefused) as refused:
            client.result()
        assert refused.value.code is ErrorCode.NOT_READY
        with pytest.raises(DaemonRefused):
            client.bundle()
        daemon.release.set()
        daemon.ready()
        client.submit(0, 320, 240)
        assert client.result().outcome in FINDINGS


def test_a_client_that_takes_its_rings_pages_away_has_no_result(
    daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with daemon.client() as client, daemon.client(name="other") as other:
        assert client.read(retina(1)).outcome in FINDINGS
        [mine] = [c.ring for c in daemon.service._connections.values() if c.name != "other"]
        assert mine is not None
        monkeypatch.setattr(ring, "lost", lambda mapped: mapped is mine._bytes)
        result = client.read(retina(2))
        assert (result.outcome, result.flags) == (WireOutcome.NO_RESULT, ResultFlag.TORN)
        assert other.read(retina(3)).outcome in FINDINGS


def test_frames_whose_deadline_nobody_could_keep_are_their_clients_doing(daemon: Running) -> None:
    """A frame is late by the daemon's doing only where it had the time that one of its size takes."""
    eyes = (retina(seed, 640, 480) for seed in range(90, 400))
    seen = (eye for eye in eyes if grade(network_input(eye)[0]).gradable)
    with daemon.client() as client:
        assert client.read(retina(1)).outcome in FINDINGS
        daemon.engine.segment_delay_ms = 60.0
        for _ in range(4):  # the quickest is what one of its size takes; a busy machine may take longer for one
            assert client.read(next(seen)).outcome in FINDINGS
        for _ in range(LATE_ALARM + 5):
            result = client.read(next(seen), deadline_ns=now_ns() + 30_000_000)
            assert result.flags & ResultFlag.LATE
        assert not client.health().reasons & Reason.LATE
        assert client.health().late == LATE_ALARM + 5
        daemon.engine.segment_delay_ms = 600.0
        for _ in range(LATE_ALARM):
            client.read(next(seen), deadline_ns=now_ns() + 500_000_000)
        assert client.health().reasons & Reason.LATE
