"""`ReadsHere`: a server's engine, and this machine's own for the frames that the server gives no result for.

A site's signed profile allows it (`servers.read_here`); each reading says by which of the two it came.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from runtime.arrays import UInt8Array
from runtime.budget import Budget, Deadline
from runtime.engines.base import Engine, Inference
from runtime.errors import DeadlineMissed, EngineError
from runtime.trust.guard import Guard

if TYPE_CHECKING:
    from runtime.reading import EngineFacts

REST_S = 5.0
"""A server that failed a frame, or was late with it, is not asked for so long, so that each frame does not wait."""
ALLOWED = "read here, as the site's profile allows"


class ReadsHere(Engine):
    """Asks the server, and where it cannot tell, this machine's engine, which a guard of its own tests.

    server: as loaded; tested by whoever owns this. here, guard: this machine's engine, and what stands behind it.
    A frame for which the server is late has no result, since its time is over; the next ones are read here.
    """

    def __init__(self, server: Engine, here: Engine, guard: Guard) -> None:
        self._server, self._here, self._guard = server, here, guard
        self.facts: EngineFacts = server.facts
        self._facts_here = here.facts
        self.class_count = server.class_count
        self.encodes = server.encodes and here.encodes
        self.own = server.own
        self.idle_every_s = server.idle_every_s
        self._testing = False
        self._failed, self._until = "", 0.0

    @property
    def untested(self) -> bool:  # type: ignore[override]
        """Whether the server is, and is to be asked again; this machine's engine may be asked meanwhile."""
        return self._server.untested and time.monotonic() >= self._until

    @contextmanager
    def testing(self) -> Iterator[None]:
        """The self-test is the server's: meanwhile nothing is read here in its place."""
        self._testing = True
        try:
            with self._server.testing():
                yield
        finally:
            self._testing = False

    def _infer(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        self.facts = self._server.facts
        if self._testing:
            return self._server.infer(image, budget, deadline)
        if time.monotonic() >= self._until:
            try:
                return self._server.infer(image, budget, deadline)
            except DeadlineMissed as error:
                self._rest(str(error))
                raise
            except EngineError as error:
                self._rest(str(error))
        return self._read_here(image, budget, deadline)

    def _rest(self, reason: str) -> None:
        self._failed, self._until = reason, time.monotonic() + REST_S

    def _read_here(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        self.facts = replace(self._facts_here, why=f"{self._failed}; {ALLOWED}; {self._facts_here.why}")
        if self._guard.due:
            self._guard.test(self._here)
        if problem := self._guard.problem:
            raise EngineError(f"{self._failed}; the cart's own engine may not read in its place: {problem}")
        return self._here.infer(image, budget, deadline)

    def keep_warm(self) -> None:
        """Both, and this machine's self-test when it is due. Never raises."""
        self._server.keep_warm()
        self._here.keep_warm()
        if self._guard.due:
            self._guard.test(self._here)

    def close(self) -> None:
        """Give both back."""
        self._server.close()
        self._here.close()
