from __future__ import annotations

import pytest

from device.frame import Frame
from runtime.commands.stop import Interrupted
from runtime.errors import OutputError
from runtime.reading import Reading
from runtime.screen.loop import closing_all


class Closable:
    def __init__(self, failure: str | Exception = "") -> None:
        self.failure = OutputError(failure) if isinstance(failure, str) and failure else failure
        self.closed = False

    def write(self, frame: Frame | None, reading: Reading) -> None: ...

    def close(self) -> None:
        self.closed = True
        if isinstance(self.failure, Exception):
            raise self.failure


def test_every_sink_is_closed_and_the_first_failure_is_told() -> None:
    sinks = [Closable(), Closable("first"), Closable("second"), Closable()]
    with pytest.raises(OutputError, match="first"), closing_all(sinks):
        pass
    assert all(sink.closed for sink in sinks)


def test_a_fault_of_any_kind_in_one_sink_leaves_no_other_open() -> None:
    sinks = [Closable(), Closable(RuntimeError("in a picture")), Closable("later")]
    with pytest.raises(RuntimeError, match="in a picture"), closing_all(sinks):
        pass
    assert all(sink.closed for sink in sinks)


@pytest.mark.parametrize("raised", [OutputError("in the loop"), Interrupted(), BrokenPipeError()])
def test_what_ended_the_loop_goes_on(raised: BaseException) -> None:
    sink = Closable()
    with pytest.raises(type(raised)), closing_all([sink]):
        raise raised
    assert sink.closed


def test_a_failure_of_the_loop_is_told_before_those_of_closing() -> None:
    with pytest.raises(OutputError, match="in the loop"), closing_all([Closable("in closing")]):
        raise OutputError("in the loop")


def test_a_page_that_could_not_be_written_is_told_after_an_interruption() -> None:
    with pytest.raises(OutputError, match="in closing"), closing_all([Closable("in closing")]):
        raise Interrupted
