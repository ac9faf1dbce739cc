"""TLS with a hospital's own certificates: what is asked of them, and in words why a handshake came to nothing."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from datetime import datetime, timezone

NOT_OF_HOSPITALS = ssl.VERIFY_X509_STRICT
"""What Python 3.13 began to ask of a certificate, such as an Authority Key Identifier, and many a hospital's own has
not. Who signed it, for which host and until when is asked by every Python alike."""

_VERIFY: Mapping[int, str] = {
    **dict.fromkeys(
        (3, 8, 11, 12, 15, 16),
        "{settings}revoked, the list of revoked certificates, is not that of its authority, or out of date "
        "({said}, the cart's clock says {now}); fetch the authority's newest",
    ),
    7: "its certificate was altered, or was signed by another authority of the same name; compare it with the "
    "authority's certificate that {settings}authority names",
    9: "{whose} certificate is not valid yet (the cart's clock says {now}); check the clock, or have it issued anew",
    10: "{whose} certificate has expired (the cart's clock says {now}); have it renewed",
    **dict.fromkeys((13, 14), "its certificate's dates cannot be read; have it issued anew"),
    **dict.fromkeys(
        (2, 18, 19, 20, 21, 27),
        "its certificate is of an unknown authority; name the authority that signed it as {settings}authority",
    ),
    **dict.fromkeys((22, 25), "its certificate lies too far below the authority; name the one that signed it"),
    23: "its certificate was revoked; have a new one issued",
    **dict.fromkeys(
        (24, 79), "what signed its certificate is no authority; have it issued by one that {settings}authority names"
    ),
    26: "its certificate was issued for another use than it is shown for; have one issued for it",
    **dict.fromkeys(
        (62, 64),
        "its certificate is for another host than {host}; name that one as its host, or set {settings}check_host to "
        "false",
    ),
    66: "its certificate's key is too weak (RSA under 2048 bits); have one issued with a stronger key",
    67: "its authority's key is too weak (RSA under 2048 bits); have one issued by a stronger authority",
    68: "its certificate is signed with MD5 or SHA-1, which can be forged; have one issued with SHA-256",
}
"""By OpenSSL's number of what verification found (X509_V_ERR_...)."""
_ALERTS: Mapping[str, str] = {
    "CERTIFICATE_EXPIRED": "it says that the cart's certificate has expired; have it renewed",
    "UNKNOWN_CA": "it does not know the authority of the cart's certificate; make it known there",
    "CERTIFICATE_REQUIRED": "it wants a certificate of the cart; name {settings}certificate and {settings}key",
    "UNSUPPORTED_CERTIFICATE": "it says that the cart's certificate was issued for another use; have one issued for it",
    "CERTIFICATE_UNKNOWN": "it does not accept the cart's certificate; see its log",
    "BAD_CERTIFICATE": "it does not accept the cart's certificate; see its log",
    "CERTIFICATE_REVOKED": "it says that the cart's certificate was revoked; have a new one issued",
    "HANDSHAKE_FAILURE": "the two share no cipher, or it wants a certificate of the cart; see its log",
    "INSUFFICIENT_SECURITY": "it finds the cart's ciphers or certificate too weak; see its log",
    "DH_KEY_TOO_SMALL": "its key exchange is too weak (Diffie-Hellman under 2048 bits); have it set up anew",
    "PROTOCOL_VERSION": "it speaks no TLS 1.2 or newer; have it updated",
    "UNSUPPORTED_PROTOCOL": "it speaks no TLS 1.2 or newer; have it updated",
    "UNRECOGNIZED_NAME": "it knows no host {host}; name it as its certificate does",
    "DECRYPT_ERROR": "it finds that the cart's certificate and key are no pair, or was disturbed; see its log",
    "WRONG_VERSION_NUMBER": "it speaks no TLS; take it for a node without TLS, or name its TLS port",
    "RECORD_LAYER_FAILURE": "it speaks no TLS; take it for a node without TLS, or name its TLS port",
    "HTTP_REQUEST": "it speaks HTTP and no TLS; it is no DICOM node",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it shows no certificate; have it show one",
    "NO_SHARED_CIPHER": "the two share no cipher; have it updated",
}
"""By the end of OpenSSL's name of an alert or fault."""
_DATES: Mapping[int, tuple[str, int]] = {9: ("notBefore", -1), 10: ("notAfter", 1)}


def why_refused(error: ssl.SSLError, host: str, context: ssl.SSLContext | None = None, *, settings: str = "") -> str:
    """Which of the reasons it is, and what to do; `it` is the other side.

    host: as it was called. context: the authorities that it was held against. settings: what stands before the names
    of settings in a message (`tls.`).
    """
    facts = {"host": host, "now": f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC", "settings": settings}
    if isinstance(error, ssl.SSLCertVerificationError):
        said = _VERIFY.get(error.verify_code, "its certificate is refused ({said}); check both certificates")
        whose = "its authority's" if _of_an_authority(error.verify_code, context) else "its"
        return said.format(**facts, whose=whose, said=error.verify_message)
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return "it hung up in the middle of the handshake; see its log"
    reason = error.reason or ""
    for name, said in _ALERTS.items():
        if reason.endswith(name):
            return said.format(**facts)
    return f"{reason or error}; check both certificates"


def _of_an_authority(code: int, context: ssl.SSLContext | None) -> bool:
    """Whether a date that is over, or not yet come, is that of an authority at hand; OpenSSL does not say whose."""
    if context is None or code not in _DATES:
        return False
    name, sign = _DATES[code]
    known = (ssl.cert_time_to_seconds(str(one[name])) for one in context.get_ca_certs() if name in one)
    return any((time.time() - at) * sign > 0 for at in known)
