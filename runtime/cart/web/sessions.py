"""Who is signed in: sessions in memory, by a random cookie, locked after idle minutes."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from runtime.cart.rights import Right, may
from runtime.cart.users import User

COOKIE = "rop_session"
CSRF_HEADER = "x-csrf-token"
MOST_SESSIONS = 32
"""Signed in at once; the one that was idle longest goes first, those that a page listens with last."""


@dataclass(eq=False)
class WebSession:
    """One signed-in browser."""

    token: str
    """The cookie's value."""
    user: User
    csrf: str
    """Must come back in a header with every change."""
    secret: bytes
    """Makes the addresses of pictures, so that one session's are none of another's."""
    used_at: float
    pages: int = 0
    """How many listen to the cart's events with it."""

    def address_key(self, path: str) -> str:
        """What must stand behind a picture's address in this session."""
        return hmac.new(self.secret, path.encode(), hashlib.sha256).hexdigest()[:32]


@dataclass(eq=False)
class Sessions:
    """All sessions. Safe for use from several threads."""

    idle_s: float
    clock: Callable[[], float] = time.monotonic
    knows: Callable[[User], bool] = lambda user: True
    """Whether that is still a user, with that PIN and role; the session of another one ends."""
    _by_digest: dict[bytes, WebSession] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, user: User) -> WebSession:
        """Sign a user in."""
        token = secrets.token_urlsafe(32)
        session = WebSession(token, user, secrets.token_urlsafe(24), secrets.token_bytes(32), self.clock())
        with self._lock:
            self._drop_idle()
            while len(self._by_digest) >= MOST_SESSIONS:
                del self._by_digest[min(self._by_digest, key=self._stays)]
            self._by_digest[_digest(token)] = session
        return session

    def of(self, token: str | None, *, touch: bool = True) -> WebSession | None:
        """The session of a cookie; None where there is none, or it was idle for too long.

        touch: whether this counts as a person's doing. What a page asks by itself must not keep it signed in.
        """
        if not token:
            return None
        with self._lock:
            self._drop_idle()
            session = self._by_digest.get(_digest(token))
            if session is not None and not self.knows(session.user):
                del self._by_digest[_digest(token)]
                return None
            if session is not None and touch:
                session.used_at = self.clock()
            return session

    def _stays(self, digest: bytes) -> tuple[bool, float]:
        """Of two sessions the one with more stays: whoever signs in without end puts nobody out who is at a screen."""
        session = self._by_digest[digest]
        return session.pages > 0, session.used_at

    @contextmanager
    def listening(self, session: WebSession) -> Iterator[None]:
        """While a page shows what happens with that session."""
        with self._lock:
            session.pages += 1
        try:
            yield
        finally:
            with self._lock:
                session.pages -= 1

    def current(self) -> str:
        """Name of the user whose session was used last, of those who may screen; empty when nobody is signed in."""
        with self._lock:
            self._drop_idle()
            every = self._by_digest.values()
            able = [session for session in every if may(session.user, Right.SCREEN) and self.knows(session.user)]
            newest = max(able, key=lambda session: session.used_at, default=None)
            return "" if newest is None else newest.user.name

    def end(self, token: str | None) -> None:
        """Sign out; a cookie that is none of ours is fine."""
        if token:
            with self._lock:
                self._by_digest.pop(_digest(token), None)

    def _drop_idle(self) -> None:
        limit = self.clock() - self.idle_s
        for digest in [digest for digest, session in self._by_digest.items() if session.used_at < limit]:
            del self._by_digest[digest]


def _digest(token: str) -> bytes:
    """Found by digest: a dictionary's look-up of the token itself would tell by its time how much of it was right."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
