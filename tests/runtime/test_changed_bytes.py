"""One byte changed anywhere in what decides, of every kind of file: found before use, and said in one line."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.errors import DeviceError
from device.eye import Eye
from device.light.calibration import load_calibration, sign_calibration
from device.light.dose import Exposure, LightKind
from device.light.dose_file import DoseFile
from device.signature import SignatureInvalid, signature_line
from runtime.bundle import open_bundle
from runtime.bundles.store import Slots
from runtime.cart.users import load_users, new_user, save_users
from runtime.config import load_config
from runtime.dicom.configuration import load_dicom_config, new_dicom_config
from runtime.errors import ScreeningError
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey
from runtime.plans import find_plan
from runtime.slots import ACTIVE
from runtime.trust.errors import SiteError
from runtime.trust.issues import STATE_FILE, WITHDRAWN_FILE, Issues, read_withdrawn
from runtime.trust.keys import TrustedKeys, read_trusted_keys
from runtime.trust.profile import read_profile
from runtime.trust.site import MANIFEST_SIGNATURE, PLAN_SIGNATURE, Site, watched
from runtime.trust.told import SiteAnchor
from tests.device.light import lab
from tests.fuzz.memory import memory
from tests.runtime.engines.tensorrt.fake_plans import KEY, both_plans, write_plans
from tests.runtime.exam.journal.test_attacks import changes_found, fill
from tests.runtime.trust.conftest import profile_content, public_pem, sign

Write = Callable[..., Path]
SHORT, WHOLE, LONGEST_S = 40, 10_000, 1200
COUNTS = Path("fuzz") / "changed-bytes"


@dataclass(frozen=True)
class Kind:
    """Files of one kind, and how they are used."""

    files: tuple[Path, ...]
    use: Callable[[], object]
    by_meaning: bool = False
    """Whether a change that alters nothing of what is used, as of a space, is none."""


def bundle(tmp_path: Path, write_bundle: Write) -> Kind:
    maker = Ed25519PrivateKey.generate()
    folder = write_bundle()
    sign(folder / "manifest.json", folder / MANIFEST_SIGNATURE, maker)
    site = Site(_trusted(maker))
    graphs = ("segmentation.fp32.onnx", "classifier.fp32.onnx")

    def use() -> object:
        opened = open_bundle(folder)
        return site.check_bundle(opened), [opened.read(name) for name in graphs]

    return Kind(tuple(folder / name for name in ("manifest.json", MANIFEST_SIGNATURE, *graphs)), use)


def plan(tmp_path: Path, write_bundle: Write) -> Kind:
    maker = Ed25519PrivateKey.generate()
    opened = open_bundle(write_bundle())
    folder = write_plans(opened, both_plans(opened))
    sign(folder / "plan.json", folder / PLAN_SIGNATURE, maker)
    checked = watched(opened, Site(_trusted(maker)).check_plan, lambda *_: None)

    def use() -> object:
        found = find_plan(checked, KEY)
        return [found.read(name) for name in found.names]

    return Kind(tuple(sorted(path for path in folder.iterdir())), use)


def profile(tmp_path: Path, write_bundle: Write) -> Kind:
    maker, path = Ed25519PrivateKey.generate(), tmp_path / "profile.signed"
    body = json.dumps(profile_content()).encode() + b"\n"
    path.write_bytes(body + signature_line(body, maker))
    return Kind((path,), lambda: read_profile(path, _trusted(maker)))


def calibration(tmp_path: Path, write_bundle: Write) -> Kind:
    path = tmp_path / "light.calibration"
    path.write_bytes(sign_calibration(lab.calibration(), lab.KEY))
    return Kind(
        (path,),
        lambda: load_calibration(path, board_id=lab.BOARD_ID, trusted_keys=lab.TRUSTED, today=lab.TODAY),
    )


def dose_file(tmp_path: Path, write_bundle: Write) -> Kind:
    path, moment = tmp_path / "infant.dose", datetime(2026, 6, 1, tzinfo=timezone.utc)
    with DoseFile(path) as kept:
        for number in range(1, 9):
            kept.keep(Exposure(Eye.OD, LightKind.LED, number, number / 10, moment))

    def use() -> object:
        with DoseFile(path) as kept:
            return kept.exposures

    return Kind((path,), use)


def site_file(tmp_path: Path, write_bundle: Write) -> Kind:
    path = tmp_path / "dicom.json"
    path.write_text(new_dicom_config("ORTHANC@10.0.0.5:4242", "RIS@ris.example:104", listen_port=11112))
    return Kind((path, _summed(path)), lambda: load_dicom_config(path))


def cart_toml(tmp_path: Path, write_bundle: Write) -> Kind:
    path = tmp_path / "cart.toml"
    path.write_text('# Ward 4\nschema = "rop.cart/1"\nstation = "cart 1"\n\n[camera]\nsource = "camera:0"\n')
    return Kind((path, _summed(path)), lambda: load_config(path))


def withdrawn(tmp_path: Path, write_bundle: Write) -> Kind:
    maker, path = Ed25519PrivateKey.generate(), tmp_path / WITHDRAWN_FILE
    body = json.dumps({"schema": "rop.withdrawn/1", "issue": 3, "sha256": ["ab" * 32]}).encode() + b"\n"
    path.write_bytes(body + signature_line(body, maker))
    return Kind((path,), lambda: read_withdrawn(tmp_path, _trusted(maker)))


def trusted_keys(tmp_path: Path, write_bundle: Write) -> Kind:
    """A key that became another one is nobody's: what was signed is refused."""
    maker, path = Ed25519PrivateKey.generate(), tmp_path / "keys" / "maker.pem"
    path.parent.mkdir(mode=0o755)
    path.write_bytes(public_pem(maker))
    body = b"a manifest\n"
    line = signature_line(body, maker)

    def use() -> object:
        try:
            return read_trusted_keys(path.parent).signature("bundle", body, line)
        except SignatureInvalid as error:
            raise SiteError(str(error)) from None

    return Kind((path,), use, by_meaning=True)


