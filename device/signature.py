"""Ed25519 signatures of files, in one line: `{"ed25519": SIGNATURE, "key": PUBLIC KEY}`, both in hex.

A signature covers the very bytes that are named, newlines included. The line has one spelling only, so that every byte
of it counts too.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LINE_LIMIT_BYTES = 1024
"""No signature line is longer."""


class SignatureInvalid(Exception):
    """What is wrong with a signature, in a few words, for the error of whoever reads the file."""


class NoSignature(SignatureInvalid):
    """There is no signature line, or it is not spelled as one."""


class KeyNotTrusted(SignatureInvalid):
    """It was made with a key that is not among the trusted ones."""


class ContentAltered(SignatureInvalid):
    """It does not fit the content."""


def signature_line(body: bytes, key: Ed25519PrivateKey) -> bytes:
    """The line that signs `body`, newline included."""
    return _line(key.public_key().public_bytes_raw(), key.sign(body))


def signed_by(body: bytes, line: bytes, trusted_keys: Collection[bytes]) -> bytes:
    """The public key, one of `trusted_keys` (32 bytes each), whose signature of `body` the line is.

    Raises a `SignatureInvalid` when it is not one, and `ImportError` where the package `cryptography` is missing.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        fields = json.loads(line) if len(line) <= LINE_LIMIT_BYTES else {}
        key, signature = bytes.fromhex(fields["key"]), bytes.fromhex(fields["ed25519"])
    except (ValueError, KeyError, TypeError, RecursionError):
        key, signature = b"", b""
    # Compared as bytes, so that there is one spelling only and every byte of the line is covered.
    if not signature or line != _line(key, signature):
        raise NoSignature("no signature line, expected {ed25519, key}")
    if key not in trusted_keys:
        raise KeyNotTrusted(f"signed with key {key.hex()[:16]}..., expected one of {len(trusted_keys)} trusted keys")
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, body)
    except (InvalidSignature, ValueError):
        raise ContentAltered("altered, the signature does not fit the content") from None
    return key


def _line(key: bytes, signature: bytes) -> bytes:
    return json.dumps({"ed25519": signature.hex(), "key": key.hex()}).encode() + b"\n"
