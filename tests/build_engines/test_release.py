"""`docs/release-a-model.md`, run as it stands: every command of it, in its order, on a network of a few weights."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from datetime import date, timedelta
from pathlib import Path

import cv2
import pytest
import torch

from build_engines.segimgnet import SegImgNet
from build_engines.segimgnet.checkpoint import save_checkpoint
from runtime.bundle import open_bundle
from runtime.trust.drift import REFERENCE
from runtime.trust.selftest import SELF_TEST
from tests.build_engines.test_bundle import TINY
from tests.pictures import retina

PAGE = Path(__file__).parents[2] / "docs" / "release-a-model.md"
ORDER = (
    *("describe", "describe", "MODEL", "create", "BUNDLE", "report", "evaluate", "trust", "sign", "sign", "screen"),
    "describe",
)
PHOTOS, TESTED = 40, 8


def commands() -> list[list[str]]:
    """The page's commands as words."""
    blocks = re.findall(r"```release\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.strip().splitlines()]


def verb(words: list[str]) -> str:
    assert words[:2] == ["python", "-m"]
    if words[2] == "runtime.screen":
        return "screen"
    return {"model.pth": "MODEL", "bundle": "BUNDLE"}.get(words[3], words[3])


def test_the_order_is_the_one_that_works() -> None:
    """What changes the bundle comes before its signature, and what needs frames after they were chosen."""
    assert tuple(verb(words) for words in commands()) == ORDER


def prepare(folder: Path) -> None:
    """All that the page says you have."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    torch.manual_seed(0)
    save_checkpoint(SegImgNet(TINY, classes=2, layer_scale=0.5).eval(), folder / "model.pth")
    for name, first, count in (("photos", 0, PHOTOS), ("test", 1000, TESTED)):
        (folder / name).mkdir()
        for number in range(count):
            picture = retina(first + number, 640, 480)
            assert cv2.imwrite(str(folder / name / f"{number}.png"), picture[..., ::-1])
    rows = [f"{number}.png,{number % 2},i{number // 2},{'LR'[number % 2]}" for number in range(TESTED)]
    (folder / "test" / "table.csv").write_text("\n".join(["image,refer,infant,eye", *rows]) + "\n")
    (folder / "keys").mkdir()
    for name in ("maker", "site"):
        key = Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{name}.pem").write_bytes(private)
        (folder / f"{name}.pem").chmod(0o600)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        (folder / "keys" / f"{name}.pem").write_bytes(public)
    today = date.today()
    days = {"issued": today.isoformat(), "expires": (today + timedelta(days=30)).isoformat()}
    (folder / "profile.json").write_text(json.dumps({"schema": "rop.site/1", "site": "Example", **days}))


@pytest.mark.soak
def test_the_page_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    prepare(tmp_path)
    for words in commands():
        main = importlib.import_module(f"{words[2]}.__main__").main
        assert main(words[3:]) == 0, " ".join(words)
        if "template.json" in words:
            text = (tmp_path / "template.json").read_text(encoding="utf-8").replace("REPLACE", "stated")
            # Low enough for a network of random weights to refer the self-test's frames, as a site with keys asks.
            text = text.replace('"refer_threshold": 0.5', '"refer_threshold": 0.05')
            (tmp_path / "model.json").write_text(text, encoding="utf-8")
    bundle = open_bundle(tmp_path / "bundle")
    names = {entry.path for entry in bundle.manifest.files}
    assert {SELF_TEST, REFERENCE, "classifier.int8.onnx"} <= names
    assert (tmp_path / "bundle" / "manifest.sig").is_file()
    assert "not stated" in (tmp_path / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    readings = (tmp_path / "screened" / "readings.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(readings) == PHOTOS
    assert json.loads(readings[0])["trust"]["bundle"]["state"] == "signed"
    evaluation = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text(encoding="utf-8"))
    assert [each["by_hash"] for each in evaluation["overlaps"]] == [[], []]
