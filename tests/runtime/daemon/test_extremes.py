"""Messages whose fields are at their extremes, and faults of the daemon's own: they cost one client at most."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from device.pixels import ColourMatrix, PixelFormat, Range
from runtime.bundle import Bundle
from runtime.daemon.clock import now_ns
from runtime.daemon.commands.serve import _run
from runtime.daemon.errors import DaemonGone, DaemonRefused
from runtime.daemon.messages import (
    Configure,
    DaemonState,
    Error,
    FrameOrder,
    Hello,
    Reason,
    Result,
    ResultFlag,
    Submit,
    WireOutcome,
)
from runtime.daemon.service import TOLD_AT_MOST
from runtime.daemon.wire import VERSION, ErrorCode, Message
from runtime.errors import BundleError, ScreeningError
from tests.pictures import retina
from tests.runtime.daemon.conftest import Running, awaited, running
from tests.runtime.daemon.test_bad_inputs import RIGHT, answer, connected

FINDINGS = (WireOutcome.REFER, WireOutcome.NO_REFERRAL_FINDINGS)
_MOST = 2**32 - 1
_NV12: dict[str, Any] = {"format": PixelFormat.NV12, "matrix": ColourMatrix.BT601, "range": Range.FULL}
_JPEG: dict[str, Any] = {"format": PixelFormat.JPEG, "stride": 0, "data_bytes": 5000}
IMPOSSIBLE = [
    Submit(**(RIGHT | _NV12 | {"width": _MOST - 1, "height": _MOST - 1, "stride": _MOST - 1})),
    Submit(**(RIGHT | _JPEG | {"width": _MOST, "height": _MOST})),
]
"""Frames that would need more bytes than 64 bits can say."""


def _number(bits: int, *usual: int) -> st.SearchStrategy[int]:
    most = 2**bits - 1
    edges = [0, 1, 2, most // 2, most // 2 + 1, most - 1, most, *usual]
    return st.sampled_from([edge for edge in edges if edge <= most]) | st.integers(0, most)


SUBMITS = st.builds(
    Submit,
    generation=_number(64),
    sequence=_number(63),
    captured_ns=_number(64),
    deadline_ns=_number(64),
    slot=_number(32),
    width=_number(32, 320, 65536),
    height=_number(32, 240, 65536),
    stride=_number(32, 320, 640, 960, 1280),
    format=st.sampled_from(PixelFormat),
    flags=st.sampled_from([0, 1]),
    matrix=st.sampled_from(ColourMatrix),
    range=st.sampled_from(Range),
    capture_us=_number(32),
    chroma_offset=_number(32, 320 * 240),
    data_bytes=_number(32, 5000),
)


def _configured(daemon: Running) -> socket.socket:
    raw = connected(daemon)
    raw.send(Hello(1, VERSION, "extreme").encode(1))
    answer(raw)
    raw.send(Configure(3, 640 * 480 * 3, FrameOrder.EVERY, 0).encode(2))
    answer(raw)
    return raw


def test_every_submit_at_its_extremes_has_one_answer(daemon: Running) -> None:
    with _configured(daemon) as raw:

        @settings(max_examples=250, deadline=None, database=None)
        @example(IMPOSSIBLE[0])
        @example(IMPOSSIBLE[1])
        @given(SUBMITS)
        def answered(frame: Submit) -> None:
            raw.send(frame.encode(7))
            said = answer(raw)
            if isinstance(said, Error):
                assert not said.code.fatal
                assert said.text
            else:
                assert isinstance(said, Result)
                assert said.outcome not in FINDINGS  # nothing was ever written into the slots

        answered()
    assert daemon.faults == []
    with daemon.client() as client:
        assert client.read(retina(1)).outcome in FINDINGS


@pytest.mark.parametrize(("given_detail", "said"), [(2**64, 2**64 - 1), (2**80, 2**64 - 1), (-1, 0), (5, 5)])
def test_a_detail_is_said_as_far_as_it_goes(given_detail: int, said: int) -> None:
    data = Error(ErrorCode.BAD_DIMENSIONS, VERSION, VERSION, given_detail, "").encode(1)
    assert int.from_bytes(data[24:32], "little") == said


def _fail(*_: object, **__: object) -> None:
    raise ValueError("argument out of range")


@pytest.mark.parametrize("where", ["check_frame", "check_ring", "make_ring"])
def test_a_fault_while_one_client_is_answered_ends_its_connection_alone(
    daemon: Running, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    messages: list[Message] = [Submit(**(RIGHT | {"format": PixelFormat.RGB8})), Configure(1, 100, FrameOrder.EVERY, 0)]
    message = messages[where != "check_frame"]
    with daemon.client() as other:
        with monkeypatch.context() as broken, connected(daemon) as raw:
            raw.send(Hello(1, VERSION, "provokes").encode(1))
            answer(raw)
            broken.setattr(f"runtime.daemon.service.{where}", _fail)
            raw.send(message.encode(2))
            assert answer(raw) is None
        awaited(lambda: daemon.faults, "words of the fault")
        assert other.read(retina(1)).outcome in FINDINGS
        assert other.health().refused == 1
        awaited(lambda: other.health().clients == 1, "the end of the connection")
    assert len(daemon.faults) == 1
    assert "ValueError: argument out of range" in daemon.faults[0]


def test_a_fault_while_a_client_is_taken_in_costs_nobody_else(daemon: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with daemon.client() as other:
        with monkeypatch.context() as broken:
            broken.setattr("runtime.daemon.service.may_join", _fail)
            with connected(daemon) as raw:
                assert answer(raw) is None
        assert other.read(retina(1)).outcome in FINDINGS


def test_a_result_that_cannot_be_said_costs_its_client_alone_and_is_told(
    daemon: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("runtime.daemon.reader.result_of", _fail)
        for _ in range(3):
            with daemon.client() as client:
                client.fill(0, retina(1))
                client.submit(0, 320, 240)
                with pytest.raises((DaemonGone, DaemonRefused)):
                    client.result()
    awaited(lambda: daemon.service.health().reasons & Reason.ENGINE_FAILING, "the reason")
    assert daemon.failure is None
    with daemon.client() as client:
        assert client.read(retina(1)).outcome in FINDINGS
        assert not client.health().reasons & Reason.ENGINE_FAILING


def test_late_frames_are_a_reason_told_once_and_a_clients_own_are_none(daemon: Running) -> None:
    with daemon.client(stored_pictures=True) as client:
        client.fill(0, retina(1))

        def read(captured_ago_ms: int, deadline_in_ms: int | None) -> Result:
            now = now_ns()
            deadline = 0 if deadline_in_ms is None else now + deadline_in_ms * 10**6
            client.submit(0, 320, 240, captured_ns=now - captured_ago_ms * 10**6, deadline_ns=deadline)
            return client.result()

        for _ in range(15):
            assert read(5, -1).flags & ResultFlag.LATE
        assert not client.health().reasons & Reason.LATE
        assert client.health().late == 15
        assert not read(5, None).flags & ResultFlag.LATE  # from now on the daemon knows how quick it can be
        daemon.engine.segment_delay_ms = 250.0
        for _ in range(100):  # a slow moment makes some late before they come
            assert read(5, 200).flags & ResultFlag.LATE
            if client.health().reasons & Reason.LATE:
                break
        awaited(lambda: "late" in daemon.words[-1], "the reason in the log")
        daemon.engine.segment_delay_ms = 0.0
        for _ in range(100):
            assert not read(5, None).flags & ResultFlag.LATE
        awaited(lambda: "late" not in daemon.words[-1], "its end in the log")
    assert sum("late" in words for words in daemon.words) == 1


def test_states_that_come_and_go_do_not_fill_the_log(daemon: Running) -> None:
    before = len(daemon.words)
    service, model = daemon.service, daemon.service._reader
    for number in range(50):
        model._reload_problem = "gone" * (number % 2)
        service._tell()
    model._reload_problem = "at last"
    service._tell()
    assert len(daemon.words) <= TOLD_AT_MOST
    assert before < len(daemon.words)
    assert service._postponed
    service._told_s.clear()
    awaited(lambda: "at last" in daemon.words[-1], "what still holds")
    assert not service._postponed


@pytest.mark.parametrize(
    ("error", "loaded", "counted"),
    [
        (ScreeningError("software fault"), True, False),
        (ValueError("argument out of range"), True, False),
        (ScreeningError("software fault"), False, True),
        (BundleError("altered"), True, True),
    ],
)
def test_a_fault_after_the_bundle_was_tested_is_no_failed_start_of_it(
    tmp_path: Path,
    bundle: Bundle,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    loaded: bool,
    counted: bool,
) -> None:
    forgotten: list[bool] = []
    lasts: Callable[[], None] = lambda: forgotten.append(True)  # noqa: E731

    def fails() -> None:
        raise error

    with running(tmp_path / "s", bundle) as it:
        if loaded:
            it.release.set()
            it.ready()
        assert (it.service.health().state is DaemonState.LIVE) is not loaded
        with monkeypatch.context() as broken:
            broken.setattr(it.service, "run", fails)
            with pytest.raises(type(error)):
                _run(it.service, lasts)
    assert bool(forgotten) is not counted