def site_numbers(tmp_path: Path, write_bundle: Write) -> Kind:
    issues = Issues(lambda: tmp_path / "state")
    for name, issue in (("bundle test", 12), ("profile Ward 4", 3), ("withdrawn", 1)):
        issues.note(name, issue)

    def use() -> object:
        issues.check("bundle test", 12, what="bundle")
        with suppress(SiteError):
            issues.check("bundle test", 11, what="bundle")
            return "an older one was taken"
        for name, issue in (("profile Ward 4", 3), ("withdrawn", 1)):
            issues.check(name, issue, what=name)
        return "all as they were"

    return Kind((tmp_path / "state" / STATE_FILE,), use, by_meaning=True)


def site_anchor(tmp_path: Path, write_bundle: Write) -> Kind:
    path = tmp_path / "anchor"
    path.touch()
    anchor = SiteAnchor(path)
    for number in range(1, 9):
        anchor.tell("bundle test", {"issue": number})
        anchor.tell("bundle test", {"back": f"{number}" * 64})
    return Kind((path,), anchor.read, by_meaning=True)


def active_slot(tmp_path: Path, write_bundle: Write) -> Kind:
    folder = tmp_path / "slots"
    opened = open_bundle(write_bundle())
    shutil.copytree(opened.path, folder / opened.sha256)
    Slots(folder).switch(opened.sha256, "test", Site())
    return Kind((folder / ACTIVE,), lambda: open_bundle(folder).sha256, by_meaning=True)


def users(tmp_path: Path, write_bundle: Write) -> Kind:
    """Who somebody is in the trail, and what they may do."""
    path = tmp_path / "users.json"
    save_users(path, (new_user("anna", "Anna Berg", "1234"), new_user("ben", "Ben \u00d8st", "4321", "clinician")))
    return Kind((path,), lambda: load_users(path), by_meaning=True)


MADE = (bundle, plan, profile, calibration, dose_file, site_file, cart_toml)
KINDS = {one.__name__: one for one in (*MADE, withdrawn, trusted_keys, site_numbers, site_anchor, active_slot, users)}


def _trusted(maker: Ed25519PrivateKey) -> TrustedKeys:
    return TrustedKeys({maker.public_key().public_bytes_raw(): "maker"})


def _summed(path: Path) -> Path:
    """As `sha256sum NAME > NAME.sha256` writes it."""
    beside = path.with_name(f"{path.name}.sha256")
    beside.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    return beside


def missed(kind: Kind, seeds: range, until: float) -> tuple[int, list[int]]:
    """(how many were tried, the seeds of those that were neither refused in one line nor said)."""
    sound = {path: path.read_bytes() for path in kind.files}
    whole = kind.use()
    found, tried = list[int](), 0
    for seed in seeds:
        if time.monotonic() > until:
            break
        tried, chance = tried + 1, random.Random(f"byte {seed}")
        path = chance.choice(kind.files)
        content = bytearray(sound[path])
        content[chance.randrange(len(content))] ^= 1 + chance.randrange(255)
        path.write_bytes(content)
        try:
            used = kind.use()
            if not (kind.by_meaning and used == whole):
                found.append(seed)
        except (ScreeningError, DeviceError) as error:
            if "\n" in str(error):
                found.append(seed)
        path.write_bytes(sound[path])
    return tried, found


@pytest.mark.parametrize("name", KINDS)
def test_a_changed_byte_is_found_before_use(tmp_path: Path, write_bundle: Write, name: str) -> None:
    tried, found = missed(KINDS[name](tmp_path, write_bundle), range(SHORT), time.monotonic() + 60)
    assert tried > 0
    assert found == []


@pytest.mark.soak
@pytest.mark.parametrize("name", KINDS)
def test_ten_thousand_changed_bytes(tmp_path: Path, write_bundle: Write, name: str) -> None:
    """Counts stay in fuzz/changed-bytes and add up over calls; those of the journal are its own test's, beside."""
    done = _count(name)
    tried, found = missed(KINDS[name](tmp_path, write_bundle), range(done, WHOLE), time.monotonic() + LONGEST_S)
    _count(name, done + tried)
    assert found == []


@pytest.mark.soak
def test_ten_thousand_changed_bytes_of_a_journal() -> None:
    """Rows, pictures, deliveries, and bytes of the file; what SQLite has given free may change without effect.

    In memory, where there is a place for that: on a disk the flushes of each copy take most of the time.
    """
    key, until = JournalKey.new(), time.monotonic() + LONGEST_S
    with tempfile.TemporaryDirectory(dir=memory()) as place:
        folder = Path(place)
        with Journal.open(folder / "journal", key, create=True) as journal:
            fill(journal)
        while (done := _count("journal")) < WHOLE and time.monotonic() < until:
            found, harmless, wrong = changes_found(folder / "journal", key, folder / "work", 100, done)
            assert wrong == []
            _count("journal", done + found + harmless)


def _count(name: str, to: int | None = None) -> int:
    path = COUNTS / f"{name}.txt"
    if to is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{to}\n")
    return int(path.read_text()) if path.exists() else 0
