"""`build_engines familiar` on tiny networks: from frames to a bundle that keeps their like and refuses other things."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from build_engines.__main__ import main
from build_engines.familiar.fit import FEWEST, fit
from runtime.bundle import open_bundle
from runtime.familiar import distances, open_familiar
from runtime.manifest import FAMILIAR
from runtime.preprocess import network_input
from runtime.quality import UNFAMILIAR
from runtime.screen.__main__ import main as screen
from runtime.structure import structure_faults
from tests.pictures import retina
from tests.runtime.engines.tiny import tiny_bundle


def write(folder: Path, name: str, picture: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    assert cv2.imwrite(str(folder / name), picture[..., ::-1])


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames") / "eyes"
    drawn = (retina(number) for number in itertools.count())
    whole = (one for one in drawn if not structure_faults(one, network_input(one)[0]))  # a few look put together
    for number, picture in enumerate(itertools.islice(whole, FEWEST + 5)):
        write(folder, f"{number:02}.png", picture)
    return folder


def outcomes(bundle: Path, source: Path, out: Path) -> list[tuple[str, str]]:
    assert screen([str(source), "--bundle", str(bundle), "--engine", "openvino", "--out", str(out)]) == 0
    readings = [json.loads(line) for line in (out / "readings.jsonl").read_text().splitlines()]
    return [(reading["outcome"], reading["reason"]) for reading in readings]


def test_from_the_command_to_the_reading(tmp_path: Path, frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tiny_bundle(tmp_path / "tiny")
    strange = tmp_path / "strange"
    write(strange, "pale.png", np.clip(retina(3).astype(int) + [40, 70, 20] * (retina(3) > 0), 0, 255).astype(np.uint8))
    before = outcomes(bundle.path, strange, tmp_path / "before")
    assert before[0][0] in ("REFER", "NO_REFERRAL_FINDINGS")
    assert main(["familiar", str(bundle.path), "--reference", f"drawn={frames}"]) == 0
    said = capsys.readouterr().out
    assert f"of {FEWEST + 5} frames kept" in said
    equipped = open_bundle(bundle.path)
    assert FAMILIAR in {entry.path for entry in equipped.manifest.files}
    assert open_familiar(equipped) is not None
    card = (equipped.path / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"of {FEWEST + 5}" in card
    assert "cannot see" in card
    assert {name for name, _ in outcomes(bundle.path, frames, tmp_path / "kept")} <= {"REFER", "NO_REFERRAL_FINDINGS"}
    assert outcomes(bundle.path, strange, tmp_path / "after") == [("RETAKE", UNFAMILIAR)]


def test_too_few_frames_are_refused_and_the_bundle_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tiny_bundle(tmp_path / "tiny")
    write(tmp_path / "few", "a.png", retina(0))
    before = (bundle.path / "manifest.json").read_bytes()
    assert main(["familiar", str(bundle.path), "--reference", f"drawn={tmp_path / 'few'}"]) == 2
    assert f"got 1 gradable frames, needed {FEWEST}" in capsys.readouterr().err
    assert (bundle.path / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("wrong", [["--reference", "drawn"], ["--reference", "a=b", "--frames", "0"]])
def test_a_wrong_call_is_one_line(tmp_path: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tiny_bundle(tmp_path / "tiny")
    assert main(["familiar", str(bundle.path), *wrong]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_fit_knows_its_own_kind_and_no_other() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(4, 60))

    def kind(count: int, shift: float) -> np.ndarray:
        return np.exp(rng.normal(size=(count, 4)) @ mixing * 0.1 + rng.normal(size=(count, 60)) * 0.02 + shift).astype(
            np.float32
        )

    fitted = fit(kind(200, 0.0))
    own, other = distances(kind(100, 0.0), fitted), distances(kind(100, 0.5), fitted)
    assert own.mean() < 10
    assert other.min() > 3 * own.max()


def test_a_channel_that_never_varies_does_no_harm() -> None:
    encoded = np.ones((60, 10), np.float32)
    encoded[:, 0] = np.linspace(0, 1, 60)
    fitted = fit(encoded)
    assert np.isfinite(distances(encoded, fitted)).all()
