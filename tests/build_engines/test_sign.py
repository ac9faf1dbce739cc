from __future__ import annotations

import json
import shutil
import subprocess
from datetime import date, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from build_engines.__main__ import main
from device.errors import CalibrationInvalid
from device.light import load_calibration
from device.signature import NoSignature, signed_by
from runtime.bundle import open_bundle
from runtime.plans import find_plan
from runtime.trust.keys import read_trusted_keys
from runtime.trust.site import MANIFEST_SIGNATURE, PLAN_SIGNATURE, open_site, watched
from tests.device.light.lab import calibration
from tests.runtime.conftest import manifest_content
from tests.runtime.engines.tensorrt.fake_plans import KEY, write_plans
from tests.runtime.trust.conftest import profile_content, public_pem

FILES = {"segmentation.fp32.onnx": b"segmentation graph", "classifier.fp32.onnx": b"classifier graph"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle of stand-in graphs."""
    path = tmp_path / "bundle"
    path.mkdir()
    for name, content in FILES.items():
        (path / name).write_bytes(content)
    (path / "manifest.json").write_text(json.dumps(manifest_content(FILES)))
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """The maker's private key; `keys/maker.pem` is the public one."""
    made = Ed25519PrivateKey.generate()
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "maker.pem").write_bytes(public_pem(made))
    path = tmp_path / "KEY.pem"
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def sign(*arguments: object) -> int:
    return main(["sign", *map(str, arguments)])


def test_a_signed_bundle_passes_at_a_site_that_trusts_the_key(folder: Path, key: Path, tmp_path: Path) -> None:
    assert sign(folder, "--key", key) == 0
    found = open_site(trusted_keys=tmp_path / "keys").check_bundle(open_bundle(folder))
    assert (found.state, found.by) == ("signed", "maker")


def test_a_signed_plan_passes_and_the_bundle_stays_unsigned(folder: Path, key: Path, tmp_path: Path) -> None:
    plan = write_plans(open_bundle(folder), {"segmentation": b"s", "classifier": b"c"})
    assert sign(plan, "--key", key) == 0
    assert (plan / PLAN_SIGNATURE).is_file()
    assert not (folder / MANIFEST_SIGNATURE).exists()
    site = open_site(trusted_keys=tmp_path / "keys")
    find_plan(watched(open_bundle(folder), site.check_plan, lambda *_: None), KEY)


def test_a_signed_profile_is_a_file_of_its_own(key: Path, tmp_path: Path) -> None:
    profile, out = tmp_path / "profile.json", tmp_path / "profile.signed"
    profile.write_text(json.dumps(profile_content(retakes=2), indent=2))
    assert sign(profile, "--key", key, "--out", out) == 0
    site = open_site(out, tmp_path / "keys")
    assert site.profile is not None
    assert (site.profile.retakes, site.profile_by) == (2, "maker")


