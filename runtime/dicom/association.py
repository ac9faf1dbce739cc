"""An association with a peer, or the reason why there is none."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.presentation import PresentationContext

from runtime.dicom import uids
from runtime.dicom.connection import PREPARED
from runtime.dicom.errors import ArchiveRefused, ArchiveUnreachable
from runtime.dicom.site import Peer, Site, client_context

MAX_PDU_BYTES = 1 << 20
"""What the cart takes in one piece; how much it sends in one is the peer's word."""
_REJECTED: Mapping[tuple[int | None, int | None], str] = {
    (1, 3): "does not know the calling AE title {calling}",
    (1, 7): "does not know the called AE title {called}",
    (1, 2): "does not support the application context",
    (2, 2): "does not support the protocol version",
}
_ACCEPTED, _TRANSIENT = 0, 2

# Identifiers hold names. They are kept out of any log, and errors reach the caller as errors.
_config.LOG_REQUEST_IDENTIFIERS = False
_config.LOG_RESPONSE_IDENTIFIERS = False
for _library in ("pynetdicom", "pydicom"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)


@contextmanager
def associated(
    site: Site,
    peer: Peer,
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
    rejections: list[Any] = []
    association = entity.associate(
        peer.host,
        peer.port,
        contexts=list(contexts),
        ae_title=peer.ae_title,
        max_pdu=MAX_PDU_BYTES,
        tls_args=None if context is None else (context, peer.host),
        evt_handlers=[*handlers, PREPARED, (evt.EVT_PDU_RECV, _keep_rejection, [rejections])],
    )
    if not association.is_established:
        raise _why_not(site, peer, association.acceptor.primitive or next(iter(rejections), None))
    try:
        yield association
    except BaseException:
        association.abort()
        raise
    if association.is_established:
        association.release()


def address(peer: Peer) -> str:
    """How messages name a peer: `ORTHANC at 10.0.0.5:4242`."""
    return f"{peer.ae_title} at {peer.host}:{peer.port}"


def lost(peer: Peer, doing: str) -> ArchiveUnreachable:
    """The error for a connection that ended in the middle."""
    return ArchiveUnreachable(
        f"{address(peer)}: no answer while {doing}, or the connection was lost; it is tried again"
    )


def _keep_rejection(event: evt.Event, rejections: list[Any]) -> None:
    """pynetdicom 3.0.4 forgets the rejection of a peer that is so quick that its own thread has not looked yet."""
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        rejections.append(event.pdu.to_primitive())


def _why_not(site: Site, peer: Peer, reply: Any) -> ArchiveRefused | ArchiveUnreachable:
    """reply: the peer's A-ASSOCIATE primitive, None when none came."""
    if reply is None:
        return _no_connection(site, peer)
    if reply.result == _ACCEPTED:
        return ArchiveRefused(f"{address(peer)}: supports none of the SOP classes that the cart asked for")
    why = _REJECTED.get((reply.result_source, reply.diagnostic), "rejects the association without a reason")
    why = why.format(calling=site.cart.ae_title, called=peer.ae_title)
    if reply.result == _TRANSIENT:
        return ArchiveUnreachable(f"{address(peer)}: is busy now ({why}); it is tried again")
    return ArchiveRefused(f"{address(peer)}: {why}; compare the AE titles on both sides")


def _no_connection(site: Site, peer: Peer) -> ArchiveRefused | ArchiveUnreachable:
    """pynetdicom keeps the reason to itself, so one plain connection finds it out."""
    import ssl

    try:
        with socket.create_connection((peer.host, peer.port), timeout=min(peer.connect_s, 5)) as plain:
            if peer.tls is None:
                return ArchiveUnreachable(
                    f"{address(peer)}: it accepts the connection but no association; does it expect TLS, "
                    "and is it a DICOM node?"
                )
            with client_context(peer.tls, site.folder).wrap_socket(plain, server_hostname=peer.host) as secured:
                secured.settimeout(1)
                secured.recv(1)  # TLS 1.3: a refused client certificate shows only now
    except (ssl.SSLError, ssl.CertificateError) as error:
        return ArchiveRefused(f"{address(peer)}: TLS was refused: {error.reason or error}; check both certificates")
    except TimeoutError:
        return ArchiveUnreachable(f"{address(peer)}: no answer in {peer.connect_s:g} s; it is tried again")
    except OSError as error:
        return ArchiveUnreachable(f"{address(peer)}: {error.strerror or error}; is it running? it is tried again")
    return ArchiveUnreachable(f"{address(peer)}: the connection was closed before an association; it is tried again")
