"""`Handle`: given back once, and never while it is in use."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from device.cameras.handle import Handle


@dataclass
class Thing:
    """What is held; knows how often it was given back and whether it was in use then."""

    in_use: int = 0
    released: list[int] = field(default_factory=list)

    def release(self) -> None:
        self.released.append(self.in_use)


def test_closing_gives_it_back_once() -> None:
    thing = Thing()
    handle = Handle(thing.release)
    with handle.use() as usable:
        assert usable
    handle.close()
    handle.close()
    assert thing.released == [0]
    with handle.use() as usable:
        assert not usable
    assert thing.released == [0]


def test_a_close_from_another_thread_waits_for_the_user_and_does_not_block() -> None:
    thing = Thing()
    handle = Handle(thing.release)
    with handle.use():
        closer = threading.Thread(target=handle.close)
        closer.start()
        closer.join(60)
        assert not closer.is_alive()
        assert handle.closed
        assert thing.released == []
    assert thing.released == [0]


def test_an_error_in_the_block_gives_it_back_all_the_same() -> None:
    thing = Thing()
    handle = Handle(thing.release)
    try:
        with handle.use():
            handle.close()
            raise RuntimeError
    except RuntimeError:
        pass
    assert thing.released == [0]


@given(st.lists(st.sampled_from(["enter", "leave", "close"]), max_size=12))
def test_whatever_the_order_it_is_given_back_once_and_unused(steps: list[str]) -> None:
    thing = Thing()
    handle = Handle(thing.release)
    blocks = []
    for step in [*steps, "close"]:
        if step == "enter":
            block = handle.use()
            thing.in_use += block.__enter__()
            blocks.append(block)
        elif step == "leave" and blocks:
            thing.in_use = max(0, thing.in_use - 1)
            blocks.pop().__exit__(None, None, None)
        elif step == "close":
            handle.close()
    for block in blocks:
        thing.in_use = max(0, thing.in_use - 1)
        block.__exit__(None, None, None)
    assert thing.released == [0]
