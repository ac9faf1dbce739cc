"""The public keys that a site trusts: a folder of PEM files, one a key, named for whom it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from device.checked_file import read_at_most, writable_by_anybody
from device.extras import how_to_install
from device.signature import signed_by
from runtime.reading import Signature
from runtime.trust.errors import SiteError

KEY_LIMIT_BYTES = 16 * 1024
HOW_TO_MAKE = (
    "make a pair with: openssl genpkey -algorithm ed25519 -out KEY.pem; openssl pkey -in KEY.pem -pubout -out NAME.pem"
)


class TrustedKeys:
    """Whom a site believes. Any of them may sign bundles, plans and profiles: a plan is code, so is a bundle."""

    def __init__(self, names: Mapping[bytes, str]) -> None:
        """names: of the keys' owners, by public key (32 bytes)."""
        self._names = dict(names)

    @property
    def keys(self) -> frozenset[bytes]:
        """The public keys, 32 bytes each."""
        return frozenset(self._names)

    @property
    def owners(self) -> frozenset[str]:
        """Whose they are, by the names of their files."""
        return frozenset(self._names.values())

    def __len__(self) -> int:
        return len(self._names)

    @property
    def public(self) -> frozenset[bytes]:
        """The public keys, 32 bytes each, for `device.light.load_calibration`."""
        return frozenset(self._names)

    def signature(self, what: str, body: bytes, line: bytes) -> Signature:
        """Who signed `body`. Raises `SignatureInvalid`, or `SiteError` where signatures cannot be checked.

        what: is said in the error.
        """
        try:
            key = signed_by(body, line, self._names)
        except ImportError:
            raise SiteError(
                f"{what}: its signature cannot be checked, the package cryptography is missing; "
                + how_to_install("exam")
            ) from None
        return Signature("signed", self._names[key], key.hex())


def read_trusted_keys(folder: Path) -> TrustedKeys:
    """The keys in `folder/*.pem`. Raises `SiteError` for a folder without one, or with a file that is none."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".pem")
    except OSError as error:
        raise SiteError(
            f"trusted keys {folder}: cannot be read ({error.strerror or error}); name a folder of public keys (*.pem)"
        ) from None
    if not paths:
        raise SiteError(f"trusted keys {folder}: holds no *.pem; put the public keys there, {HOW_TO_MAKE}")
    names: dict[bytes, str] = {}
    for path in (folder, *paths):
        if (opened := writable_by_anybody(path)) is not None:
            raise SiteError(
                f"trusted keys {path}: every user of this machine may write {opened}, and put a key of his there; "
                f"chmod o-w {opened}, and look at what lies there"
            )
    for path in paths:
        key = _public_key(path)
        if key in names:
            raise SiteError(f"trusted keys {path}: the same key as {names[key]}.pem; remove one, a key has one owner")
        names[key] = path.stem
    return TrustedKeys(names)


def _public_key(path: Path) -> bytes:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise SiteError(
            "trusted keys: they cannot be used, the package cryptography is missing; " + how_to_install("exam")
        ) from None
    try:
        key = load_pem_public_key(read_at_most(path, KEY_LIMIT_BYTES))
    except OSError as error:
        raise SiteError(f"trusted keys {path}: cannot be read ({error.strerror or error}); allow it") from None
    except (ValueError, UnsupportedAlgorithm):
        raise SiteError(f"trusted keys {path}: not a public key in PEM; {HOW_TO_MAKE}") from None
    if not isinstance(key, Ed25519PublicKey):
        raise SiteError(f"trusted keys {path}: {type(key).__name__}, expected an Ed25519 public key; {HOW_TO_MAKE}")
    return key.public_bytes_raw()
