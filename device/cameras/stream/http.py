"""Pictures over HTTP: MJPEG in parts (`multipart/x-mixed-replace`), or a snapshot a GET, as many cameras offer.

Cameras get nearly all of this wrong somewhere: a length that is not the part's, `image/jpg`, empty parts, an error page
between two pictures. Each such part is named and counted, and the next one read.
"""

from __future__ import annotations

import http.client
import re
import socket
import time
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from device.cameras.codecs.refused import Refused
from device.cameras.files.decode import decode_sent_jpeg
from device.cameras.opencv.config import StreamConfig
from device.cameras.stream.camera import Arrival, PictureSource
from device.errors import SourceNotFound

_PIECE = 1 << 16
_HEAD_MAX = 16 << 10
_PART_MAX = 64 << 20
"""No picture of 64 megapixels is longer as JPEG; so much of one part is held at most."""
_MARK_MAX = 200
"""Bytes of a mark between parts, at most."""
_EVERY_S = 0.02
"""Between two snapshots, so that a camera that answers from its memory is not asked a thousand times a second."""
_AFTER_A_NO_S = 0.2


def open_http(config: StreamConfig) -> PictureSource:
    """The pictures behind an address; what the answer begins with decides where its type says nothing.

    Raises `OSError` when nothing answers, says no, or gives no pictures, `SourceNotFound` when they are packed.
    """
    opener, url = _opener(config)
    answer = _get(opener, url, config.open_timeout_s)
    try:
        _check_not_packed(answer, config)
        kind = answer.headers.get_content_type().lower()
        first = answer.read1(_PIECE)
        _set_timeout(answer, config.read_timeout_s)
        if kind.startswith("multipart/"):
            return Multipart(answer, answer.headers.get_param("boundary"), first)
        if mark := re.match(rb"\s*--([^\r\n]{1,70})\r?\n", first):
            return Multipart(answer, mark[1].decode("latin-1"), first)
        if kind.startswith("image/") or first.startswith(b"\xff\xd8\xff"):
            answer.close()
            return Snapshots(opener, url, config.read_timeout_s)
        from device.cameras.stream.live_video import LiveVideo

        return LiveVideo(config, _Rest(answer, first))
    except http.client.HTTPException as error:
        answer.close()
        raise OSError(type(error).__name__) from None
    except BaseException:
        answer.close()
        raise


def _check_not_packed(answer: Any, config: StreamConfig) -> None:
    """Some proxies pack answers although nobody asked for it."""
    packed = str(answer.headers.get("Content-Encoding", "identity")).strip().lower()
    if packed not in ("", "identity"):
        how = packed if re.fullmatch(r"[\w-]{1,20}", packed) else "unknown"
        raise SourceNotFound(
            f"{config.shown}: the answer is packed ({how}), expected pictures as they are; switch that off in the "
            "camera or the proxy before it"
        )


class _Rest:
    """An answer of which the first bytes were read already."""

    def __init__(self, answer: Any, first: bytes) -> None:
        self._answer, self._first = answer, first

    def read(self, size: int) -> bytes:
        """Up to so many bytes, as soon as there are any."""
        if self._first:
            given, self._first = self._first[:size], self._first[size:]
            return given
        return bytes(self._answer.read1(size))

    def close(self) -> None:
        """End the connection."""
        self._answer.close()


def _opener(config: StreamConfig) -> tuple[urllib.request.OpenerDirector, str]:
    """What opens the address, with user and password where it holds them; and the address without."""
    parts = urlsplit(config.url)
    secret, _, host = parts.netloc.rpartition("@")
    url = quote(urlunsplit(parts._replace(netloc=host, fragment="")), safe="%!$&'()*+,;=:~/?@[]")
    handlers: list[Any] = [urllib.request.ProxyHandler({})]  # a camera is on the cart's own network
    if secret:
        user, _, password = secret.partition(":")
        known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        known.add_password(None, url, unquote(user), unquote(password))
        handlers += [_Digest(known), _Basic(known)]
    return urllib.request.build_opener(*handlers), url


class _Digest(urllib.request.HTTPDigestAuthHandler):
    """Closes the answer that asked for the password, once it was asked for again with it."""

    def http_error_401(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any) -> Any:
        """As its parent does."""
        answer = super().http_error_401(req, fp, code, msg, headers)
        if answer is not None:
            fp.close()
        return answer


class _Basic(urllib.request.HTTPBasicAuthHandler):
    """The same."""

    def http_error_401(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any) -> Any:
        """As its parent does."""
        answer = super().http_error_401(req, fp, code, msg, headers)
        if answer is not None:
            fp.close()
        return answer


def _get(opener: urllib.request.OpenerDirector, url: str, timeout_s: float) -> Any:
    try:
        return opener.open(url, timeout=timeout_s)
    except http.client.HTTPException as error:  # something that is no HTTP
        raise OSError(type(error).__name__) from None
    except urllib.error.HTTPError as error:
        error.close()
        raise
    except urllib.error.URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise TimeoutError from None
        raise


def _set_timeout(answer: Any, timeout_s: float) -> None:
    raw = getattr(getattr(answer.fp, "raw", None), "_sock", None)
    if isinstance(raw, socket.socket):
        raw.settimeout(timeout_s)


