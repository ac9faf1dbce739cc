"""The host's link against the simulated board, whole and with every fault of the line."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import device.light.link
from device.errors import AnotherHost, BoardRefused, BoardSilent, DoseUnrecorded, LightError, NotABoard, PortUnusable
from device.light import BoardLink, EventCode, LineFaults, NakCode, SimulatedBoard
from device.light.board import Board, Send
from device.light.messages import HostMessage, Open, Stop, encode_request
from device.light.port import write_frame
from device.light.simulated import draw_number
from tests.busy import at_a_calm_moment
from tests.device.light.conftest import FAST
from tests.device.light.waiting import wait_until
from tests.holding import goes_back_to, held


@pytest.mark.usefixtures("patient")
def test_every_request_is_done(board: SimulatedBoard, link: BoardLink) -> None:
    link.set_led(100)
    assert board.led_level == 100
    link.arm(2000, 50)
    receipt = link.fire()
    (flash,) = board.flashes
    assert receipt.requested_ns <= flash.at_ns <= receipt.acknowledged_ns
    assert (flash.flash_us, flash.level) == (2000, 50)
    assert (receipt.flash_number, receipt.tries) == (1, 1)
    assert link.totals().flash_level_us == 100_000
    status = link.status()
    assert status.led_level == 100
    assert status.board_id == link.board_id == 0x51D
    link.stop()
    assert board.led_level == 0


@pytest.mark.usefixtures("patient")
def test_the_heartbeat_keeps_the_light_on_past_the_watchdog(board: SimulatedBoard, link: BoardLink) -> None:
    def stays_on() -> None:
        link.set_led(1)
        assert not board.wait_for_light(False, timeout_s=1.2)
        assert link.failure is None

    at_a_calm_moment(stays_on, failures=(AssertionError, BoardRefused))


@pytest.mark.usefixtures("patient")
def test_a_busy_caller_does_not_starve_the_heartbeat(board: SimulatedBoard, link: BoardLink) -> None:
    def stays_on() -> None:
        link.set_led(2)
        before, ends = len(board.light_changes), time.monotonic() + 1.2
        while time.monotonic() < ends:
            link.set_led(1)
        assert [change.level for change in board.light_changes[before:]] == [1]

    at_a_calm_moment(stays_on, failures=(AssertionError, BoardRefused))


@pytest.mark.usefixtures("patient")
def test_events_come_in_order(board: SimulatedBoard, link: BoardLink) -> None:
    board.set_foot_switch(True)
    board.set_interlock(False)
    board.set_overheated(True)
    events = [link.next_event(60) for _ in range(3)]
    assert [(e.code, e.value, e.lost) for e in events if e] == [
        (EventCode.FOOT_SWITCH, 1, 0),
        (EventCode.INTERLOCK, 0, 0),
        (EventCode.THERMAL, 1, 0),
    ]
    assert link.next_event(0.01) is None


@pytest.mark.usefixtures("patient")
def test_events_nobody_takes_are_counted_as_lost(board: SimulatedBoard, link: BoardLink) -> None:
    board.set_foot_switch(True)
    first = link.next_event(60)
    assert first is not None
    for pressed in range(400):
        board.set_foot_switch(bool(pressed % 2))
        if pressed % 50 == 0:
            link.status()
    link.status()
    event = link.next_event(60)
    assert event is not None
    # Each time that a busy machine's heartbeat came late is an event of the board's watchdog besides.
    assert 400 - 256 <= event.lost <= 400 - 256 + 4


@pytest.mark.usefixtures("patient")
def test_a_refusal_says_what_to_do(board: SimulatedBoard, link: BoardLink) -> None:
    with pytest.raises(BoardRefused, match="over the board's ceiling of 4095") as refused:
        link.set_led(5000)
    assert (refused.value.code, refused.value.detail) == (NakCode.LED_CEILING, 4095)
    with pytest.raises(BoardRefused, match="arm again"):
        link.fire()
    board.set_interlock(False)
    with pytest.raises(BoardRefused, match="interlock is open; close it"):
        link.arm(1000, 1)
    with pytest.raises(ValueError, match="SetLed"):
        link.set_led(70_000)
    assert board.flashes == ()


def test_each_fire_flashes_once_on_a_bad_line(board: SimulatedBoard, link: BoardLink) -> None:
    board.faults = LineFaults(lost=0.005, duplicated=0.005, corrupted=0.005)
    fired = in_doubt = retried = 0
    for _ in range(400):
        if fired >= 20 and retried and link.rejected:
            break
        try:
            link.arm(1000, 5)
        except LightError:
            continue
        try:
            retried += link.fire().tries > 1
            fired += 1
        except BoardSilent:
            in_doubt += 1
        except BoardRefused:  # a watchdog that tripped, or an ARM too long ago
            continue
        assert fired <= len(board.flashes) <= fired + in_doubt
    assert fired >= 20
    assert retried > 0
    assert link.rejected > 0
    assert all((f.flash_us, f.level) == (1000, 5) for f in board.flashes)


def test_replies_that_are_late_are_waited_for_and_never_taken_for_another(
    board: SimulatedBoard, link: BoardLink
) -> None:
    board.faults = LineFaults(delay_ms=70)
    link.arm(1000, 5)
    assert link.fire().tries in (2, 3)
    assert len(board.flashes) == 1
    board.faults = LineFaults(delay_ms=400)
    with pytest.raises(BoardSilent, match=r"no reply to (FIRE after 3 tries.*may have been given|STATUS)"):
        link.fire()
    board.faults = LineFaults()
    assert wait_until(lambda: not board._late)
    with pytest.raises(BoardRefused, match="arm"):
        link.fire()
    assert len(board.flashes) == 1


def test_a_board_gone_silent_is_told_and_its_light_goes_off(board: SimulatedBoard, link: BoardLink) -> None:
    link.set_led(7)
    board.faults = LineFaults(silent=True)
    with pytest.raises(BoardSilent, match=r"no reply to SET_LED after 3 tries, expected one within 50 ms"):
        link.set_led(8)
    assert board.wait_for_light(False, timeout_s=60)
    assert wait_until(lambda: isinstance(link.failure, BoardSilent))
    board.faults = LineFaults()
    assert wait_until(lambda: link.failure is None)
    link.set_led(9)
    assert board.led_level == 9


def test_heartbeats_into_a_long_silence_use_no_numbers_up(
    board: SimulatedBoard, link: BoardLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the board, which takes 127 numbers for new ones, would seem to be another program's when it is back."""
    monkeypatch.setattr("device.light.link.REPLY_MS", 1)
    monkeypatch.setattr("device.light.link.HEARTBEAT_MS", 1)
    board.faults = LineFaults(silent=True)
    before = link._read_seq
    assert wait_until(lambda: (link._read_seq - before) & 0xFF >= 140)
    monkeypatch.undo()
    board.faults = LineFaults()
    assert wait_until(lambda: link.failure is None)
    link.set_led(3)
    assert board.led_level == 3


