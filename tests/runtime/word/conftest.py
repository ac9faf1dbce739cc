"""A site with keys, a signed bundle and a picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.signature import signature_line
from runtime.trust.site import MANIFEST_SIGNATURE
from tests.runtime.daemon.c.conftest import library, new_client  # noqa: F401 (the C client's fixtures)
from tests.runtime.trust.conftest import profile_content, public_pem, sign
from tests.runtime.word.drivers import Options, Ways
from tests.runtime.word.tiny import PICTURE, sha256_of, write_tiny_bundle

MAKER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))


@pytest.fixture(scope="session")
def signed_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_tiny_bundle(tmp_path_factory.mktemp("word") / "bundle")
    sign(folder / "manifest.json", folder / MANIFEST_SIGNATURE, MAKER)
    return folder


@dataclass
class AtSite:
    """A site's files, and the options that name them."""

    folder: Path
    bundle: Path

    def keys(self, owner: Ed25519PrivateKey = MAKER) -> Path:
        """The folder of trusted keys with one key in it."""
        folder = self.folder / "keys"
        folder.mkdir(exist_ok=True)
        (folder / "maker.pem").write_bytes(public_pem(owner))
        return folder

    def profile(self, **changes: Any) -> Path:
        """The signed profile; None for `bundle_sha256` pins the bundle."""
        if "refer_threshold" in changes:
            changes.setdefault("bundle_sha256", sha256_of(self.bundle))
        body = json.dumps(profile_content(**changes)).encode() + b"\n"
        path = self.folder / "profile.signed"
        path.write_bytes(body + signature_line(body, MAKER))
        return path

    def options(self, **changes: Any) -> Options:
        """With a profile that says so."""
        files = ("--site-profile", self.profile(**changes), "--trusted-keys", self.keys())
        return ["--bundle", str(self.bundle), *map(str, files)]


@pytest.fixture
def at_site(tmp_path: Path, signed_bundle: Path) -> AtSite:
    return AtSite(tmp_path, signed_bundle)


@pytest.fixture
def ways(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ways:
    picture = tmp_path / "picture.png"
    cv2.imwrite(str(picture), PICTURE[..., ::-1])
    return Ways(tmp_path, picture, capsys)


@pytest.fixture(autouse=True)
def _nothing_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ROP_SITE_PROFILE", "ROP_TRUSTED_KEYS", "ROP_STATION"):
        monkeypatch.delenv(name, raising=False)


NewOptions = Callable[..., Options]
