"""A server that reads, and each way in which it can fail: whatever it is, no frame gets a finding from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.frame import Frame
from runtime.arrays import UInt8Array
from runtime.budget import Budget, Deadline
from runtime.bundle import DEMONSTRATION, Bundle, open_bundle
from runtime.engines import load_engine
from runtime.engines.base import Engine
from runtime.engines.fake import FakeEngine
from runtime.engines.triton.client import TritonClient
from runtime.engines.triton.contract import MARK_BYTES, mark_of, model_name, read_mark
from runtime.engines.triton.engine import BACK
from runtime.engines.triton.fake import FakeServer, ServerFault
from runtime.errors import DeadlineMissed, EngineAway, EngineError
from runtime.outcome import Outcome
from runtime.screener import Screener
from tests.authority import Authority
from tests.busy import at_a_calm_moment
from tests.pictures import retina

IMAGE: UInt8Array = np.full((1, 256, 256, 3), 60, np.uint8)


@pytest.fixture
def server(bundle: Bundle) -> Iterator[FakeServer]:
    with FakeServer(bundle, FakeEngine()) as started:
        yield started


@pytest.fixture
def engine(bundle: Bundle, server: FakeServer) -> Iterator[Engine]:
    with loaded(bundle, server.address) as made:
        yield made


def until(there: Callable[[], bool]) -> None:
    """Wait for what another thread will do, on the busiest machine; gRPC waits longer from attempt to attempt."""
    end = time.monotonic() + 120
    while not there():
        assert time.monotonic() < end
        time.sleep(0.01)


def loaded(bundle: Bundle, address: str, precision: str = "auto") -> Engine:
    """As a cart that asks again: on a busy machine a first connection may end in its handshake."""
    made: list[Engine] = []

    def there() -> bool:
        try:
            made.append(load_engine(bundle, address, precision))
        except EngineAway:
            return False
        return True

    until(there)
    return made[0]


def believed_again(engine: Engine) -> None:
    """As a Screener does it: the self-test, and then the frame."""

    def read() -> bool:
        try:
            with engine.testing():
                engine.infer(IMAGE)
        except EngineAway:
            return False
        return not engine.untested

    until(read)
    engine.infer(IMAGE)


@pytest.mark.parametrize("numbers", [False, True], ids=["bytes", "numbers"])
def test_it_gives_what_the_engine_behind_the_server_gives(bundle: Bundle, numbers: bool) -> None:
    own = FakeEngine()
    with FakeServer(bundle, own, numbers=numbers) as server, loaded(bundle, server.address) as engine:
        found, wanted = engine.infer(IMAGE), own.infer(IMAGE)
        assert (engine.facts.backend, engine.facts.precision) == ("triton", "fp32")
        assert str(server.port) in engine.facts.device
        assert f"model {model_name(bundle)} version 1" in engine.facts.why
    for name in ("vessels", "probabilities", "logits"):
        assert np.array_equal(getattr(found, name), getattr(wanted, name))
    assert found.classify_ms == 0
    assert found.segment_ms > 0


LOST = (EngineAway, True)
CASES: dict[ServerFault, tuple[type[EngineError], bool, str]] = {
    ServerFault.FULL: (EngineAway, False, "is full"),
    ServerFault.GONE: (*LOST, "cannot be asked .*Socket closed"),
    ServerFault.ERROR: (*LOST, "refused the question.*INTERNAL"),
    ServerFault.NOT_A_NUMBER: (EngineError, False, "probabilities: values from nan"),
    ServerFault.VESSELS: (EngineError, False, "vessels: values from nan"),
    ServerFault.TWICE: (*LOST, "the same name twice"),
    ServerFault.HUGE: (*LOST, "larger than 64 MiB, expected less than one"),
    ServerFault.UNPRINTABLE: (*LOST, r"INTERNAL: \[2Jno referral findings\)"),
    ServerFault.SHORT: (*LOST, "vessels: 131072 bytes, expected 262144"),
    ServerFault.MISSING: (*LOST, "vessels: not offered"),
    ServerFault.OTHER_SHAPE: (*LOST, r"vessels: got FP32 \[1, 1, 256, 255\], expected FP32 \[1, 1, 256, 256\]"),
    ServerFault.OTHER_VERSION: (*LOST, "version '999', asked for '1'"),
    ServerFault.OTHER_FRAME: (*LOST, "another frame's question, '0'"),
    ServerFault.NO_FRAME: (*LOST, "another frame's question, ''"),
    ServerFault.OTHER_PRECISION: (*LOST, "reads in fp16 now"),
    ServerFault.OTHER_BUNDLE: (*LOST, "is of bundle 000000000000"),
    ServerFault.UNLIKE: (*LOST, r"are not those of its logits \(apart by 0\.80"),
    ServerFault.NO_MARK: (*LOST, "does not say which bundle read"),
}


def test_every_fault_is_tried() -> None:
    assert set(ServerFault) - set(CASES) == {ServerFault.SWAPPED}, "only the self-test can see that one"


@pytest.mark.parametrize("fault", CASES, ids=lambda fault: fault.name.lower())
def test_a_fault_gives_no_result_and_the_server_is_taken_back(
    bundle: Bundle, server: FakeServer, engine: Engine, fault: ServerFault
) -> None:
    error, lost, words = CASES[fault]
    server.fault = fault
    with pytest.raises(error, match=words):
        engine.infer(IMAGE)
    assert engine.untested is lost
    server.fault = None
    if lost:
        believed_again(engine)
    engine.infer(IMAGE)


@pytest.mark.parametrize(
    ("budget", "deadline_ms"),
    [(Budget(segment=30, classify=20), None), (Budget(segment=50), None), (Budget(classify=50), None), (Budget(), 50)],
)
def test_a_late_answer_is_no_result(
    server: FakeServer, engine: Engine, budget: Budget, deadline_ms: float | None
) -> None:
    server.delay_ms = 30_000
    start = time.monotonic()
    with pytest.raises(DeadlineMissed, match="late"):
        engine.infer(IMAGE, budget, Deadline.after_ms(deadline_ms))
    assert time.monotonic() - start < 20, "it was waited for"
    server.delay_ms = 0
    engine.infer(IMAGE)


def test_a_lost_server_is_not_believed_before_the_self_test(server: FakeServer, engine: Engine) -> None:
    server.stop()
    with pytest.raises(EngineAway, match="cannot be asked"):
        engine.infer(IMAGE)
    server.start()
    words: list[str] = []

    def back() -> bool:
        with pytest.raises(EngineAway) as caught:
            engine.infer(IMAGE)
        words.append(str(caught.value))
        return BACK in words[-1]

    until(back)
    assert engine.untested
    believed_again(engine)


def test_a_server_that_was_exchanged_between_two_frames_is_seen(server: FakeServer, engine: Engine) -> None:
    server.stop()
    server.start()

    def seen() -> bool:
        engine.keep_warm()
        return engine.untested

    until(seen)
    believed_again(engine)


def test_a_connection_is_seen_to_end_however_late_it_was_seen_to_begin(
    bundle: Bundle, server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a busy machine, where gRPC's thread looks again only after the server was asked everything."""
    changed = TritonClient._changed

    def late(client: TritonClient, state: Any) -> None:
        if state.name == "IDLE":
            time.sleep(0.5)
        changed(client, state)

    monkeypatch.setattr(TritonClient, "_changed", late)
    with loaded(bundle, server.address) as engine:
        server.stop()
        server.start()

        def seen() -> bool:
            engine.keep_warm()
            return engine.untested

        until(seen)


