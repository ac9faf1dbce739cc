from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration import CalibrationError, CalibrationSet, open_set
from calibration.facts import SET_FILE
from calibration.opened import digest
from runtime.bundle import open_bundle


def rewrite(made: CalibrationSet, change: Callable[[dict[str, Any]], object], *, resealed: bool = False) -> None:
    """Change `set.json`; `resealed` makes its SHA-256 fit again, as only someone who means it would."""
    path = made.path / SET_FILE
    content = json.loads(path.read_text())
    change(content)
    if resealed:
        content["sha256"] = digest(content)
    path.write_text(json.dumps(content))


def test_frames_are_what_the_networks_see(made: CalibrationSet, photos: Path) -> None:
    from device.cameras.files import decode
    from device.frame import Frame
    from runtime.preprocess import network_input

    frames = made.frames()
    assert frames.shape == (12, 256, 256, 3)
    assert frames.dtype == np.uint8
    sources = {}
    for path in photos.iterdir():
        pixels = decode(path)
        sources[Frame(pixels, 0, "").sha256] = network_input(pixels)[0]
    for facts, pixels in zip(made.facts.frames, frames, strict=True):
        assert np.array_equal(pixels, sources[facts.pixels_sha256])


def test_opened_again_it_is_the_same(made: CalibrationSet) -> None:
    again = open_set(str(made.path))
    assert again.facts == made.facts
    assert again.sha256 == made.sha256


@pytest.mark.parametrize("number", [0, 5, 11])
def test_a_flipped_bit_in_a_frame_is_seen(made: CalibrationSet, number: int) -> None:
    path = made.path / made.facts.frames[number].file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CalibrationError, match=rf"{path.name} was altered: SHA-256 .*expected .*copy the set again"):
        open_set(made.path)
    with pytest.raises(CalibrationError, match="was altered"):
        made.frames()


def test_two_frames_that_changed_places_are_seen(made: CalibrationSet) -> None:
    first, second = (made.path / f.file for f in made.facts.frames[:2])
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    with pytest.raises(CalibrationError, match=r"frame_0000\.png was altered"):
        open_set(made.path)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.update(seed=2),
        lambda c: c["frames"][3].update(device="Neo"),
        lambda c: c["frames"][3]["features"].update(detail=2.0),
        lambda c: c["frames"].pop(),
        lambda c: c["bundle"].update(name="other"),
        lambda c: c["population"]["devices"].update(Neo=1),
        lambda c: c.update(sha256="0" * 64),
    ],
)
def test_any_altered_word_is_seen(made: CalibrationSet, change: Callable[[dict[str, Any]], object]) -> None:
    rewrite(made, change)
    with pytest.raises(CalibrationError, match=r"set\.json was altered since it was made"):
        open_set(made.path)


def test_truncated(made: CalibrationSet) -> None:
    path = made.path / SET_FILE
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CalibrationError, match=r"truncated or not JSON .*copy the set again"):
        open_set(made.path)


def test_truncated_and_missing_frames(made: CalibrationSet) -> None:
    path = made.path / "frame_0002.png"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CalibrationError, match=r"frame_0002\.png was altered"):
        open_set(made.path)
    path.unlink()
    with pytest.raises(CalibrationError, match=r"frame_0002\.png cannot be read \(No such file"):
        open_set(made.path)


def test_newer_schema(made: CalibrationSet) -> None:
    rewrite(made, lambda c: c.update(schema="rop.calibration/2"), resealed=True)
    expected = r"schema is 'rop.calibration/2', this version reads 'rop.calibration/1'; create the set"
    with pytest.raises(CalibrationError, match=expected):
        open_set(made.path)


def test_other_preprocessing(made: CalibrationSet) -> None:
    rewrite(made, lambda c: c["input"].update(width=512, color="BGR"), resealed=True)
    expected = r"made for other preprocessing: width 512, color 'BGR', expected width 256, color 'RGB'"
    with pytest.raises(CalibrationError, match=expected):
        open_set(made.path)


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda c: c["frames"][0].update(file="../../secret.png"), r"frames\.0\.file"),
        (lambda c: c["frames"][0].update(file=c["frames"][1]["file"]), "a file is listed twice"),
        (lambda c: c["frames"][0]["features"].pop("detail"), "a frame lacks features"),
        (lambda c: c["population"]["features"]["detail"].pop(), "different numbers of values"),
        (lambda c: c.update(extra=1), "extra"),
        (lambda c: c.update(seed="1"), "seed"),
        (lambda c: c.update(covering_distance=float("nan")), "NaN is not a number"),
        (lambda c: c.pop("bundle"), "bundle"),
        (lambda c: c.update(frames=[]), "frames"),
    ],
)
def test_what_cannot_be_a_set_is_refused(
    made: CalibrationSet, change: Callable[[dict[str, Any]], object], where: str
) -> None:
    rewrite(made, change, resealed=True)
    with pytest.raises(CalibrationError, match=where):
        open_set(made.path)


def test_a_frame_of_another_size_is_refused(made: CalibrationSet) -> None:
    from runtime.sinks.picture import encode

    content = encode(np.zeros((128, 256, 3), np.uint8), ".png")
    (made.path / "frame_0000.png").write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    rewrite(made, lambda c: c["frames"][0].update(sha256=sha256), resealed=True)
    with pytest.raises(CalibrationError, match=r"frame_0000.png is RGB 256 x 128, expected RGB 256 x 256"):
        open_set(made.path).frames()


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"[" * 100_000, b'{"schema": []}', b"\xff\xfe"])
def test_anything_else_is_no_set(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SET_FILE).write_bytes(content)
    with pytest.raises(CalibrationError):
        open_set(tmp_path)


def test_no_set_at_all(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="expected a folder that `python -m calibration create` made"):
        open_set(tmp_path / "nothing")


def test_a_set_moved_elsewhere_opens(made: CalibrationSet, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.move(made.path, moved)
    assert open_set(moved).sha256 == made.sha256


def test_a_set_belongs_to_its_bundle(made: CalibrationSet) -> None:
    bundle = open_bundle()
    made.require_for(bundle)
    renamed = replace(bundle, manifest=bundle.manifest.model_copy(update={"name": "site-7", "version": "9"}))
    made.require_for(renamed)  # the same segmentation graph, so the same densities
    entries = tuple(e.model_copy(update={"sha256": "0" * 64}) for e in bundle.manifest.files)
    rebuilt = replace(bundle, manifest=bundle.manifest.model_copy(update={"files": entries}))
    made.require_for(rebuilt)  # the same name
    other = replace(renamed, manifest=renamed.manifest.model_copy(update={"files": entries}))
    with pytest.raises(CalibrationError, match=r"made with bundle demonstration-edge 4, expected site-7; make a set"):
        made.require_for(other)