def test_openssl_agrees_with_the_signature(folder: Path, key: Path, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    assert sign(folder, "--key", key) == 0
    line = json.loads((folder / MANIFEST_SIGNATURE).read_text())
    (tmp_path / "raw.sig").write_bytes(bytes.fromhex(line["ed25519"]))
    public = tmp_path / "keys" / "maker.pem"
    command: list[str | Path] = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin"]
    command += ["-in", folder / "manifest.json"]
    result = subprocess.run([*command, "-sigfile", tmp_path / "raw.sig"], capture_output=True, text=True, check=False)
    assert "Signature Verified Successfully" in result.stdout


def test_a_key_made_as_the_help_says_can_be_used(folder: Path, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    private, public = tmp_path / "made.pem", tmp_path / "keys" / "anna.pem"
    public.parent.mkdir()
    commands: list[list[str | Path]] = [
        ["genpkey", "-algorithm", "ed25519", "-out", private],
        ["pkey", "-in", private, "-pubout", "-out", public],
    ]
    for command in commands:
        subprocess.run(["openssl", *command], capture_output=True, check=True)
    assert sign(folder, "--key", private) == 0
    assert open_site(trusted_keys=public.parent).check_bundle(open_bundle(folder)).by == "anna"


def test_a_damaged_bundle_is_not_signed(folder: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "classifier.fp32.onnx").write_bytes(b"classifier gropH")
    assert sign(folder, "--key", key) == 2
    assert "was altered" in capsys.readouterr().err
    assert not (folder / MANIFEST_SIGNATURE).exists()


def _encrypted() -> bytes:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "not a private key in PEM"),
        (_encrypted(), "is encrypted"),
        (
            X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            "expected an Ed25519 private key",
        ),
        (public_pem(Ed25519PrivateKey.generate()), "not a private key in PEM"),
    ],
)
def test_a_key_that_cannot_sign_is_refused_with_how_to_make_one(
    folder: Path, tmp_path: Path, content: bytes, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.pem").write_bytes(content)
    assert sign(folder, "--key", tmp_path / "bad.pem") == 2
    error = capsys.readouterr().err
    assert expected in error
    assert "openssl" in error
    assert "Traceback" not in error


def test_wrong_calls_say_what_to_do(
    folder: Path, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = tmp_path / "profile.json"
    expired = (date.today() - timedelta(days=9)).isoformat()
    profile.write_text(json.dumps(profile_content(expires=expired)))
    for arguments, expected in (
        ((folder, "--key", tmp_path / "nowhere.pem"), "cannot be read"),
        ((folder, "--key", key, "--out", tmp_path / "x"), "leave it out"),
        ((profile, "--key", key), "name the signed file with --out"),
        ((tmp_path / "nothing", "--key", key, "--out", tmp_path / "x"), "name what is to be signed"),
        ((profile, "--key", key, "--out", tmp_path / "x"), "before issued"),
        ((tmp_path, "--key", key), "cannot be read"),
    ):
        assert sign(*arguments) == 2
        assert expected in capsys.readouterr().err
    profile.write_text(json.dumps(profile_content()))
    assert sign(profile, "--key", key, "--out", profile) == 2
    assert "is the file itself" in capsys.readouterr().err


def test_no_other_spelling_of_a_signature_is_taken(folder: Path, key: Path) -> None:
    assert sign(folder, "--key", key) == 0
    body, line = (folder / "manifest.json").read_bytes(), (folder / MANIFEST_SIGNATURE).read_bytes()
    public = bytes.fromhex(json.loads(line)["key"])
    assert signed_by(body, line, {public}) == public
    for other in (line.rstrip(), line + b"\n", line.upper(), line.replace(b", ", b","), b"[]", b"1", b"", b"\xff"):
        with pytest.raises(NoSignature):
            signed_by(body, other, {public})


def test_a_signed_light_calibration_is_taken_with_the_same_keys_as_a_bundle(
    key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, out = tmp_path / "board.json", tmp_path / "board.calibration"
    content.write_text(json.dumps(calibration().model_dump(mode="json", by_alias=True), indent=1))
    assert sign(content, "--out", out, "--key", key) == 0
    keys = read_trusted_keys(tmp_path / "keys").public
    assert load_calibration(out, board_id=0x51D, trusted_keys=keys, today=date(2026, 6, 1)) == calibration()
    out.write_bytes(out.read_bytes().replace(b"Test laboratory", b"Best laboratory"))
    with pytest.raises(CalibrationInvalid):
        load_calibration(out, board_id=0x51D, trusted_keys=keys, today=date(2026, 6, 1))
    content.write_text(content.read_text().replace('"limit": 10.0', '"limit": -1'))
    assert sign(content, "--out", out, "--key", key) == 2
    assert "hazards.0.limit" in capsys.readouterr().err


def test_a_bundle_is_numbered_as_it_is_signed_and_never_backwards(
    folder: Path, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sign(folder, "--key", key, "--issue", 5) == 0
    bundle = open_bundle(folder)
    assert bundle.manifest.issue == 5
    assert open_site(trusted_keys=tmp_path / "keys").check_bundle(bundle).state == "signed"
    for wrong in (4, 0, -1, 2**31):
        assert sign(folder, "--key", key, "--issue", wrong) == 2
        assert f"--issue: got {wrong}, expected a number from 5 on" in capsys.readouterr().err
    assert open_bundle(folder).sha256 == bundle.sha256
    assert sign(key, "--key", key, "--out", tmp_path / "x", "--issue", 5) == 2
    assert "--issue: is for a bundle" in capsys.readouterr().err
