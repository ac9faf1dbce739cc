"""What encrypts a journal and makes it tell edits: secrets of its own, which the key of the cart only wraps.

Everything is AES-256-GCM under a key for each purpose (HKDF-SHA256). No nonce can come twice with one key: each content
has a key and a nonce of its own, derived from its purpose's key and an HMAC of what it is bound to and of itself. The
same content in the same place gives the same bytes, and no two contents share a key, also after a transaction that was
undone or an older copy that was brought back.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import unicodedata
import uuid
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from runtime.exam.errors import JournalDamaged
from runtime.exam.journal.chain import canonical

SECRET_BYTES = 32
_NUMBER_BYTES, _SALT_BYTES, _NONCE_BYTES, _TAG_BYTES = 2, 24, 12, 16


class Secrets:
    """The secrets of one journal: one that is used, those before it that older content still needs, and its identity.

    `light` keeps the infants' accounts of light and never changes, for an account outlives what named its infant.
    """

    def __init__(self, journal_id: str, data: Mapping[int, bytes], light: bytes) -> None:
        self.journal_id = journal_id
        self._data, self._light = dict(data), light
        self.current = max(self._data)
        """Number of the secret that is used."""
        self._keys = lru_cache(maxsize=256)(self._derived)

    def __repr__(self) -> str:
        return f"Secrets({self.journal_id}, {len(self._data)} of data)"

    @classmethod
    def new(cls) -> Secrets:
        """Of a new journal, by chance."""
        return cls(str(uuid.uuid4()), {1: os.urandom(SECRET_BYTES)}, os.urandom(SECRET_BYTES))

    def renewed(self) -> Secrets:
        """With one more, which is used from here on."""
        return Secrets(self.journal_id, {**self._data, self.current + 1: os.urandom(SECRET_BYTES)}, self._light)

    def to_json(self) -> bytes:
        """All of them, to be wrapped."""
        data = {str(number): _text(secret) for number, secret in self._data.items()}
        return canonical({"journal_id": self.journal_id, "data": data, "light": _text(self._light)}).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Secrets:
        """From `to_json`; raises `ValueError` or `KeyError`."""
        found = json.loads(content)
        data = {int(number): base64.b64decode(text) for number, text in found["data"].items()}
        return cls(str(found["journal_id"]), data, base64.b64decode(found["light"]))

    def seal(self, purpose: str, bound_to: str, content: bytes) -> bytes:
        """The content so that only this journal reads it, and only where it is `bound_to`."""
        salting, key = self._keys(self.current, purpose)
        bound = _bytes(bound_to)
        salted = hmac.new(salting, len(bound).to_bytes(4, "big") + bound, "sha256")
        salted.update(content)  # not joined to the rest, and other threads run meanwhile: a picture is large
        salt = salted.digest()[:_SALT_BYTES]
        sealed: bytes = _cipher(key, salt).encrypt(salt[:_NONCE_BYTES], content, bound)
        return self.current.to_bytes(_NUMBER_BYTES, "big") + salt + sealed

    def open(self, purpose: str, bound_to: str, sealed: object, *, newest: bool = False) -> bytes:
        """What `seal` was given. newest: only what the secret in use sealed. Raises `JournalDamaged` for all else."""
        from cryptography.exceptions import InvalidTag

        if isinstance(sealed, bytes) and len(sealed) >= _NUMBER_BYTES + _SALT_BYTES + _TAG_BYTES:
            number = int.from_bytes(sealed[:_NUMBER_BYTES], "big")
            salt, content = sealed[_NUMBER_BYTES : _NUMBER_BYTES + _SALT_BYTES], sealed[_NUMBER_BYTES + _SALT_BYTES :]
            if number in self._data and not (newest and number != self.current):
                try:
                    key = self._keys(number, purpose)[1]
                    opened: bytes = _cipher(key, salt).decrypt(salt[:_NONCE_BYTES], content, _bytes(bound_to))
                    return opened
                except InvalidTag:
                    pass
        raise JournalDamaged(f"{purpose} {bound_to}: it was altered; see python -m runtime.exam verify")

    def seal_json(self, purpose: str, bound_to: str, content: Any) -> bytes:
        """`seal` of a content as canonical JSON."""
        return self.seal(purpose, bound_to, canonical(content).encode())

    def open_json(self, purpose: str, bound_to: str, sealed: object) -> Any:
        """What `seal_json` was given, by the secret in use. Raises `JournalDamaged`."""
        return json.loads(self.open(purpose, bound_to, sealed, newest=True))

    def mac(self, purpose: str, text: str, number: int | None = None) -> str:
        """Hex; nobody without the secret in use, or the one of that number, can make it. Empty for no such number."""
        number = self.current if number is None else number
        if number not in self._data:
            return ""
        key = self._keys(number, purpose)[1]
        return hmac.digest(key, _bytes(text), "sha256").hex()

    def account(self, infant_id: str) -> str:
        """Whose account of light it is, hex: the same for an identifier however it is spaced or cased, and no name."""
        same = " ".join(unicodedata.normalize("NFKC", infant_id).casefold().split())
        return hmac.new(self._light, f"rop.journal light account\n{same}".encode(), hashlib.sha256).hexdigest()

    def _derived(self, number: int, purpose: str) -> tuple[bytes, bytes]:
        """(for salts, for content) of a purpose."""
        both = hkdf(self._data[number], f"rop.journal/5 {purpose}", 2 * SECRET_BYTES)
        return both[:SECRET_BYTES], both[SECRET_BYTES:]


def hkdf(secret: bytes, info: str, length: int) -> bytes:
    """HKDF-SHA256 (RFC 5869) without salt."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length, None, info.encode()).derive(secret)


def _cipher(key: bytes, salt: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(hmac.digest(key, salt, "sha256"))


def _bytes(text: str) -> bytes:
    """Also of a text that a flipped byte left without UTF-8: it is bound to nothing, and must only not fit."""
    return text.encode("utf-8", "surrogateescape")


def _text(secret: bytes) -> str:
    return base64.b64encode(secret).decode("ascii")