def test_a_server_that_comes_back_in_another_precision_is_not_taken_back(server: FakeServer, engine: Engine) -> None:
    server.stop()
    server.precision = "int8"
    server.parameters = {**(server.parameters or {}), "precision": "int8"}
    server.start()

    def told() -> bool:
        with pytest.raises(EngineAway) as caught:
            engine.infer(IMAGE)
        return "read in fp32 before it was lost, and in int8 now" in str(caught.value)

    until(told)


def _without(server: FakeServer, name: str) -> None:
    kept = tuple(tensor for tensor in server.contract.outputs if tensor.name != name)
    server.contract = replace(server.contract, outputs=kept)


def _classes(server: FakeServer) -> None:
    wider = tuple(
        replace(tensor, shape=(1, 3)) if tensor.name == "probabilities" else tensor
        for tensor in server.contract.outputs
    )
    server.contract = replace(server.contract, outputs=wider)


WRONG: dict[str, tuple[Callable[[FakeServer], object], str]] = {
    "model": (lambda server: server.named(model="other"), "has no model test-"),
    "version": (lambda server: server.named(version="4"), "in version 4, this cart's bundle is version 1"),
    "hash": (
        lambda server: setattr(server, "parameters", {"bundle_sha256": "f" * 64}),
        "is of bundle ffffffffffff..., this cart's",
    ),
    "no hash": (lambda server: setattr(server, "parameters", {}), "does not say of which bundle it is"),
    "no mark": (lambda server: _without(server, "read_by"), r"read_by: not offered, expected UINT8 \[1, 112\]"),
    "classes": (_classes, r"probabilities: got FP32 \[-1, 3\], expected FP32 \[1, 2\]"),
    "words and answers": (lambda server: setattr(server, "precision", "int8"), "says fp32, its answers int8"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_server_that_is_not_of_this_bundle_is_refused_at_the_start(
    bundle: Bundle, server: FakeServer, case: str
) -> None:
    spoil, words = WRONG[case]
    spoil(server)

    def is_told() -> None:
        with pytest.raises(EngineError, match=words):
            load_engine(bundle, server.address)

    at_a_calm_moment(is_told)  # see `loaded`


def test_a_server_of_another_make_tells_by_its_answers_alone(bundle: Bundle) -> None:
    server = FakeServer(bundle, FakeEngine(), numbers=True)
    server.parameters = None
    with server, loaded(bundle, server.address) as engine:
        engine.infer(IMAGE)
        server.fault = ServerFault.OTHER_BUNDLE
        with pytest.raises(EngineAway, match="is of bundle"):
            engine.infer(IMAGE)


def test_a_name_of_the_sites_own_goes_into_the_address(bundle: Bundle, server: FakeServer) -> None:
    server.named(model="eye")
    with loaded(bundle, f"{server.address}/eye") as engine:
        assert "model eye version 1" in engine.facts.why


def test_a_precision_that_the_server_has_not_is_refused(bundle: Bundle) -> None:
    with (
        FakeServer(bundle, FakeEngine(), precision="int8") as server,
        pytest.raises(EngineError, match="reads in int8, asked for fp32"),
    ):
        loaded(bundle, server.address, "fp32")


def test_nobody_there_is_said_in_words(bundle: Bundle, server: FakeServer) -> None:
    server.stop()
    with pytest.raises(EngineAway, match=r"triton://127\.0\.0\.1:\d+: cannot be asked .*; look at the server"):
        load_engine(bundle, server.address)
    with pytest.raises(EngineError, match="needs the server's address"):
        load_engine(bundle, "triton")


def test_the_screener_reads_on_when_the_server_is_back(bundle: Bundle, server: FakeServer) -> None:
    frames = (Frame(retina(seed), sequence=seed, source=f"{seed}.png") for seed in range(1000))
    with Screener(bundle, engine=server.address, trust="off") as screener:
        assert screener.screen(next(frames)).outcome is Outcome.NO_REFERRAL_FINDINGS
        server.stop()
        lost = screener.screen(next(frames))
        assert (lost.outcome, "cannot be asked" in lost.reason) == (Outcome.NO_RESULT, True)
        server.start()
        found: list[Outcome] = []

        def back() -> bool:
            found.append(screener.screen(next(frames)).outcome)
            return found[-1] is not Outcome.NO_RESULT

        until(back)
        assert set(found) == {Outcome.NO_RESULT, Outcome.NO_REFERRAL_FINDINGS}


def test_the_same_readings_as_by_the_engine_on_this_machine() -> None:
    """The whole way with the bundle that ships: its own self-test, what is a fundus, simulated frames."""
    from device.cameras.simulated import SimulatedCamera, SimulatedConfig

    bundle = open_bundle(DEMONSTRATION)
    served = load_engine(bundle, "openvino", "int8", threads=1)
    with (
        FakeServer(bundle, served) as server,
        Screener(bundle, engine=server.address) as there,
        Screener(bundle, engine="openvino", precision="int8", threads=1) as here,
        SimulatedCamera(SimulatedConfig(seed=3, size=(320, 320), frames_per_eye=2)) as camera,
    ):
        assert there.trust.self_test.state == "passed"
        for _ in range(4):
            frame = camera.read()
            assert frame is not None
            one, other = there.screen(frame), here.screen(frame)
            assert (one.outcome, one.reason, one.probabilities) == (other.outcome, other.reason, other.probabilities)
            assert one.quality == other.quality
        server.fault = ServerFault.SWAPPED
        assert "self-test failed" in there.self_test()
        assert frame is not None
        assert there.screen(frame).outcome is Outcome.NO_RESULT


def test_marks() -> None:
    mark = mark_of("ab" * 32, "int8+fp16")
    assert mark.shape == (1, MARK_BYTES)
    assert read_mark(mark) == ("ab" * 32, "int8+fp16")
    for spoilt in (np.zeros_like(mark), np.full_like(mark, 255), mark_of("ab" * 31, "int8")):
        assert read_mark(spoilt) is None


def test_frames_go_encrypted_and_to_the_right_server_only(bundle: Bundle, tmp_path: Path) -> None:
    right, wrong = Authority(tmp_path / "right"), Authority(tmp_path / "wrong")
    cert, key = right.issue("127.0.0.1")
    own, own_key = right.issue("cart-7")
    with FakeServer(bundle, FakeEngine(), tls=(cert, key, None)) as server:
        with loaded(bundle, f"{server.address}?ca={right.path}") as engine:
            engine.infer(IMAGE)
            assert "encrypted" in engine.facts.why
        for unsafe in ("", f"?ca={wrong.path}", "?tls=system"):
            with pytest.raises(EngineAway, match="cannot be asked"):
                load_engine(bundle, f"{server.address}{unsafe}")
    with (
        FakeServer(bundle, FakeEngine()) as plain,
        pytest.raises(EngineAway, match=r"cannot be asked .*; look at whether it speaks TLS at this port"),
    ):
        load_engine(bundle, f"{plain.address}?ca={right.path}")
    with FakeServer(bundle, FakeEngine(), tls=(cert, key, right.path)) as server:
        loaded(bundle, f"{server.address}?ca={right.path}&cert={own}&key={own_key}").close()
        with pytest.raises(EngineAway, match="cannot be asked"):
            load_engine(bundle, f"{server.address}?ca={right.path}")
