"""`push`: a signed bundle becomes a package in a folder that a web server or a USB stick carries."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from device.checked_file import read_at_most
from device.signature import LINE_LIMIT_BYTES, SignatureInvalid, signature_line, signed_by
from runtime.bundle import MANIFEST, Bundle, open_bundle
from runtime.bundles.flushed import write_flushed
from runtime.fleet.errors import FleetError
from runtime.fleet.release import LIMIT_BYTES, RELEASE, Package, Release, Wave, parse_release
from runtime.plans import PLANS
from runtime.sinks.files import own_folder
from runtime.trust.keys import TrustedKeys
from runtime.trust.site import MANIFEST_SIGNATURE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def push(
    source: Path,
    out: Path,
    key: Ed25519PrivateKey,
    *,
    follows: Sequence[str] | None,
    waves: Sequence[Wave],
    drop: Sequence[str] = (),
) -> Release:
    """Add the bundle to the folder's release, or change its waves, and sign it anew.

    key: signs the release; the bundle has to be signed by it, too. drop: bundles that are to be offered no more.
    The package is written before the release that names it. Raises `FleetError` or `BundleError`.
    """
    bundle = open_bundle(source)
    _check_signed(bundle, key)
    if not bundle.manifest.issue:
        raise FleetError(
            f"bundle {source}: has no issue number, so no cart could tell it from an older one; give it one"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        with own_folder(out):  # of two at once one would take the other's package out of the release
            return _pushed(bundle, out, key, follows, waves, drop)
    except OSError as error:
        raise FleetError(f"--out {out}: cannot be written ({error.strerror or error}); name another folder") from None


def _pushed(
    bundle: Bundle,
    out: Path,
    key: Ed25519PrivateKey,
    follows: Sequence[str] | None,
    waves: Sequence[Wave],
    drop: Sequence[str],
) -> Release:
    """Raises also `OSError`."""
    before = read_release(out, key)
    kept = [p for p in before.packages if p.bundle_sha256 not in (bundle.sha256, *drop)] if before else []
    _check_number(bundle, kept)
    name, size, sha256 = _packed(bundle, out)
    manifest = bundle.manifest
    package = Package(
        file=name,
        size=size,
        sha256=sha256,
        name=manifest.name,
        version=manifest.version,
        issue=manifest.issue,
        bundle_sha256=bundle.sha256,
        follows=None if follows is None else tuple(follows),
        waves=tuple(waves),
    )
    release = Release(schema="rop.release/1", issue=1 + (before.issue if before else 0), packages=(*kept, package))
    body = release.model_dump_json(by_alias=True).encode() + b"\n"
    write_flushed(out / RELEASE, body + signature_line(body, key))
    return release


def read_release(folder: Path, key: Ed25519PrivateKey) -> Release | None:
    """What the folder offers already; None where it is new. Raises `FleetError` where another key signed it."""
    public = key.public_key().public_bytes_raw()
    try:
        data = read_at_most(folder / RELEASE, LIMIT_BYTES)
    except FileNotFoundError:
        return None
    return parse_release(str(folder / RELEASE), data, TrustedKeys({public: "own"}))


def _check_signed(bundle: Bundle, key: Ed25519PrivateKey) -> None:
    public = key.public_key().public_bytes_raw()
    try:
        line = read_at_most(bundle.path / MANIFEST_SIGNATURE, LINE_LIMIT_BYTES)
        signed_by(read_at_most(bundle.path / MANIFEST, LIMIT_BYTES * 4), line, {public})
    except (OSError, SignatureInvalid) as error:
        what = "has no signature" if isinstance(error, FileNotFoundError) else str(error)
        raise FleetError(f"bundle {bundle.path}: {what}; sign it: rop-build sign {bundle.path} --key KEY.pem") from None


def _check_number(bundle: Bundle, kept: Sequence[Package]) -> None:
    """Of two bundles with one number a cart takes one, by chance, and never the other after it."""
    manifest = bundle.manifest
    other = next((p for p in kept if (p.name, p.issue) == (manifest.name, manifest.issue)), None)
    if other is not None:
        raise FleetError(
            f"bundle {bundle.path}: issue {manifest.issue} of {manifest.name} is {other.bundle_sha256[:12]}... in this "
            f"release already; sign this one with a higher number, or, if no cart has that one yet, --drop "
            f"{other.bundle_sha256}"
        )


def _packed(bundle: Bundle, out: Path) -> tuple[str, int, str]:
    """Name, size and SHA-256 of the package. The same bundle gives the same bytes: no times, no owners."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{bundle.manifest.name}-{bundle.manifest.version}").strip(".-")
    name = f"{plain or 'bundle'}-{bundle.sha256[:12]}.tar"
    names = [MANIFEST, MANIFEST_SIGNATURE, *(entry.path for entry in bundle.manifest.files)]
    names += sorted(
        path.relative_to(bundle.path).as_posix() for path in bundle.path.glob(f"{PLANS}/*/*") if path.is_file()
    )
    descriptor, aside = tempfile.mkstemp(prefix=".push-", dir=out)
    try:
        with open(descriptor, "w+b") as file:
            with tarfile.open(fileobj=file, mode="w:", format=tarfile.PAX_FORMAT) as archive:
                for each in names:
                    _append(archive, bundle.path / each, each)
            file.flush()
            os.fsync(file.fileno())
            size = file.tell()
            file.seek(0)
            sha256 = hashlib.sha256()
            while chunk := file.read(1024 * 1024):
                sha256.update(chunk)
        os.chmod(aside, 0o644)
        os.replace(aside, out / name)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(aside)
        raise
    return name, size, sha256.hexdigest()


def _append(archive: tarfile.TarFile, path: Path, name: str) -> None:
    with path.open("rb") as content:
        member = tarfile.TarInfo(name)
        member.size, member.mode = os.fstat(content.fileno()).st_size, 0o644
        archive.addfile(member, content)


def parse_follows(words: Sequence[str]) -> list[str] | None:
    """What `--follows` says: `any`, or SHA-256 of manifests, or folders of bundles. Raises `FleetError`."""
    if "any" in words:
        return None
    found = []
    for word in words:
        if re.fullmatch(r"[0-9a-f]{64}", word):
            found.append(word)
        elif Path(word).is_dir():
            found.append(open_bundle(word).sha256)
        else:
            raise FleetError(f"--follows {word}: expected any, a manifest's SHA-256 (64 digits), or a bundle's folder")
    return found


def release_json(release: Release) -> str:
    """For `--json`."""
    return json.dumps(json.loads(release.model_dump_json(by_alias=True)))
