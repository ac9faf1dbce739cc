"""The private key by which a site signs a release, or a cart its report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from device.checked_file import read_at_most
from device.extras import how_to_install
from runtime.fleet.errors import FleetError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

LIMIT_BYTES = 16 * 1024
HOW = "make one: openssl genpkey -algorithm ed25519 -out KEY.pem"


def signing_key(path: Path) -> Ed25519PrivateKey:
    """The key in a PEM file. Raises `FleetError`, which never repeats any of it."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise FleetError("signing needs the package cryptography; " + how_to_install("exam")) from None
    try:
        key = load_pem_private_key(read_at_most(path, LIMIT_BYTES), password=None)
    except OSError as error:
        raise FleetError(f"--key {path}: cannot be read ({error.strerror or error}); {HOW}") from None
    except (TypeError, ValueError, UnsupportedAlgorithm):
        raise FleetError(f"--key {path}: not an unencrypted private key in PEM; {HOW}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise FleetError(f"--key {path}: {type(key).__name__}, expected an Ed25519 private key; {HOW}")
    return key
