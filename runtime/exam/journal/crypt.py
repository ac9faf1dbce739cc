"""The key of a journal: it encrypts the patients' fields (AES-256-GCM) and seals the head of the trail."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import stat
import unicodedata
from pathlib import Path
from typing import Any

from device.extras import how_to_install
from runtime.exam.errors import JournalDamaged, JournalUnwritable, KeyUnusable
from runtime.exam.journal.chain import canonical
from runtime.exam.journal.flush import flush

KEY_VARIABLE = "ROP_JOURNAL_KEY"
KEY_BYTES = 32
NONCE_BYTES = 12
HOW = f"name its file with --key-file or give it in {KEY_VARIABLE} (`python -m runtime.exam key FILE` makes one)"


class JournalKey:
    """32 secret bytes. Its text form is base64, one line."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise KeyUnusable(f"journal key: got {len(secret)} bytes, expected {KEY_BYTES} in base64; {HOW}")
        self._secret = secret

    def __repr__(self) -> str:
        return "JournalKey(...)"

    @classmethod
    def new(cls) -> JournalKey:
        """A key by chance."""
        return cls(os.urandom(KEY_BYTES))

    @classmethod
    def from_text(cls, text: str) -> JournalKey:
        """From base64; raises `KeyUnusable` without repeating the text."""
        try:
            return cls(base64.b64decode("".join(text.split()), validate=True))
        except (binascii.Error, ValueError):
            raise KeyUnusable(f"journal key: not base64; expected {KEY_BYTES} bytes in base64; {HOW}") from None

    @property
    def text(self) -> str:
        """The base64 form, for the file that keeps it."""
        return base64.b64encode(self._secret).decode("ascii")

    @property
    def check(self) -> str:
        """Tells this key from another without telling the key; 16 hex digits."""
        return self._mac("key check", "")[:16]

    def seal(self, seq: int, head: str) -> str:
        """The seal of the trail's head, hex: without the key nobody can write a new trail that fits it."""
        return self._mac("trail head", canonical([seq, head]))

    def account(self, infant_id: str) -> str:
        """Whose account of light it is, hex: the same for an identifier however it is spaced or cased, and no name."""
        same = " ".join(unicodedata.normalize("NFKC", infant_id).casefold().split())
        return self._mac("light account", same)

    def _mac(self, purpose: str, text: str) -> str:
        return hmac.new(self._secret, f"rop.journal {purpose}\n{text}".encode(), hashlib.sha256).hexdigest()

    def encrypt(self, content: Any, bound_to: str) -> dict[str, str]:
        """The content, as JSON, so that only this key reads it, and only where it is `bound_to`."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._cipher().encrypt(nonce, canonical(content).encode(), bound_to.encode())
        return {"nonce": base64.b64encode(nonce).decode(), "sealed": base64.b64encode(sealed).decode()}

    def decrypt(self, box: dict[str, str], bound_to: str) -> Any:
        """What `encrypt` was given; raises `JournalDamaged` when it was altered or moved."""
        from cryptography.exceptions import InvalidTag

        try:
            nonce, sealed = (base64.b64decode(box[part], validate=True) for part in ("nonce", "sealed"))
            return json.loads(self._cipher().decrypt(nonce, sealed, bound_to.encode()))
        except (InvalidTag, KeyError, ValueError, TypeError):
            raise JournalDamaged(
                f"exam {bound_to}: its encrypted fields were altered; see python -m runtime.exam verify"
            ) from None

    def _cipher(self) -> Any:
        # A subkey, so that no secret serves both AES and HMAC.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(bytes.fromhex(self._mac("patient fields", "")))


def require_cryptography() -> None:
    """Raise `KeyUnusable` when the library behind the encryption is not installed."""
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise KeyUnusable(
            "the patients' fields cannot be encrypted: the package cryptography is missing; " + how_to_install("exam")
        ) from None


def find_key(key_file: Path | None = None) -> JournalKey | None:
    """The key in `key_file`, else in the environment, else None.

    Raises `KeyUnusable`, for a file that everybody may read as well: with it names can be read.
    """
    if key_file is not None:
        try:
            with key_file.open(encoding="ascii") as file:
                if os.fstat(file.fileno()).st_mode & stat.S_IROTH:
                    raise KeyUnusable(f"key file {key_file}: anybody on this machine can read it; chmod 600 {key_file}")
                return JournalKey.from_text(file.read())
        except (OSError, UnicodeDecodeError) as error:
            cause = error.strerror if isinstance(error, OSError) else "not text"
            raise KeyUnusable(f"key file {key_file}: cannot be read ({cause}); {HOW}") from None
    text = os.environ.get(KEY_VARIABLE)
    return JournalKey.from_text(text) if text else None


def write_new_key(path: Path) -> JournalKey:
    """Make a key and its file, readable by its owner only; never over an existing file. Raises `JournalUnwritable`."""
    require_cryptography()  # before a key lies there that nothing here can use
    key = JournalKey.new()
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(key.text + "\n")
            file.flush()
            os.fsync(file.fileno())
        flush(path.absolute().parent)
    except OSError as error:
        raise JournalUnwritable(f"key file {path}: cannot be made ({error.strerror}); name another file") from None
    return key
