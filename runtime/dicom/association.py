"""An association with a peer, or the reason why there is none."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

from pydicom import config as pydicom_config
from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_RJ
from pynetdicom.presentation import PresentationContext, build_context

from device.extras import how_to_install
from runtime.dicom import uids
from runtime.dicom.certificates import client_context
from runtime.dicom.configuration import DicomConfig, DicomNode
from runtime.dicom.connection import GUARDED, MESSAGES, MOST_BYTES, MOST_ITEMS, PREPARED, Bound
from runtime.dicom.errors import Aborted, ArchiveRefused, ArchiveUnreachable, Lost, NotOffered
from runtime.tls import why_refused

HANGING_UP_S = 5.0
"""How long the thread of an association may take to come to rest before it is broken off."""
MAX_PDU_BYTES = 1 << 20
"""What the cart takes in one piece; how much it sends in one is the peer's word."""
_REJECTED: Mapping[tuple[int | None, int | None], str] = {
    (1, 3): "does not know the calling AE title {calling}",
    (1, 7): "does not know the called AE title {called}",
    (1, 2): "does not support the application context",
    (2, 2): "does not support the protocol version",
}
_ACCEPTED, _TRANSIENT = 0, 2
_NO_TRANSFER_SYNTAX = 4
"""Result of a presentation context (PS3.8 9.3.3.2)."""
_PROVIDER = 2
"""Source of an A-ABORT."""

# Identifiers hold names. They are kept out of any log, and errors reach the caller as errors.
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False
# What a peer says may break DICOM's rules, and a warning repeats it; what is used of it is read strictly (`received`).
pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE
for _library in ("pynetdicom", "pydicom"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)


def proposed(sop_class: str) -> PresentationContext:
    """What is proposed for a service that sends no pictures."""
    return build_context(sop_class, list(MESSAGES))


@contextmanager
def associated(
    site: DicomConfig,
    peer: DicomNode,
    contexts: Sequence[PresentationContext],
    handlers: Sequence[Any] = (),
) -> Iterator[Association]:
    """An association for the length of a `with` block: released at its end, aborted when the block raises.

    `handlers` are pynetdicom's pairs of event and function. Raises `ArchiveUnreachable` or `ArchiveRefused`.
    """
    entity = AE(ae_title=site.cart.ae_title)
    entity.implementation_class_uid = uids.IMPLEMENTATION_CLASS_UID
    entity.implementation_version_name = uids.IMPLEMENTATION_VERSION
    entity.connection_timeout = peer.connect_s
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = peer.answer_s
    context = None if peer.tls is None else client_context(peer.tls, site.folder)
    heard = _Heard()
    try:
        association = entity.associate(
            peer.host,
            peer.port,
            contexts=list(contexts),
            ae_title=peer.ae_title,
            max_pdu=MAX_PDU_BYTES,
            tls_args=None if context is None else (context, peer.host),
            evt_handlers=[*handlers, PREPARED, GUARDED, (evt.EVT_PDU_RECV, heard.keep)],
        )
    except (OSError, UnicodeError) as error:
        raise _no_name(peer, error) from None
    if not association.is_established:
        raise _why_not(site, peer, contexts, association, heard)
    try:
        yield association
    except (Lost, RuntimeError) as error:
        # pynetdicom raises RuntimeError where something is to be sent on an association that the peer has ended.
        ended = isinstance(error, Lost) or not association.is_established
        association.abort()
        if not ended:
            raise
        bound: Bound | None = getattr(association, "bound", None)
        if bound is not None and bound.passed:
            raise _said_too_much(peer) from None
        doing = error.doing if isinstance(error, Lost) else "the next message was to be sent"
        if heard.abort is None:
            raise lost(peer, doing) from None
        raise _aborted(site, peer, doing, heard.abort) from None
    except BaseException:
        association.abort()
        raise
    _release(association)


def _release(association: Association) -> None:
    """Hang up. pynetdicom 3.0.4 would wait for ever for its own thread where the peer was first and ended it."""
    if not association.is_established:
        return
    association._reactor_checkpoint.clear()
    until = time.monotonic() + HANGING_UP_S
    while not association._is_paused and _lives(association) and time.monotonic() < until:
        time.sleep(0.0001)
    if association._is_paused and _lives(association):
        association.release()
    else:
        association.abort()


def _lives(association: Association) -> bool:
    return association.is_established and association.is_alive()


def address(peer: DicomNode) -> str:
    """How messages name a peer: `ORTHANC at 10.0.0.5:4242`."""
    return f"{peer.ae_title} at {peer.host}:{peer.port}"


def lost(peer: DicomNode, doing: str) -> Lost:
    """The error for a connection that ended in the middle; an abort by the peer is told as such, see `associated`."""
    return Lost(address(peer), doing)


class _Heard:
    """What pynetdicom 3.0.4 forgets of what a peer said.

    The rejection of one that is so quick that pynetdicom's own thread has not looked yet, and why one aborted.
    """

    def __init__(self) -> None:
        self.rejection: Any = None
        self.abort: A_ABORT_RQ | None = None

    def keep(self, event: evt.Event) -> None:
        """Handler of `EVT_PDU_RECV`."""
        if isinstance(event.pdu, A_ASSOCIATE_RJ):
            self.rejection = event.pdu.to_primitive()
        if isinstance(event.pdu, A_ABORT_RQ):
            self.abort = event.pdu


