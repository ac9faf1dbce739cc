"""Fetching a file from a folder or over HTTPS, bounded in size and time."""

from __future__ import annotations

import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from http.client import HTTPException
from pathlib import Path
from threading import Thread
from typing import IO, Any
from urllib.parse import urlsplit

from device.checked_file import read_at_most
from device.secrets import hide_secrets
from runtime.fleet.errors import FleetError
from runtime.tls import NOT_OF_HOSPITALS, why_refused

TIMEOUT_S = 30.0
"""Of each wait for bytes."""
BEGIN_S = 120.0
"""Until the server has begun to answer, and from then on before its pace is looked at."""
LEAST_BYTES_S = 8 * 1024
"""In the mean: a slow line may take its time, and a server that drips takes nobody's: 100 MiB in at most 3.6 hours."""
CHUNK = 1024 * 1024
LOOPBACK = ("127.0.0.1", "localhost", "::1")


class PackageSource:
    """Where packages come from: a folder, or an address that begins with `https://`."""

    def __init__(self, where: str, ca: Path | None = None) -> None:
        """ca: certificates (PEM) by which the server is known, in place of the system's. Raises `FleetError`."""
        self.where = where.rstrip("/")
        self._web = "://" in where
        if self._web:
            _check_address(where)
        try:
            self._context = ssl.create_default_context(cafile=None if ca is None else str(ca)) if self._web else None
        except (OSError, ssl.SSLError) as error:
            raise FleetError(f"--ca {ca}: cannot be used ({error}); name the server's certificates in PEM") from None
        handlers: list[Any] = [_OnlyHttps(), urllib.request.ProxyHandler()]
        if self._context is not None:
            self._context.verify_flags &= ~NOT_OF_HOSPITALS
            handlers.append(urllib.request.HTTPSHandler(context=self._context))
        self._opener = urllib.request.build_opener(*handlers)

    def small(self, name: str, limit: int) -> bytes:
        """A small file's bytes. Raises `FleetError`."""
        found = b"".join(self._chunks(name, limit + 1))
        if len(found) > limit:
            raise FleetError(f"{self.where}/{name}: larger than {limit} bytes; not what it should be")
        return found

    def copy(self, name: str, size: int, into: IO[bytes]) -> None:
        """Copy a file of a known size. Raises `FleetError`, or the `OSError` of writing."""
        got = 0
        for chunk in self._chunks(name, size + 1):
            got += len(chunk)
            if got > size:
                break
            into.write(chunk)
        if got != size:
            much = "more" if got > size else str(got)
            raise FleetError(f"{self.where}/{name}: {much} bytes, expected {size}; it is tried again next time")

    def _begun(self, address: str) -> Any:
        """The server's answer, once it has begun. Raises `OSError` and what `urllib` raises."""
        begun: Future[Any] = Future()

        def ask(begun: Future[Any]) -> None:
            try:
                answer = self._opener.open(address, timeout=TIMEOUT_S)
            except BaseException as error:
                begun.set_exception(error.with_traceback(None))
            else:
                begun.set_result(answer)
            finally:
                del begun

        # In a thread: a wait for each byte of a header bounds no header.
        Thread(target=ask, args=(begun,), name="fetch", daemon=True).start()
        try:
            return begun.result(BEGIN_S)
        except FutureTimeout:
            begun.add_done_callback(_closed)
            raise OSError(f"no answer in {BEGIN_S:g} s; look at the server") from None
        finally:
            del begun  # an error that holds itself would hold its socket, too

    def _chunks(self, name: str, most: int) -> Iterator[bytes]:
        """Not more than one chunk over `most` bytes."""
        try:
            if not self._web:
                yield from _file_chunks(Path(self.where) / name, most)
                return
            with self._begun(f"{self.where}/{name}") as answer:
                got, begun = 0, time.monotonic()
                while got <= most and (chunk := answer.read1(CHUNK)):
                    got += len(chunk)
                    took_s = time.monotonic() - begun
                    if took_s > BEGIN_S and got < LEAST_BYTES_S * (took_s - BEGIN_S):
                        raise OSError(
                            f"too slow: {got} bytes in {took_s:.0f} s, expected {LEAST_BYTES_S} a second; look at the "
                            f"line and the server"
                        )
                    yield chunk
        except urllib.error.HTTPError as error:
            raise FleetError(f"{self.where}/{name}: the server answers {error.code}; it is tried again") from None
        except (OSError, HTTPException, ValueError) as error:
            why = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            if isinstance(why, ssl.SSLError):
                why, _, _ = why_refused(why, urlsplit(self.where).hostname or "", self._context).partition(";")
            raise FleetError(f"{self.where}/{name}: cannot be read ({why}); it is tried again next time") from None


def _closed(late: Future[Any]) -> None:
    """An answer that nobody waits for any more."""
    if late.exception() is None:
        late.result().close()


def _file_chunks(path: Path, most: int) -> Iterator[bytes]:
    if most <= CHUNK:
        yield read_at_most(path, most)
        return
    read_at_most(path, 0)  # no pipe, no device: nothing to wait for
    with path.open("rb") as file:
        got = 0
        while got <= most and (chunk := file.read(CHUNK)):
            got += len(chunk)
            yield chunk


def _check_address(where: str) -> None:
    """Raise `FleetError` for an address that nothing is fetched from, in words that show no password of it.

    What stands in an address is printed, kept in the slots and sent in the cart's report; and packages are signed, so
    that nobody has to be kept from reading them.
    """
    shown = hide_secrets(where)
    try:
        parts, allowed = urlsplit(where), _allowed(where)
    except ValueError as error:
        raise FleetError(f"{shown}: no address ({error}); name https://HOST/FOLDER, or a folder") from None
    if not allowed:
        raise FleetError(f"{shown}: not HTTPS; name https://HOST/FOLDER, or a folder")
    if "@" in parts.netloc or parts.query or parts.fragment or not parts.hostname:
        raise FleetError(
            f"{shown}: expected https://HOST/FOLDER without a user, a password, '?' or '#', since the address stands "
            "in messages and reports; packages are signed, let the server give them to whoever asks in your network"
        )


def _allowed(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """A redirect leads to HTTPS too, or nowhere."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not _allowed(newurl):
            raise urllib.error.URLError("it redirects to an address without HTTPS")
        return super().redirect_request(req, fp, code, msg, headers, newurl)
