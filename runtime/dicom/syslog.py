"""Messages to an audit repository: RFC 5424 over TLS (RFC 5425), or over UDP (RFC 5426) in a trusted network."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterable
from datetime import datetime

from runtime.dicom.certificates import client_context
from runtime.dicom.configuration import Audit, DicomConfig
from runtime.dicom.errors import ArchiveUnreachable
from runtime.tls import why_refused

_FACILITY_AUTHPRIV, _NOTICE = 10, 5
_PROGRAM = "rop-cart"
_MSGID = "DICOM+RFC3881"
MOST_UDP_BYTES = 65_000
SECONDS = 10.0


def line(at: datetime, host: str, content: bytes) -> bytes:
    """One message as RFC 5424 has it."""
    head = f"<{_FACILITY_AUTHPRIV * 8 + _NOTICE}>1 {at.isoformat(timespec='milliseconds')} {host or '-'} {_PROGRAM}"
    return f"{head} {os.getpid()} {_MSGID} - ".encode("ascii", "replace") + b"\xef\xbb\xbf" + content


def deliver(site: DicomConfig, peer: Audit, lines: Iterable[bytes]) -> int:
    """Send them in their order; how many. Raises `ArchiveUnreachable`: TLS tells when nobody listens, UDP does not."""
    where = f"audit repository {peer.host}:{peer.port}"
    context = None if peer.tls is None else client_context(peer.tls, site.folder)
    try:
        if peer.transport == "udp":
            return _by_udp(peer, lines)
        assert context is not None
        with (
            socket.create_connection((peer.host, peer.port), SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=peer.host) as secured,
        ):
            sent = 0
            for one in lines:
                secured.sendall(f"{len(one)} ".encode() + one)
                sent += 1
            _hang_up(secured)
            return sent
    except ssl.SSLError as error:
        why = why_refused(error, peer.host, context, settings="audit.tls.")
        raise ArchiveUnreachable(f"{where}: TLS was refused: {why}; nothing is lost, it is told again") from None
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise ArchiveUnreachable(f"{where}: {why}; nothing is lost, it is told again") from None


def _hang_up(secured: ssl.SSLSocket) -> None:
    """Say that it was all. With TLS 1.3 a certificate of ours that is refused shows only now; else RFC 5425 knows no
    acknowledgement, and some repositories close without a word.
    """
    try:
        secured.unwrap()
    except ssl.SSLError as error:
        if "ALERT" in (error.reason or ""):
            raise
    except OSError:
        pass


def _by_udp(peer: Audit, lines: Iterable[bytes]) -> int:
    family, kind, _, _, address = socket.getaddrinfo(peer.host, peer.port, type=socket.SOCK_DGRAM)[0]
    sent = 0
    with socket.socket(family, kind) as out:
        for one in lines:
            if len(one) > MOST_UDP_BYTES:
                raise OSError(f"a message of {len(one)} bytes is too long for UDP")
            out.sendto(one, address)
            sent += 1
    return sent
