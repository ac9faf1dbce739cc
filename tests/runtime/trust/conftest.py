"""Key pairs, signed bundles and profiles for tests of trust."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from device.signature import signature_line


@pytest.fixture
def key() -> Ed25519PrivateKey:
    """The maker's."""
    return Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def stranger() -> Ed25519PrivateKey:
    """Somebody whom the site does not know."""
    return Ed25519PrivateKey.from_private_bytes(bytes(32))


@pytest.fixture
def keys(tmp_path: Path, key: Ed25519PrivateKey) -> Path:
    """The folder of trusted keys: the maker's."""
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "maker.pem").write_bytes(public_pem(key))
    return folder


@pytest.fixture
def write_profile(tmp_path: Path, key: Ed25519PrivateKey) -> Callable[..., Path]:
    """Write a signed site profile; keyword arguments change it."""

    def write(signer: Ed25519PrivateKey = key, **changes: Any) -> Path:
        body = json.dumps(profile_content(**changes)).encode() + b"\n"
        path = tmp_path / "profile.signed"
        path.write_bytes(body + signature_line(body, signer))
        return path

    return write


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ROP_SITE_PROFILE", "ROP_TRUSTED_KEYS", "ROP_STATION"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def without_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """For bundles of stand-in graphs, which no reference can be made of."""
    monkeypatch.setattr("runtime.trust.guard.drawn_problem", lambda *_: "")


def profile_content(**changes: Any) -> dict[str, Any]:
    today = date.today()
    known = {
        "schema": "rop.site/1",
        "site": "Ward 4",
        "issued": (today - timedelta(days=1)).isoformat(),
        "expires": (today + timedelta(days=30)).isoformat(),
    }
    return known | changes


def public_pem(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def sign(path: Path, signature: Path, key: Ed25519PrivateKey) -> None:
    signature.write_bytes(signature_line(path.read_bytes(), key))
