"""The key of a cart: it wraps the secrets of a journal, without which nothing of an exam can be read or changed."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from device.checked_file import read_at_most
from device.extras import how_to_install
from runtime.exam.errors import JournalDamaged, JournalUnwritable, KeyUnusable
from runtime.exam.journal.chain import canonical
from runtime.exam.journal.flush import flush
from runtime.exam.journal.secrets import Secrets, hkdf

KEY_VARIABLE = "ROP_JOURNAL_KEY"
CREDENTIALS = "CREDENTIALS_DIRECTORY"
CREDENTIAL = "rop-journal-key"
"""Name of the systemd credential (`LoadCredentialEncrypted=rop-journal-key:...`)."""
KEY_BYTES = 32
NONCE_BYTES = 12
HOW = f"name its file with --key-file or give it in {KEY_VARIABLE}"
HOW_NEW = f"{HOW} (for a new journal `python -m runtime.exam key FILE` makes one)"


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

    def wrap(self, secrets: Secrets) -> str:
        """The secrets so that only this key gives them: one line, the key's check and base64."""
        nonce = os.urandom(NONCE_BYTES)  # by chance: a key wraps a few times in its life
        sealed = nonce + self._wrapping().encrypt(nonce, secrets.to_json(), self.check.encode())
        return f"{self.check} {base64.b64encode(sealed).decode('ascii')}"

    def unwrap(self, line: str) -> Secrets | None:
        """What `wrap` was given; None when it was altered. Raises `KeyUnusable` for another key's."""
        from cryptography.exceptions import InvalidTag

        check, _, text = line.strip().partition(" ")
        try:
            sealed = base64.b64decode(text, validate=True)
            opened = self._wrapping().decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], check.encode())
            return Secrets.from_json(opened)
        except (InvalidTag, ValueError, KeyError, TypeError):
            return None

    def _wrapping(self) -> Any:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(hkdf(self._secret, "rop.journal/5 wrapping", KEY_BYTES))

    # What journals before version 5 rest on; `forward` reads them with it.

    def old_secrets(self, journal_id: str) -> Secrets:
        """The secrets of a journal that was made before version 5: accounts of light stay what they were."""
        return Secrets(journal_id, {1: os.urandom(KEY_BYTES)}, self._secret)

    def old_seal(self, seq: int, head: str) -> str:
        """The seal of the trail's head, hex."""
        return self._mac("trail head", canonical([seq, head]))

    def old_decrypt(self, box: dict[str, str], bound_to: str) -> Any:
        """The patient's fields, or an order; raises `JournalDamaged` when they were altered or moved."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            nonce, sealed = (base64.b64decode(box[part], validate=True) for part in ("nonce", "sealed"))
            cipher = AESGCM(bytes.fromhex(self._mac("patient fields", "")))
            return json.loads(cipher.decrypt(nonce, sealed, bound_to.encode()))
        except (InvalidTag, KeyError, ValueError, TypeError):
            raise JournalDamaged(f"exam {bound_to}: its encrypted fields were altered; bring back a copy") from None

    def _mac(self, purpose: str, text: str) -> str:
        return hmac.new(self._secret, f"rop.journal {purpose}\n{text}".encode(), hashlib.sha256).hexdigest()


def require_cryptography() -> None:
    """Raise `KeyUnusable` when the library behind the encryption is not installed."""
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise KeyUnusable(
            "a journal cannot be encrypted: the package cryptography is missing; " + how_to_install("exam")
        ) from None


def find_key(key_file: Path | None = None) -> JournalKey | None:
    """The key in `key_file`, else the one that systemd gives this unit, else in the environment, else None.

    Raises `KeyUnusable`, for a file that everybody may read as well: with it names can be read.
    """
    if key_file is not None:
        return _from_file(key_file)
    given = os.environ.get(CREDENTIALS) or _taken.get(CREDENTIALS)
    if given and (credential := Path(given) / CREDENTIAL).exists():
        return _from_file(credential)
    text = os.environ.get(KEY_VARIABLE) or _taken.get(KEY_VARIABLE)
    return JournalKey.from_text(text) if text else None


_taken: dict[str, str] = {}


def take_from_environment() -> None:
    """Take the key, and where systemd put it, out of the environment; `find_key` still finds it, no child does."""
    _taken.update({name: text for name in (KEY_VARIABLE, CREDENTIALS) if (text := os.environ.pop(name, None))})


def taken_key() -> Mapping[str, str]:
    """What was taken out of the environment, to be told to a child by a pipe; empty where nothing was."""
    return dict(_taken)


def keep_told_key(told: Mapping[str, str]) -> None:
    """In such a child: `find_key` finds from now on what it was told."""
    _taken.update(told)


def _from_file(key_file: Path) -> JournalKey:
    try:
        text = read_at_most(key_file, 1024).decode("ascii")  # no pipe: it would be waited for
        if key_file.stat().st_mode & stat.S_IROTH:
            raise KeyUnusable(f"key file {key_file}: anybody on this machine can read it; chmod 600 {key_file}")
        return JournalKey.from_text(text)
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "not text"
        raise KeyUnusable(f"key file {key_file}: cannot be read ({cause}); {HOW_NEW}") from None


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
