"""Signed bundles of tiny networks, packages of them, and a cart's slots, for tests of bundles and of the fleet."""

from __future__ import annotations

import importlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from device.signature import signature_line
from runtime.bundle import open_bundle
from runtime.bundles.trial import Trial
from tests.runtime.engines.tiny import tiny_bundle

ROOT = Path(__file__).parents[3]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
WORKS = Trial("", "passed", "fake fp32 on none")


def bundle_folder(folder: Path, *, sign: Ed25519PrivateKey | None = KEY, **changes: Any) -> Path:
    """A bundle of the tiny networks; keyword arguments replace parts of its manifest."""
    tiny_bundle(folder)
    for name in ("raw", "guided"):
        (folder / f"{name}.onnx").unlink()
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | changes))
    if sign is not None:
        (folder / "manifest.sig").write_bytes(signature_line(manifest.read_bytes(), sign))
    return folder


def sha256_of(folder: Path) -> str:
    return open_bundle(folder).sha256


def packed(folder: Path, path: Path) -> Path:
    """The folder as a tar archive, gzipped where its name says so."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.add(file, file.relative_to(folder).as_posix(), recursive=False)
    return path


def keys_folder(folder: Path, **keys: Ed25519PrivateKey) -> Path:
    """A folder of public keys."""
    folder.mkdir(exist_ok=True)
    for name, key in keys.items():
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{name.replace('_', '-')}.pem").write_bytes(pem)
    return folder


def private_pem(path: Path, key: Ed25519PrivateKey = KEY) -> Path:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def run(module: str, *words: object, state: Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    """A command of ours in a process of its own, its state in that folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROP_")}
    environment |= {"ROP_SITE_STATE": str(state), "ROP_BUNDLES": str(state / "bundles")}
    call = [sys.executable, "-m", module, *map(str, words)]
    ended = subprocess.run(call, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert code is None or ended.returncode == code, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended


def called(module: str, *words: object, state: Path, code: int | None = 0) -> tuple[int, str, str]:
    """As `run`, in this process: exit code, output, errors."""
    main = importlib.import_module(f"{module}.__main__").main
    said, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(said), redirect_stderr(errors):
        patch.setenv("ROP_SITE_STATE", str(state))
        patch.setenv("ROP_BUNDLES", str(state / "bundles"))
        ended = main([str(word) for word in words])
    assert code is None or ended == code, said.getvalue() + errors.getvalue()
    return ended, said.getvalue(), errors.getvalue()


def copy_of(folder: Path, to: Path) -> Path:
    return Path(shutil.copytree(folder, to))
