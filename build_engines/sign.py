"""`python -m build_engines sign`: an Ed25519 signature for a bundle, a plan, a site profile or a light calibration."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from build_engines.arguments import sign_parser
from build_engines.errors import BuildError
from device.checked_file import read_whole
from device.extras import how_to_install
from device.light.calibration import CALIBRATION_SCHEMA, LightCalibration, sign_calibration
from device.outputs import PUBLIC, write_whole
from device.signature import signature_line
from runtime.bundle import MANIFEST, open_bundle
from runtime.checked_json import NotJson, first_problem, model_from
from runtime.commands.say import aside
from runtime.errors import ScreeningError
from runtime.plan_manifest import PLAN_MANIFEST
from runtime.trust.issues import WITHDRAWN_SCHEMA, parse_withdrawn
from runtime.trust.profile import parse_profile
from runtime.trust.site import MANIFEST_SIGNATURE, PLAN_SIGNATURE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

KEY_LIMIT_BYTES = 16 * 1024
LIMIT_BYTES = 4 * 2**20
"""Of what is signed: a manifest, or a profile."""


def main(argv: list[str] | None = None) -> int:
    """Parse and run; the exit code."""
    return run(sign_parser().parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    try:
        written = _sign(arguments.path, arguments.out, read_private_key(arguments.key), arguments.issue)
    except (BuildError, ScreeningError) as error:
        aside(error)
        return 2
    sys.stdout.write(f"{written}\n")
    return 0


def _sign(path: Path, out: Path | None, key: Ed25519PrivateKey, issue: int | None = None) -> Path:
    if issue is not None:
        if not (path / MANIFEST).is_file():
            raise BuildError(f"--issue: is for a bundle, and {path} is none; leave it out")
        number_bundle(path, issue)
    if path.is_dir():
        if out is not None:
            raise BuildError(f"--out {out}: is for a site profile; a signature lies beside what it signs, leave it out")
        return sign_plan(path, key) if (path / PLAN_MANIFEST).is_file() else sign_bundle(path, key)
    if out is None:
        raise BuildError(
            f"{path}: a file, so a site profile or a calibration; name the signed file with --out, or a bundle's folder"
        )
    return sign_file(path, out, key)


def sign_bundle(folder: Path, key: Ed25519PrivateKey) -> Path:
    """Write `manifest.sig`. The bundle is checked first: nobody should sign what is damaged."""
    open_bundle(folder)
    return _write(folder / MANIFEST_SIGNATURE, signature_line(_read(folder / MANIFEST), key))


def number_bundle(folder: Path, issue: int) -> None:
    """Write the issue number into a bundle's manifest, which thereby is another bundle; its signature goes.

    Raises `BuildError` for a number that is none or below the bundle's own.
    """
    manifest = open_bundle(folder).manifest
    if not max(1, manifest.issue) <= issue < 2**31:
        raise BuildError(f"--issue: got {issue}, expected a number from {max(1, manifest.issue)} on")
    numbered = manifest.model_copy(update={"issue": issue}).model_dump_json(by_alias=True, indent=2) + "\n"
    try:
        (folder / MANIFEST_SIGNATURE).unlink(missing_ok=True)
    except OSError as error:
        raise BuildError(f"{folder}: cannot be written ({error.strerror or error}); number a copy") from None
    _write(folder / MANIFEST, numbered.encode())


def sign_plan(folder: Path, key: Ed25519PrivateKey) -> Path:
    """Write `plan.sig`."""
    return _write(folder / PLAN_SIGNATURE, signature_line(_read(folder / PLAN_MANIFEST), key))


def sign_file(path: Path, out: Path, key: Ed25519PrivateKey) -> Path:
    """Write a signed site profile, list of what is withdrawn, or calibration of a light board.

    Raises `SiteError` or `BuildError` for one that no cart would take.
    """
    raw = _read(path)
    if out.exists() and out.samefile(path):
        raise BuildError(f"--out {out}: is the file itself; name another one")
    if CALIBRATION_SCHEMA.encode() in raw:
        return _write(out, sign_calibration(_calibration(path, raw), key))
    parse = parse_withdrawn if WITHDRAWN_SCHEMA.encode() in raw else parse_profile
    body = parse(path.name, raw).model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
    return _write(out, body + signature_line(body, key))


def _calibration(path: Path, raw: bytes) -> LightCalibration:
    """The laboratory's calibration of a board, checked as a cart checks it but for board and day."""
    try:
        return model_from(LightCalibration, raw)
    except (ValidationError, NotJson) as error:
        problem = first_problem(error, "the file") if isinstance(error, ValidationError) else str(error)
        raise BuildError(f"{path.name}: no {CALIBRATION_SCHEMA}: {problem}; see device/light/calibration.py") from None


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """The key in a PEM file. Raises `BuildError`, which never repeats any of it."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise BuildError("signing needs the package cryptography; " + how_to_install("exam")) from None
    how = "make one: openssl genpkey -algorithm ed25519 -out KEY.pem"
    try:
        with path.open("rb") as file:
            key = load_pem_private_key(file.read(KEY_LIMIT_BYTES), password=None)
    except OSError as error:
        raise BuildError(f"--key {path}: cannot be read ({error.strerror or error}); {how}") from None
    except TypeError:
        raise BuildError(f"--key {path}: is encrypted; give it decrypted: openssl pkey -in {path} -out FILE") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BuildError(f"--key {path}: not a private key in PEM; {how}") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BuildError(f"--key {path}: {type(key).__name__}, expected an Ed25519 private key; {how}")
    return key


def _read(path: Path) -> bytes:
    try:
        return read_whole(path, LIMIT_BYTES)
    except OSError as error:
        raise BuildError(f"{path}: cannot be read ({error.strerror or error}); name what is to be signed") from None


def _write(path: Path, content: bytes) -> Path:
    """Aside and then renamed: a signature is whole or not there."""
    try:
        write_whole(path, content, PUBLIC)
    except OSError as error:
        raise BuildError(f"{path}: cannot be written ({error.strerror or error}); sign where it can") from None
    return path
