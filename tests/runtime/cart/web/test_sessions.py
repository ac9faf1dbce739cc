"""Sessions: idle ones end, what a page asks by itself keeps none alive, addresses hold in one session only."""

from __future__ import annotations

from runtime.cart.users import new_user
from runtime.cart.web.sessions import MOST_SESSIONS, Sessions

ANA = new_user("ana", "Ana", "1357")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_idle_session_locks_and_looking_alone_does_not_keep_it() -> None:
    clock = Clock()
    sessions = Sessions(60, clock)
    token = sessions.begin(ANA).token
    for _ in range(3):
        clock.now += 25
        assert sessions.of(token, touch=False) is not None or clock.now > 60
    assert sessions.of(token) is None
    assert sessions.current() == ""


def test_use_keeps_it() -> None:
    clock = Clock()
    sessions = Sessions(60, clock)
    token = sessions.begin(ANA).token
    for _ in range(10):
        clock.now += 50
        assert sessions.of(token) is not None
    sessions.end(token)
    assert sessions.of(token) is None


def test_unknown_and_missing_cookies_are_nobodys() -> None:
    sessions = Sessions(60)
    sessions.begin(ANA)
    for token in (None, "", "x", "\udcff", "a" * 10_000):
        assert sessions.of(token) is None
        sessions.end(token)


def test_the_number_of_sessions_is_bounded_and_the_one_idle_longest_goes() -> None:
    clock = Clock()
    sessions = Sessions(1e9, clock)
    tokens = []
    for _ in range(MOST_SESSIONS + 1):
        clock.now += 1
        tokens.append(sessions.begin(ANA).token)
    assert sessions.of(tokens[0]) is None
    assert all(sessions.of(token) for token in tokens[1:])


def test_whoever_signs_in_without_end_puts_nobody_out_who_is_at_a_screen() -> None:
    clock = Clock()
    sessions = Sessions(1e9, clock)
    looking = sessions.begin(ANA)
    with sessions.listening(looking), sessions.listening(looking):  # two tabs
        for _ in range(2 * MOST_SESSIONS):
            clock.now += 1
            newest = sessions.begin(ANA)
        assert sessions.of(looking.token, touch=False) is looking
        assert sessions.of(newest.token, touch=False) is newest
    for _ in range(MOST_SESSIONS):
        clock.now += 1
        sessions.begin(ANA)
    assert sessions.of(looking.token) is None


def test_a_pictures_address_of_one_session_is_none_of_anothers() -> None:
    sessions = Sessions(60)
    one, other = sessions.begin(ANA), sessions.begin(ANA)
    assert one.address_key("/a") != other.address_key("/a")
    assert one.address_key("/a") != one.address_key("/b")
    assert one.csrf != other.csrf