def _said_too_much(peer: DicomNode) -> ArchiveRefused:
    return ArchiveRefused(
        f"{address(peer)}: it answered with more than {MOST_BYTES >> 20} MiB, or {MOST_ITEMS} items of sequences; "
        "ask for less (one day, one station), or have its administrator look at what it sends"
    )


def _no_name(peer: DicomNode, error: OSError | UnicodeError) -> ArchiveUnreachable:
    if isinstance(error, (socket.gaierror, UnicodeError)):
        return ArchiveUnreachable(
            f"{address(peer)}: the host name does not resolve; correct `host` in the site's file, or the name server; "
            "it is tried again"
        )
    return ArchiveUnreachable(f"{address(peer)}: {error.strerror or type(error).__name__}; it is tried again")


def _aborted(site: DicomConfig, peer: DicomNode, doing: str, abort: A_ABORT_RQ) -> Aborted:
    by = "its network layer" if abort.source == _PROVIDER else "its program"
    return Aborted(
        f"{address(peer)}: {by} aborted the association while {doing} (A-ABORT); it may forbid that to "
        f"{site.cart.ae_title}, or be in trouble: see its log; it is tried again"
    )


def _why_not(
    site: DicomConfig, peer: DicomNode, contexts: Sequence[PresentationContext], association: Association, heard: _Heard
) -> ArchiveRefused | ArchiveUnreachable:
    reply = association.acceptor.primitive or heard.rejection
    if reply is None:
        return _no_connection(site, peer) if heard.abort is None else _aborted(site, peer, "calling", heard.abort)
    if reply.result == _ACCEPTED:
        return not_offered(peer, contexts, association)
    why = _REJECTED.get((reply.result_source, reply.diagnostic), "rejects the association without a reason")
    why = why.format(calling=site.cart.ae_title, called=peer.ae_title)
    if reply.result == _TRANSIENT:
        return ArchiveUnreachable(f"{address(peer)}: is busy now ({why}); it is tried again")
    return ArchiveRefused(f"{address(peer)}: {why}; compare the AE titles on both sides")


def not_offered(peer: DicomNode, contexts: Sequence[PresentationContext], association: Association) -> NotOffered:
    """Why none of these contexts was accepted: the SOP classes, or none of the transfer syntaxes."""
    classes = {context.abstract_syntax for context in contexts}
    refused = [context for context in association.rejected_contexts if context.abstract_syntax in classes]
    names = ", ".join(sorted({UID(str(name)).name for name in classes}))
    if any(context.result == _NO_TRANSFER_SYNTAX for context in refused):
        syntaxes = sorted({UID(s).name for context in contexts for s in context.transfer_syntax})
        return NotOffered(
            f"{address(peer)}: takes {names} in none of the transfer syntaxes that the cart offers "
            f"({', '.join(syntaxes)}); allow one of them there{_more()}"
        )
    return NotOffered(
        f"{address(peer)}: supports none of the SOP classes that the cart asked for ({names}); allow them there"
    )


def _more() -> str:
    """What offers more of them."""
    return "" if find_spec("gdcm") else f", or for pictures in lossless JPEG {how_to_install('jpeg')}"


def _no_connection(site: DicomConfig, peer: DicomNode) -> ArchiveRefused | ArchiveUnreachable:
    """pynetdicom keeps the reason to itself, so one plain connection finds it out."""
    context = None if peer.tls is None else client_context(peer.tls, site.folder)
    begun = False
    try:
        with socket.create_connection((peer.host, peer.port), timeout=min(peer.connect_s, 5)) as plain:
            begun = True
            if context is None:
                return ArchiveUnreachable(
                    f"{address(peer)}: it accepts the connection but no association; does it expect TLS, "
                    "and is it a DICOM node?"
                )
            with context.wrap_socket(plain, server_hostname=peer.host) as secured:
                secured.settimeout(1)
                with suppress(TimeoutError):
                    secured.recv(1)  # TLS 1.3: a refused client certificate shows only now
    except ssl.SSLError as error:
        why = why_refused(error, peer.host, context, settings="tls.")
        if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            return ArchiveUnreachable(f"{address(peer)}: TLS was not agreed: {why}; it is tried again")
        return ArchiveRefused(f"{address(peer)}: TLS was refused: {why}")
    except (socket.gaierror, UnicodeError) as error:
        return _no_name(peer, error)
    except OSError as error:
        if begun:  # a node without TLS that takes a greeting for nonsense, or one that is ending
            return ArchiveUnreachable(
                f"{address(peer)}: it was called, and hung up or fell silent as TLS began; "
                "does it speak TLS at that port? it is tried again"
            )
        if isinstance(error, TimeoutError):
            return ArchiveUnreachable(f"{address(peer)}: no answer in {peer.connect_s:g} s; it is tried again")
        return ArchiveUnreachable(f"{address(peer)}: {error.strerror or error}; is it running? it is tried again")
    return ArchiveUnreachable(
        f"{address(peer)}: it was called, and gave no association; see its log; it is tried again"
    )