class Snapshots:
    """A picture for each GET; the same bytes again are the same picture, and not given.

    An answer that is no picture, or an error, is named, counted and asked again: a camera says so while it is busy.
    """

    def __init__(self, opener: urllib.request.OpenerDirector, url: str, timeout_s: float) -> None:
        self._opener, self._url, self._timeout_s = opener, url, timeout_s
        self._before = b""

    def next(self) -> Arrival | None:
        """The next other picture, see `PictureSource`."""
        until = time.monotonic() + self._timeout_s
        while True:
            try:
                data, kind = self._ask()
            except urllib.error.HTTPError as error:
                return _after_a_moment(f"the camera answered {error.code}, expected a JPEG picture")
            except http.client.IncompleteRead:
                return _after_a_moment("the camera's answer was cut off, expected a whole JPEG picture")
            if data != self._before or not data:
                arrival = _picture(data, kind)
                if arrival.pixels is None:
                    return _after_a_moment(arrival.why_not)
                self._before = data
                return arrival
            if time.monotonic() > until:
                raise TimeoutError
            time.sleep(_EVERY_S)

    def _ask(self) -> tuple[bytes, str]:
        with _get(self._opener, self._url, self._timeout_s) as answer:
            try:
                return answer.read(_PART_MAX), answer.headers.get_content_type()
            except http.client.IncompleteRead:
                raise
            except http.client.HTTPException as error:
                raise OSError(type(error).__name__) from None

    def close(self) -> None:
        """There is nothing held between two pictures."""


def _after_a_moment(why_not: str) -> Arrival:
    """No picture, told so slowly that a camera that says no is not asked a thousand times a second."""
    time.sleep(_AFTER_A_NO_S)
    return Arrival(None, time.monotonic_ns(), why_not)


class Multipart:
    """The parts of a `multipart/x-mixed-replace` answer."""

    def __init__(self, answer: Any, boundary: object, first: bytes = b"") -> None:
        """first: what was read of it already."""
        self._answer = answer
        self._held = bytearray(first)
        self._ended = False
        name = str(boundary).strip('"').lstrip("-") if boundary else ""
        # Some cameras write the dashes into the name as well, some leave them out of the parts.
        named = re.escape(name.encode("latin-1", "replace")) if name else rb"-[^\r\n]+"
        self._mark = re.compile(rb"(?:\A|\r?\n)-*" + named + rb"(?:--)?[ \t]*\r?\n")

    def next(self) -> Arrival | None:
        """The next part, see `PictureSource`; empty ones are passed over in silence only at the beginning."""
        start = self._seek_head()
        if start is None:
            return None
        head, body_at = start
        length = re.search(rb"(?im)^content-length\s*:\s*(\d+)", head)
        kind = re.search(rb"(?im)^content-type\s*:\s*([\w/+.-]+)", head)
        data = self._body(body_at, int(length[1]) if length else None)
        if data is None:
            return None
        return _picture(data, kind[1].decode("latin-1") if kind else "")

    def _seek_head(self) -> tuple[bytes, int] | None:
        """Head of the next part and where its body begins in what is held; None at the end."""
        while True:
            mark = self._mark.search(self._held)
            if mark is not None:
                blank = re.compile(rb"\r?\n\r?\n|\A\r?\n").search(self._held, mark.end() - 1)
                if blank is not None:
                    return bytes(self._held[mark.end() : blank.start() + 1]), blank.end()
                if len(self._held) - mark.end() > _HEAD_MAX:
                    del self._held[: mark.end()]
                    continue
            elif len(self._held) > _PART_MAX:
                del self._held[:-_HEAD_MAX]
            if not self._more():
                return None

    def _body(self, at: int, length: int | None) -> bytes | None:
        """The part from `at` on, up to the next mark; of the stated length where a JPEG ends there.

        The latter since else every picture would wait for the next one's mark.
        """
        seen = at  # how far no mark begins, so that nothing is looked through twice
        while (mark := self._mark.search(self._held, seen)) is None:
            end = at + (length or _PART_MAX)
            if len(self._held) >= end and self._held.endswith(b"\xff\xd9", at, end):
                return self._take(at, end)
            seen = max(at, len(self._held) - _MARK_MAX)
            if len(self._held) - at > _PART_MAX or not self._more():
                return self._take(at, len(self._held)) if self._ended and len(self._held) > at + 2 else None
        return self._take(at, mark.start())

    def _take(self, at: int, end: int) -> bytes:
        data = bytes(self._held[at:end])
        del self._held[:end]
        return data

    def _more(self) -> bool:
        if self._ended:
            return False
        try:
            piece = self._answer.read1(_PIECE)
        except http.client.HTTPException as error:
            raise OSError(type(error).__name__) from None
        self._ended = not piece
        self._held += piece
        return bool(piece)

    def close(self) -> None:
        """End the connection."""
        self._answer.close()


def _picture(data: bytes, kind: str) -> Arrival:
    now_ns = time.monotonic_ns()
    begin = data.find(b"\xff\xd8\xff", 0, 4096)
    if not data.strip():
        return Arrival(None, now_ns, "an empty part, expected a JPEG picture")
    if begin < 0:
        what = kind if re.fullmatch(r"[\w/+.-]{1,40}", kind) else "unknown"
        return Arrival(None, now_ns, f"a part of {len(data)} bytes of type {what}, expected a JPEG picture")
    try:
        picture = decode_sent_jpeg(data[begin:])
        return Arrival(picture.pixels, now_ns, changes=picture.changes)
    except Refused as why:
        return Arrival(None, now_ns, str(why))
