"""`TritonEngine`: a bundle's networks read by a server; this machine sends the picture and judges the answer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from runtime.arrays import UInt8Array
from runtime.budget import Budget, Deadline
from runtime.engines.address import FORM, ServerAddress
from runtime.engines.base import Backend, Engine, Inference
from runtime.engines.triton.client import LONGEST_S, Served, ServerFull, TritonClient
from runtime.engines.triton.contract import ENCODED, contract_of
from runtime.errors import AnswerUnusable, DeadlineMissed, EngineAway, EngineError
from runtime.familiar import open_familiar
from runtime.plan_key import precision_word, split_precision
from runtime.reading import EngineFacts

if TYPE_CHECKING:
    from runtime.bundle import Bundle

PROBE_S = 0.25
"""For each question but a frame's to a server that was lost: a frame, or whoever is idle, waits for it."""
EVERY_S = 1.0
"""How often a lost server is looked for while nothing is read."""
JUST_NOW_S = 0.2
"""A server that was not there so long ago is not asked again for the same frame."""
RETEST_S = 2.0
"""For each frame that a server which is back is tested with: the next frame waits for it."""
BACK = "was lost and is back, and is tested before it is believed"


class TritonEngine(Engine):
    """Reads one frame at a time by a server; both networks are one question, which counts as `segment`.

    A frame whose answer is late or wrong has no result. A server that was lost, or whose connection ended between two
    frames, is checked anew when it is back and is `untested` until the self-test has asked it.
    """

    own = False
    idle_every_s = EVERY_S

    def __init__(self, client: TritonClient, address: ServerAddress, served: Served | None = None) -> None:
        self._client, self._address = client, address
        contract = client.contract
        self._served = client.check() if served is None else served
        self.encodes = any(tensor.name == ENCODED for tensor in contract.outputs)
        self.class_count = next(tensor.shape[1] for tensor in contract.outputs if tensor.name == "probabilities")
        encrypted = ", encrypted" if address.tls else ""
        self.facts = EngineFacts(
            backend=address.backend,
            precision=self._served.precision,
            device=f"{self._served.server} at {address.target}",
            why=f"model {contract.model} version {contract.version}, {self._served.platform or 'platform untold'}; "
            f"segment is all of the round trip{encrypted}",
        )
        self._lost = ""
        self._testing = False
        self._looked = -JUST_NOW_S

    def _infer(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        limit = _allowed(budget).sooner(deadline)
        limit.check("segment")
        if not self._lost and self._client.dropped:
            self._lose(f"{self._address}: the connection ended")
        if self._lost:
            self._look(limit)
        if self.untested and not self._testing:
            raise EngineAway(f"{self._address}: {BACK}")
        start = time.perf_counter()
        again = self.untested and self._testing
        try:
            found = self._client.infer(image, _seconds(limit, RETEST_S if again else LONGEST_S))
        except DeadlineMissed:
            if again:
                raise EngineAway(f"{self._address}: was lost, and answers too slowly to be taken back") from None
            raise
        except ServerFull:
            raise
        except EngineError as error:
            self._lose(str(error))
            raise (EngineAway if isinstance(error, EngineAway) else AnswerUnusable)(str(error)) from None
        if self._client.dropped:  # while this frame was under way: nobody knows which server read it
            self._lose(f"{self._address}: the connection ended")
            raise EngineAway(self._lost)
        took_ms = (time.perf_counter() - start) * 1e3
        limit.check("segment")
        encoded = found[ENCODED][0] if self.encodes else None
        return Inference(
            found["vessels"][0, 0], found["probabilities"][0], found["logits"][0], took_ms, 0.0, encoded=encoded
        )

    def _lose(self, reason: str) -> None:
        self._lost, self.untested = reason, True

    def _look(self, limit: Deadline) -> None:
        """Whether the lost server is back and still what it was. Raises `EngineAway` with the reason why not."""
        if time.monotonic() - self._looked < JUST_NOW_S:
            raise EngineAway(self._lost)
        try:
            served = self._client.check(_seconds(limit, PROBE_S), _seconds(limit, RETEST_S))
            if served.precision != self._served.precision:
                raise EngineError(
                    f"{self._address}: read in {self._served.precision} before it was lost, and in {served.precision} "
                    f"now; start this program again"
                )
        except DeadlineMissed:
            raise EngineAway(f"{self._address}: was lost, and answers too slowly to be taken back") from None
        except EngineError as error:
            self._lost = str(error)
            raise EngineAway(self._lost) from None
        finally:
            self._looked = time.monotonic()
        self._lost = ""

    @contextmanager
    def testing(self) -> Iterator[None]:
        """For the self-test; what it leaves without an error is believed again."""
        self._testing = True
        try:
            yield
            if not self._lost:
                self.untested = False
        finally:
            self._testing = False

    def keep_warm(self) -> None:
        """Look for a server that is lost, at most once in `EVERY_S`. Never raises."""
        if not self._lost and self._client.dropped:
            self._lose(f"{self._address}: the connection ended")
        if self._lost and time.monotonic() - self._looked >= EVERY_S:
            with suppress(EngineError):
                self._look(Deadline())

    def close(self) -> None:
        """Give the connection up."""
        self._client.close()


def _allowed(budget: Budget) -> Deadline:
    """Of both stages together, as far as the budget has a word on them."""
    stated = [stage for stage in (budget.segment, budget.classify) if stage is not None]
    return Deadline.after_ms(sum(stated) if stated else None)


def _seconds(limit: Deadline, most_s: float) -> float:
    """What is left of the limit, and no more than `most_s`."""
    remaining_ms = limit.remaining_ms()
    return most_s if remaining_ms is None else min(most_s, max(remaining_ms, 1.0) / 1e3)


class _Server:
    """One server while it is asked for its precision and then loaded: it is connected to once."""

    def __init__(self, address: ServerAddress) -> None:
        self._address = address
        self._client: TritonClient | None = None
        self._served: Served | None = None

    def there(self, bundle: Bundle) -> Mapping[str, str]:
        """The precisions in which it reads."""
        return split_precision(self._reach(bundle).precision)

    def load(self, bundle: Bundle, precision: Mapping[str, str], threads: int | None) -> Engine:
        """The engine. Raises `EngineError` for a server that reads in another precision."""
        served = self._reach(bundle)
        assert self._client is not None
        if served.precision != precision_word(precision):
            self._client.close()
            raise EngineError(
                f"{self._address}: reads in {served.precision}, asked for {precision_word(precision)}; leave out "
                f"--precision, or make the server's repository with it"
            )
        return TritonEngine(self._client, self._address, served)

    def _reach(self, bundle: Bundle) -> Served:
        if self._served is None:
            known = open_familiar(bundle)
            contract = contract_of(
                bundle, model=self._address.model, encoded=None if known is None else known.mean.size
            )
            client = TritonClient(self._address, contract)
            try:
                self._served = client.check()
            except BaseException as error:
                client.close()
                if isinstance(error, DeadlineMissed):
                    raise EngineAway(f"{self._address}: no answer in {LONGEST_S:g} s; look at the server") from None
                raise
            self._client = client
        return self._served


def _needs_address(bundle: Bundle, precision: Mapping[str, str], threads: int | None) -> Engine:
    raise EngineError(f"triton: needs the server's address; name it: --engine {FORM}")


def _at(address: ServerAddress) -> Backend:
    server = _Server(address)
    return Backend(server.load, there=server.there)


TRITON = Backend(_needs_address, missing=lambda bundle: "needs the address of a server", at=_at)