def test_another_board_that_answers_after_a_silence_is_not_taken_for_the_first(
    board: SimulatedBoard, link: BoardLink
) -> None:
    """Its calibration is another one."""
    board.faults = LineFaults(silent=True)
    assert wait_until(lambda: isinstance(link.failure, BoardSilent))
    board._board.board_id = 0xBEEF
    board.faults = LineFaults()
    expected = "board 000000000000beef answers now, expected 000000000000051d; open a new link"
    assert wait_until(lambda: expected in str(link.failure))
    with pytest.raises(PortUnusable, match=expected):
        link.arm(1000, 5)
    assert not board.flashes


@pytest.mark.parametrize("broken", ["_heartbeat", "_take"])
def test_a_fault_in_its_own_threads_is_told_and_does_not_pass_for_a_silent_board(
    board: SimulatedBoard, link: BoardLink, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("oh")

    link.set_led(3)
    monkeypatch.setattr(link, broken, fails)
    assert wait_until(lambda: "ZeroDivisionError: oh" in str(link.failure))
    assert board.wait_for_light(False, timeout_s=60)


def test_an_unplugged_board_is_told_by_everything(board: SimulatedBoard) -> None:
    link = BoardLink(board.port)
    board.close()
    assert wait_until(lambda: isinstance(link.failure, PortUnusable))
    with pytest.raises(PortUnusable, match="plug the board in"):
        link.set_led(1)
    with pytest.raises(PortUnusable, match="the port is gone"):
        link.next_event(5)
    link.close()


@pytest.mark.usefixtures("patient")
def test_closing_waits_for_the_boards_word_that_the_light_is_out(
    board: SimulatedBoard, link: BoardLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    link.set_led(1)
    answers: list[object] = []
    exchange = link._exchange

    def noted(message: HostMessage) -> object:
        done = exchange(message)
        answers.append((message, done.tries))
        return done

    monkeypatch.setattr(link, "_exchange", noted)
    link.close()
    assert (Stop(), 1) in answers
    assert board.led_level == 0


@pytest.mark.usefixtures("patient")
def test_closing_puts_the_light_out_at_once_and_leaves_nothing_behind(board: SimulatedBoard) -> None:
    with BoardLink(board.port):
        pass
    before = held()
    for _ in range(10):
        with BoardLink(board.port) as link:
            link.set_led(1)
        assert board.led_level == 0
    goes_back_to(before)
    link.close()
    with pytest.raises(PortUnusable, match="closed"):
        link.set_led(1)


def test_a_failed_opening_leaves_nothing_behind(board: SimulatedBoard) -> None:
    board.faults = LineFaults(silent=True)
    before = held()
    with pytest.raises(BoardSilent, match="STATUS"):
        BoardLink(board.port, connect_timeout_s=0)
    goes_back_to(before)


@pytest.mark.usefixtures("patient")
def test_the_guard_puts_the_light_out(board: SimulatedBoard, link: BoardLink) -> None:
    link.set_led(3)
    link.guard = lambda: False
    assert board.wait_for_light(False, timeout_s=60)
    assert wait_until(lambda: "its guard said no" in str(link.failure))
    link.guard = None
    assert wait_until(lambda: link.failure is None)
    link.set_led(3)

    def broken() -> bool:
        raise RuntimeError("out of order")

    link.guard = broken
    assert board.wait_for_light(False, timeout_s=60)
    assert wait_until(lambda: "RuntimeError: out of order" in str(link.failure))

    def unrecorded() -> bool:
        raise DoseUnrecorded("the light cannot be written, so none is given")

    link.guard = unrecorded
    assert wait_until(lambda: isinstance(link.failure, DoseUnrecorded))  # as it is, for whoever shows what to do
    assert str(link.failure) == "the light cannot be written, so none is given"


@pytest.mark.usefixtures("patient")
def test_a_second_program_on_the_port_is_refused(board: SimulatedBoard, link: BoardLink) -> None:
    with pytest.raises(PortUnusable, match="busy, another program holds the port"):
        BoardLink(board.port)
    link.set_led(1)


def use_until_refused(link: BoardLink) -> None:
    for level in range(1, 100):
        link.set_led(level)


def test_a_second_host_behind_a_bridge_is_found_out(board: SimulatedBoard, link: BoardLink) -> None:
    other = os.open(board.port, os.O_RDWR | os.O_NOCTTY)
    try:
        os.write(other, encode_request(Open(7), 0, 0))
        with pytest.raises(AnotherHost, match="another program opened it"):
            use_until_refused(link)
        assert wait_until(lambda: isinstance(link.failure, AnotherHost))
        link.stop()
        assert board.wait_for_light(False, timeout_s=60)
    finally:
        os.close(other)


def test_an_older_board_is_used_where_it_is_said_only() -> None:
    with SimulatedBoard(protocol=1) as board:
        with pytest.raises(BoardSilent, match="whether it speaks ROPLINK/2"):
            BoardLink(board.port, connect_timeout_s=0)
        with BoardLink(board.port, protocol=1) as link:
            link.set_led(5)
            assert board.led_level == 5
        with pytest.raises(PortUnusable, match="got protocol 3, expected 1 or 2"):
            BoardLink(board.port, protocol=3)


class Wire:
    """What went to the board, as somebody with a clip on the line records it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.recorded: list[bytes] = []

        def record(port: Any, data: bytes) -> None:
            self.recorded.append(data)
            write_frame(port, data)

        monkeypatch.setattr(device.light.link, "write_frame", record)


def play_back(board: SimulatedBoard, frames: list[bytes]) -> None:
    other = os.open(board.port, os.O_RDWR | os.O_NOCTTY)
    try:
        for frame in frames:
            os.write(other, frame)
            time.sleep(0.002)
        assert wait_until(lambda: board._board._decoder._piece == b"")
        time.sleep(0.1)
    finally:
        os.close(other)


@pytest.mark.parametrize("when", ["while open", "after the link", "after a start of the board"])
def test_what_was_recorded_gives_no_second_flash(when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame in order and again and again, as numbers of eight bits would have come round."""
    wire = Wire(monkeypatch)
    with SimulatedBoard(ceilings=FAST) as board:
        with BoardLink(board.port) as link:
            link.arm(1000, 5)
            link.fire()
            recorded = list(wire.recorded)
            if when == "while open":
                play_back(board, [frame for frame in recorded if frame[2:3] != b"\x08"][-2:] * 260)
        if when == "after a start of the board":
            with board._lock:
                board._board = Board(0x51D, FAST, 0, draw_number)
            board.set_interlock(True)
        play_back(board, recorded * 5)
        assert len(board.flashes) == 1


def test_the_older_protocol_has_that_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the test above is known to see it."""
    wire = Wire(monkeypatch)
    with SimulatedBoard(ceilings=FAST, protocol=1) as board:
        with BoardLink(board.port, protocol=1) as link:
            link.arm(1000, 5)
            link.fire()
            recorded = list(wire.recorded)
        with board._lock:
            board._board = Board(0x51D, FAST, 0)
        board.set_interlock(True)
        play_back(board, recorded)
        assert len(board.flashes) == 2


def test_a_connection_is_renewed_before_its_numbers_end_and_the_light_stays_on(
    board: SimulatedBoard, link: BoardLink
) -> None:
    link.set_led(7)
    first, changes = link._connection, board.light_changes
    link._seq = 0xFFFC
    for level in range(8, 18):
        link.set_led(level)
    assert link._connection != first
    assert [change.level for change in board.light_changes[len(changes) :]] == list(range(8, 18))
    assert link.failure is None
    board.set_foot_switch(True)
    event = link.next_event(60)
    assert event is not None
    assert (event.code, event.lost) == (EventCode.FOOT_SWITCH, 0)


def test_a_renewal_whose_answer_was_lost_is_asked_for_again(
    board: SimulatedBoard, link: BoardLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board has the new number then; the same frame gets the same answer."""
    monkeypatch.setattr(board, "_say", lambda data: None)
    link._seq = 0xFFFE
    assert wait_until(lambda: isinstance(link.failure, BoardSilent))
    monkeypatch.undo()
    assert wait_until(lambda: link.failure is None)
    link.set_led(4)
    assert board.led_level == 4


@pytest.mark.usefixtures("patient")
def test_stop_needs_no_number_that_is_left(board: SimulatedBoard, link: BoardLink) -> None:
    link.set_led(7)
    link.guard = lambda: False  # so that no heartbeat renews the connection
    link._seq = 0xFFFE
    for _ in range(3):
        link.stop()
    assert board.led_level == 0
    link.guard = None
    assert wait_until(lambda: link.failure is None)
    link.set_led(3)
    assert board.led_level == 3


def test_a_board_that_started_anew_is_told(board: SimulatedBoard, link: BoardLink) -> None:
    """It is dark and counts its dose from nothing: whoever keeps the account has to open it anew."""
    link.set_led(7)
    with board._lock:
        board._board = Board(0x51D, FAST, 0, draw_number)
    assert wait_until(lambda: isinstance(link.failure, AnotherHost))
    with pytest.raises(AnotherHost, match="started anew"):
        link.fire()


@contextmanager
def something_else(says: bytes) -> Iterator[str]:
    """A serial device that answers everything with the same bytes."""
    master, slave = os.openpty()
    tty.setraw(slave)

    def talk() -> None:
        with suppress(OSError):
            while os.read(master, 100):
                os.write(master, says)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield os.ttyname(slave)
    finally:
        os.close(slave)
        thread.join(60)
        os.close(master)


def test_a_device_that_is_something_else_is_named() -> None:
    with something_else(b"$GPGGA,123519\r\n") as port, pytest.raises(NotABoard, match="24 47 50 47 47 41"):
        BoardLink(port, connect_timeout_s=0)
    with pytest.raises(NotABoard, match="the port echoes what is sent"):
        BoardLink("loop://", connect_timeout_s=0)


def test_ports_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    with pytest.raises(PortUnusable, match="no such port"):
        BoardLink(str(tmp_path / "ttyACM9"))
    (tmp_path / "file").write_text("text")
    with pytest.raises(PortUnusable, match="cannot be used as a serial port"):
        BoardLink(str(tmp_path / "file"))
    with pytest.raises(PortUnusable, match="not a port or pyserial URL"):
        BoardLink("gopher://board")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(PortUnusable, match="expected a serial server that listens there"):
        BoardLink(f"socket://127.0.0.1:{port}")


def test_a_port_without_permission_names_the_group(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import grp

    import serial

    path = tmp_path / "ttyACM0"
    path.touch()

    def refuse(*args: object, **kwargs: object) -> None:
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr(serial, "serial_for_url", refuse)
    group = grp.getgrgid(path.stat().st_gid).gr_name
    with pytest.raises(PortUnusable, match=rf"permission denied.*sudo usermod -aG {group} "):
        BoardLink(str(path))


@pytest.mark.usefixtures("patient")
def test_a_board_behind_a_tcp_serial_server() -> None:
    """pyserial's socket:// against the bare state machine."""
    done = threading.Event()

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        board = Board(99, FAST, draw=draw_number)
        connection.settimeout(0.01)
        with connection, suppress(ConnectionError):
            actions = board.set_interlock(True, 0)
            while not done.is_set():
                data = b""
                with suppress(TimeoutError):
                    data = connection.recv(1000)
                actions += board.receive(data, time.monotonic_ns() // 1_000_000)
                for action in actions:
                    if isinstance(action, Send):
                        connection.sendall(action.data)
                actions = []

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,))
        thread.start()
        with BoardLink(f"socket://127.0.0.1:{server.getsockname()[1]}") as link:
            assert link.board_id == 99
            link.arm(1000, 3)
            assert link.fire().flash_number == 1
        done.set()
        thread.join(60)
