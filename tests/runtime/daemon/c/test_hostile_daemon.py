"""A daemon that says what cannot be: the C client never crashes, never waits too long, never shows a finding."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from runtime.daemon.messages import (
    FROM_CLIENT,
    AskHealth,
    Configure,
    Error,
    Hello,
    Obtained,
    Result,
    RingLayout,
    Submit,
    Welcome,
    WireOutcome,
)
from runtime.daemon.ring import make_ring
from runtime.daemon.wire import VERSION, ErrorCode, Message, decode
from tests.busy import at_a_calm_moment
from tests.holding import goes_back_to, held
from tests.runtime.daemon.c.clib import CClient, Picture, Status

pytestmark = pytest.mark.system
WELCOME = Welcome(VERSION, 1, 16, 1 << 26, 1 << 29)
SLOT_BYTES, SLOTS = 8192, 2
NO_RESULT = 4
GRADED_GRADABLE, LATE, TORN, SUPERSEDED = 48, 1, 2, 4


def result(asked: Submit, **changes: object) -> Result:
    """A result that is as it must be, but for the changes."""
    times, shares = (0.0,) * 7, (0.9, 0.1) + (0.0,) * 6
    good = Result(
        asked.sequence,
        asked.generation,
        asked.captured_ns,
        1,
        asked.slot,
        GRADED_GRADABLE,
        WireOutcome.NO_REFERRAL_FINDINGS,
        2,
        0.1,
        0.0,
        times,
        shares,
        bytes(32),
        bytes(32),
        "reason",
        "No referral findings",
    )
    return replace(good, **changes)  # type: ignore[arg-type]


Answer = Callable[["Peer", Message, int], None]


@dataclass
class Peer:
    """The other end of one connection; `answer` says everything after HELLO and CONFIGURE."""

    connection: socket.socket
    answer: Answer

    def say(self, message: Message | bytes, tag: int = 0, descriptors: tuple[int, ...] = ()) -> None:
        data = message if isinstance(message, bytes) else message.encode(tag)
        with contextlib.suppress(OSError):  # the client may have had enough
            socket.send_fds(self.connection, [data], descriptors)

    def serve(self) -> None:
        with self.connection:
            while data := self.heard():
                envelope = decode(data, FROM_CLIENT)
                self.answer(self, envelope.message, envelope.tag)

    def heard(self) -> bytes:
        try:
            return self.connection.recv(1024)
        except OSError:
            return b""

    def ring(self, tag: int, **changes: Any) -> None:
        """A true ring, but for what RING says of it."""
        sealed = make_ring(SLOTS, SLOT_BYTES)
        try:
            self.say(replace(sealed.ring.layout, **changes), tag, (sealed.descriptor,))
        finally:
            os.close(sealed.descriptor)


def friendly(peer: Peer, message: Message, tag: int) -> None:
    if isinstance(message, Hello):
        peer.say(WELCOME, tag)
    elif isinstance(message, Configure):
        peer.ring(tag)


def on_submit(act: Callable[[Peer, Submit, int], None]) -> Answer:
    def answer(peer: Peer, message: Message, tag: int) -> None:
        friendly(peer, message, tag)
        if isinstance(message, Submit):
            act(peer, message, tag)

    return answer


@contextlib.contextmanager
def peer_at(path: Path, answer: Answer) -> Iterator[None]:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(str(path))
    listener.listen()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                Peer(listener.accept()[0], answer).serve()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(60)
        assert not thread.is_alive()


@pytest.fixture
def submitted(tmp_path: Path, new_client: Callable[[], CClient]) -> Iterator[Callable[[Answer], CClient]]:
    """A client that has handed a frame to a daemon that answers as told."""
    with contextlib.ExitStack() as stack:

        def hand_over(answer: Answer) -> CClient:
            stack.enter_context(peer_at(tmp_path / "h", answer))
            client = new_client()
            stack.callback(client.close)
            assert client.open(tmp_path / "h", timeout_ms=30_000) is Status.OK
            assert client.configure(slots=SLOTS, slot_bytes=SLOT_BYTES) is Status.OK
            assert client.send(bytes(192), 8, 8, sequence=5) is Status.OK
            return client

        yield hand_over


Submitted = Callable[[Answer], CClient]
LIES: dict[str, Callable[[Submit], Message]] = {
    "another_sequence": lambda s: result(s, sequence=6),
    "another_generation": lambda s: result(s, generation=4),
    "another_slot": lambda s: result(s, slot=1),
    "captured_later": lambda s: result(s, captured_ns=s.captured_ns + 10**9),
    "captured_nobody_knows_when": lambda s: result(s, captured_ns=0),
    "slot_out_of_range": lambda s: result(s, slot=2**32 - 1),
    "late_finding": lambda s: result(s, flags=GRADED_GRADABLE | LATE),
    "torn_finding": lambda s: result(s, flags=GRADED_GRADABLE | TORN),
    "superseded_finding": lambda s: result(s, flags=GRADED_GRADABLE | SUPERSEDED),
    "finding_without_the_quality_gate": lambda s: result(s, flags=0),
    "finding_without_probabilities": lambda s: result(s, class_count=0),
    "probabilities_without_a_finding": lambda s: result(s, outcome=WireOutcome.NO_RESULT),
    "no_words": lambda s: result(s, text=""),
    "slot_in_use": lambda s: Error(ErrorCode.SLOT_IN_USE, 1, 1, 0, "in use"),
    "another_kind": lambda s: WELCOME,
}


@pytest.mark.parametrize("version", [0, 1, 2, 4, 65535])
def test_a_version_that_was_not_offered_is_refused(
    tmp_path: Path, new_client: Callable[[], CClient], version: int
) -> None:
    with peer_at(tmp_path / "h", lambda peer, message, tag: peer.say(replace(WELCOME, version=version), tag)):
        assert new_client().open(tmp_path / "h", timeout_ms=30_000) is Status.PROTOCOL


def test_a_true_result_passes(submitted: Submitted) -> None:
    client = submitted(on_submit(lambda peer, frame, tag: peer.say(result(frame), tag)))
    status, got = client.wait(60_000)
    assert (status, got.outcome) == (Status.OK, 2)


@pytest.mark.parametrize("lie", LIES)
def test_results_that_cannot_be_end_the_connection(submitted: Submitted, lie: str) -> None:
    client = submitted(on_submit(lambda peer, frame, tag: peer.say(LIES[lie](frame), tag)))
    status, got = client.wait(60_000)
    assert (status, got.outcome) == (Status.PROTOCOL, NO_RESULT)
    assert got.text.startswith(b"No result - ")
    assert client.poll()[0] is Status.PROTOCOL
    assert client.acquire()[0] is Status.PROTOCOL


@pytest.mark.parametrize("at", [0, 4, 6, 8, 56, 57, 58, 62, 352, 591, 595])
def test_damaged_results_end_the_connection(submitted: Submitted, at: int) -> None:
    def damaged(peer: Peer, frame: Submit, tag: int) -> None:
        wire = bytearray(result(frame).encode(tag))
        wire[at] ^= 0x40
        peer.say(bytes(wire))

    status, got = submitted(on_submit(damaged)).wait(60_000)
    assert (status, got.outcome) == (Status.PROTOCOL, NO_RESULT)


def test_a_result_given_twice_counts_once(submitted: Submitted) -> None:
    def twice(peer: Peer, frame: Submit, tag: int) -> None:
        peer.say(result(frame), tag)
        peer.say(result(frame), tag)

    client = submitted(on_submit(twice))
    assert client.wait(60_000)[0] is Status.OK
    end = time.monotonic() + 60
    while (status := client.poll()[0]) is Status.NOTHING_YET:
        assert time.monotonic() < end
    assert status is Status.PROTOCOL


def test_a_result_under_another_tag_ends_the_connection(submitted: Submitted) -> None:
    client = submitted(on_submit(lambda peer, frame, tag: peer.say(result(frame), tag + 1)))
    assert client.wait(60_000)[0] is Status.PROTOCOL


@pytest.mark.parametrize("wire", [b"x", b"ROPD", bytes(1024), bytes(2000)], ids=len)
def test_any_bytes_end_the_connection(submitted: Submitted, wire: bytes) -> None:
    client = submitted(on_submit(lambda peer, frame, tag: peer.say(wire)))
    assert client.wait(60_000)[0] is Status.PROTOCOL


@pytest.mark.parametrize("count", [1, 2, 100])
def test_descriptors_that_nobody_asked_for_are_closed(submitted: Submitted, count: int) -> None:
    def pass_them(peer: Peer, frame: Submit, tag: int) -> None:
        peer.say(result(frame), tag, (0,) * count)

    before = held()
    client = submitted(on_submit(pass_them))
    assert client.wait(60_000)[0] is Status.PROTOCOL
    client.close()
    goes_back_to(replace(before, descriptors=before.descriptors + 1, threads=before.threads + 1))  # the listener's


def test_a_refusal_that_closes_is_told(submitted: Submitted) -> None:
    said = Error(ErrorCode.TOO_FAST, 1, 1, 4096, "too many")

    def refuse(peer: Peer, frame: Submit, tag: int) -> None:
        peer.say(said, tag)
        peer.connection.close()

    client = submitted(on_submit(refuse))
    assert client.wait(60_000)[0] is Status.CLOSED
    assert (client.refusal.code, client.refusal.text) == (11, b"too many")


def test_what_was_said_before_a_connection_was_reset_is_heard(submitted: Submitted) -> None:
    second_sent, said = threading.Event(), threading.Event()

    def reset(peer: Peer, frame: Submit, tag: int) -> None:
        assert second_sent.wait(60)
        peer.say(result(frame), tag)
        peer.say(Error(ErrorCode.TOO_FAST, 1, 1, 4096, "too many"), 0)
        peer.connection.close()  # with the second frame unread, which resets the connection
        said.set()

    client = submitted(on_submit(reset))
    assert client.send(bytes(192), 8, 8, sequence=6) is Status.OK
    second_sent.set()
    assert said.wait(60)
    status, got = client.wait(60_000)
    assert (status, got.sequence, got.outcome) == (Status.OK, 5, 2)
    assert client.wait(60_000)[0] is Status.CLOSED
    assert client.refusal.code == 11


def test_a_daemon_that_says_that_it_stops_is_gone(submitted: Submitted) -> None:
    client = submitted(on_submit(lambda peer, frame, tag: peer.say(Error(ErrorCode.STOPPING, 1, 1, 0, "ends"))))
    assert client.wait(60_000)[0] is Status.GONE


def test_silence_ends_every_wait(tmp_path: Path, new_client: Callable[[], CClient]) -> None:
    def mute(peer: Peer, message: Message, tag: int) -> None:
        if not isinstance(message, AskHealth | Submit):
            friendly(peer, message, tag)

    def ends() -> None:
        client = new_client()
        assert client.open(tmp_path / "h", timeout_ms=700) is Status.OK
        try:
            assert client.configure(slots=SLOTS, slot_bytes=SLOT_BYTES) is Status.OK
            assert client.send(bytes(192), 8, 8) is Status.OK
            start = time.monotonic()
            assert client.wait(50)[0] is Status.NOTHING_YET
            assert client.health()[0] is Status.TIMEOUT
            assert time.monotonic() - start < 20
            assert client.wait(50)[0] is Status.TIMEOUT
        finally:
            client.close()

    with peer_at(tmp_path / "h", mute):
        at_a_calm_moment(ends)


def test_a_daemon_that_takes_nothing_leaves_the_slot_with_the_client(
    tmp_path: Path, new_client: Callable[[], CClient]
) -> None:
    go_on = threading.Event()
    generations: list[int] = []

    def deaf(peer: Peer, message: Message, tag: int) -> None:
        friendly(peer, message, tag)
        if isinstance(message, Configure):
            go_on.wait(120)
        elif isinstance(message, Submit):
            generations.append(message.generation)
            peer.say(result(message), tag)

    with peer_at(tmp_path / "h", deaf):
        client = new_client()
        assert client.open(tmp_path / "h", timeout_ms=700) is Status.OK
        assert client.configure(slots=SLOTS, slot_bytes=SLOT_BYTES) is Status.OK
        filler = socket.socket(fileno=os.dup(client.descriptor))
        filler.setblocking(False)
        with filler, contextlib.suppress(BlockingIOError):
            while True:
                filler.send(AskHealth().encode(9), socket.MSG_DONTWAIT)
        status, slot = client.acquire()
        assert status is Status.OK
        picture = Picture(width=8, height=8, stride=24, format=1, sequence=5)
        assert client.submit(slot, picture) is Status.NOTHING_YET
        go_on.set()
        end = time.monotonic() + 60
        while (status := client.submit(slot, picture)) is Status.NOTHING_YET:
            assert time.monotonic() < end
        assert status is Status.OK
        assert client.wait(60_000)[1].sequence == 5
        assert [generation % 2 for generation in generations] == [0]
        client.close()


def spoiled_ring(**changes: int) -> Callable[[Peer, int], None]:
    return lambda peer, tag: peer.ring(tag, **changes)


def unsealed(peer: Peer, tag: int) -> None:
    sealed = make_ring(SLOTS, SLOT_BYTES)
    loose = os.memfd_create("loose", os.MFD_ALLOW_SEALING)
    os.ftruncate(loose, sealed.ring.layout.ring_bytes)
    fcntl.fcntl(loose, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
    peer.say(sealed.ring.layout, tag, (loose,))
    os.close(loose)
    os.close(sealed.descriptor)


def pipe(peer: Peer, tag: int) -> None:
    ends = os.pipe()
    peer.say(make_layout(), tag, (ends[0],))
    for end in ends:
        os.close(end)


def make_layout() -> RingLayout:
    return RingLayout(1 << 20, 1 << 17, 4096, 12288, SLOTS, SLOT_BYTES, Obtained.NOT_ASKED)


def two_descriptors(peer: Peer, tag: int) -> None:
    sealed = make_ring(SLOTS, SLOT_BYTES)
    peer.say(sealed.ring.layout, tag, (sealed.descriptor, sealed.descriptor))
    os.close(sealed.descriptor)


RINGS: dict[str, Callable[[Peer, int], None]] = {
    "fewer_slots": spoiled_ring(slots=1),
    "smaller_slots": spoiled_ring(slot_bytes=SLOT_BYTES - 1),
    "larger_than_its_file": spoiled_ring(ring_bytes=1 << 30),
    "larger_than_any_memory": spoiled_ring(ring_bytes=2**64 - 1),
    "slots_beyond_the_end": spoiled_ring(slot_stride=1 << 28),
    "slots_without_length": spoiled_ring(slot_stride=0),
    "slots_between_pages": spoiled_ring(slot_stride=78000),
    "pixels_on_the_counters": spoiled_ring(pixels_offset=0),
    "pixels_far_away": spoiled_ring(pixels_offset=2**64 - 4096),
    "map_on_the_pixels": spoiled_ring(vessels_offset=4096),
    "map_far_away": spoiled_ring(vessels_offset=2**64 - 1),
    "no_descriptor": lambda peer, tag: peer.say(make_layout(), tag),
    "file_that_can_shrink": unsealed,
    "no_file": pipe,
    "two_descriptors": two_descriptors,
}


@pytest.mark.parametrize("ring", RINGS)
def test_rings_that_cannot_be_are_not_mapped(ring: str, tmp_path: Path, new_client: Callable[[], CClient]) -> None:
    def answer(peer: Peer, message: Message, tag: int) -> None:
        if isinstance(message, Configure):
            RINGS[ring](peer, tag)
        else:
            friendly(peer, message, tag)

    with peer_at(tmp_path / "h", answer):
        client = new_client()
        assert client.open(tmp_path / "h") is Status.OK
        assert client.configure(slots=SLOTS, slot_bytes=SLOT_BYTES) is Status.PROTOCOL
        assert client.acquire()[0] is Status.PROTOCOL
        client.close()
    assert "ropscreend-ring" not in Path("/proc/self/maps").read_text()
