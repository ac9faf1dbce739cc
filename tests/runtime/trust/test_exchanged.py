"""Files that somebody trusted signed, put where another one belongs: nothing is read with what is not its own."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from device.errors import DeviceError
from device.light.calibration import load_calibration, sign_calibration
from device.signature import signature_line
from runtime.bundle import open_bundle
from runtime.errors import ScreeningError
from runtime.plans import PLANS, find_plan
from runtime.trust.issues import WITHDRAWN_FILE, read_withdrawn
from runtime.trust.keys import TrustedKeys
from runtime.trust.profile import read_profile
from runtime.trust.site import MANIFEST_SIGNATURE, PLAN_SIGNATURE, Site, watched
from tests.device.light import lab
from tests.runtime.conftest import manifest_content
from tests.runtime.engines.tensorrt.fake_plans import KEY, both_plans, write_plans
from tests.runtime.trust.conftest import profile_content, sign

Write = Callable[..., Path]


@pytest.fixture
def trusted(key: Ed25519PrivateKey) -> TrustedKeys:
    return TrustedKeys({key.public_key().public_bytes_raw(): "maker"})


def signed_bundle(write_bundle: Write, to: Path, key: Ed25519PrivateKey, version: str) -> Path:
    """A bundle with a plan, both signed, whose graphs and plans are unlike any other version's."""
    made = write_bundle()
    files = {f"{name}.fp32.onnx": f"{name} graph {version}".encode() for name in ("segmentation", "classifier")}
    for name, content in files.items():
        (made / name).write_bytes(content)
    (made / "manifest.json").write_text(json.dumps(manifest_content(files) | {"version": version}))
    opened = open_bundle(made)
    folder = write_plans(opened, both_plans(opened))
    sign(folder / "plan.json", folder / PLAN_SIGNATURE, key)
    sign(made / "manifest.json", made / MANIFEST_SIGNATURE, key)
    return Path(shutil.move(made, to))


def used(folder: Path, trusted: TrustedKeys) -> tuple[str, ...]:
    """What a cart would read with of that folder. Raises what refuses it."""
    site = Site(trusted)
    opened = open_bundle(folder)
    site.check_bundle(opened)
    graphs = [opened.read(entry.path) for entry in opened.manifest.files]
    plan = find_plan(watched(opened, site.check_plan, lambda *_: None), KEY)
    return tuple(str(hash(part)) for part in (*graphs, *(plan.read(name) for name in plan.names)))


def files_of(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def test_any_files_of_another_signed_bundle_are_refused(
    tmp_path: Path, write_bundle: Write, key: Ed25519PrivateKey, trusted: TrustedKeys
) -> None:
    """Each one, each two (a manifest with its own signature lacks its graphs then), and the whole folder of plans."""
    one = signed_bundle(write_bundle, tmp_path / "one", key, "1")
    other = signed_bundle(write_bundle, tmp_path / "other", key, "2")
    whole, work = {used(one, trusted), used(other, trusted)}, tmp_path / "work"
    assert len(whole) == 2
    names = files_of(one)
    assert files_of(other) == names
    refused = 0
    plans = tuple(name for name in names if name.parts[0] == PLANS)
    assert len(plans) > 2
    for chosen in (*itertools.combinations(names, 1), *itertools.combinations(names, 2), plans):
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(one, work)
        for name in chosen:
            shutil.copyfile(other / name, work / name)
        try:
            assert used(work, trusted) in whole, chosen
        except (ScreeningError, DeviceError):
            refused += 1
    assert refused >= len(names)


def test_what_was_signed_as_one_thing_is_taken_for_no_other(
    tmp_path: Path, key: Ed25519PrivateKey, trusted: TrustedKeys
) -> None:
    """A profile for a list, a list for a light's calibration, ...: one key signs all of them."""
    listed = json.dumps({"schema": "rop.withdrawn/1", "issue": 1, "sha256": []}).encode() + b"\n"
    profile = json.dumps(profile_content()).encode() + b"\n"
    signed = {
        "profile": profile + signature_line(profile, key),
        "list": listed + signature_line(listed, key),
        "calibration": sign_calibration(lab.calibration(), key),
    }
    path = tmp_path / WITHDRAWN_FILE
    public = frozenset({key.public_key().public_bytes_raw()})
    uses: dict[str, Callable[[], object]] = {
        "profile": lambda: read_profile(path, trusted),
        "list": lambda: read_withdrawn(tmp_path, trusted),
        "calibration": lambda: load_calibration(path, board_id=lab.BOARD_ID, trusted_keys=public, today=lab.TODAY),
    }
    for (kind, content), (asked, use) in itertools.product(signed.items(), uses.items()):
        path.write_bytes(content)
        if kind == asked:
            use()
            continue
        with pytest.raises((ScreeningError, DeviceError)):
            use()
