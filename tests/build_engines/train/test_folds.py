from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from build_engines.errors import TrainingDataError
from build_engines.segimgnet import NetworkSize, SegImgNet, UNet
from build_engines.train.calibrate import (
    apply_temperature,
    calibration_error,
    fit_temperature,
    margins,
    reliability,
    tempered,
)
from build_engines.train.classification import Scores
from build_engines.train.curve import share_of
from build_engines.train.data import TrainingFrame
from build_engines.train.folds import cross_validate, fold_split
from build_engines.train.run import judged
from build_engines.train.settings import PhaseSettings

TINY = NetworkSize("tiny", (4, 4, 4, 4, 4), (4, 4, 4, 4), (1, 1, 1, 1), 4)


def frames(count: int, positive: int) -> list[TrainingFrame]:
    return [
        TrainingFrame("hvdropdb_ridge", "Neo", f"group_{i // 2}", Path(f"{i}.png"), ridge_in_view=i < positive)
        for i in range(count)
    ]


@given(count=st.integers(1, 80), folds=st.integers(2, 7))
def test_every_frame_is_held_out_once_and_no_group_is_on_both_sides(count: int, folds: int) -> None:
    all_frames = frames(count, 3)
    held: list[TrainingFrame] = []
    for fold in range(folds):
        split = fold_split(all_frames, fold, folds)
        assert {f.group for f in split.train} & {f.group for f in split.held_out} == set()
        assert len(split.train) + len(split.held_out) == count
        held += split.held_out
    assert sorted(f.image for f in held) == sorted(f.image for f in all_frames)


def test_a_fold_of_one_class_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"fold 1 of 5: .* are all of one class; take fewer folds"):
        cross_validate(frames(12, 0), UNet(TINY), TINY, PhaseSettings(1, 1, 1e-3), 5, tmp_path, print)


@given(low=st.floats(0.05, 1), high=st.floats(0.05, 1))
def test_a_smaller_share_is_part_of_a_larger_one(low: float, high: float) -> None:
    low, high = sorted((low, high))
    assert {f.image for f in share_of(frames(40, 3), low)} <= {f.image for f in share_of(frames(40, 3), high)}
    assert len(share_of(frames(40, 3), 1.0)) == 40


@pytest.mark.parametrize("truth", [0.4, 1.0, 3.0])
def test_the_temperature_that_spoilt_probabilities_is_found(truth: float) -> None:
    rng = np.random.default_rng(3)
    honest = rng.uniform(0.02, 0.98, 20_000)
    positive = rng.random(20_000) < honest
    spoilt = tempered(honest, 1 / truth)  # its logits are `truth` times too large
    assert fit_temperature(spoilt, positive) == pytest.approx(truth, rel=0.05)
    mended = tempered(spoilt, fit_temperature(spoilt, positive))
    assert calibration_error(reliability(mended, positive)) < 0.02
    if truth != 1.0:
        assert calibration_error(reliability(spoilt, positive)) > 0.05


def test_no_temperature_from_one_class() -> None:
    with pytest.raises(ValueError, match="one class"):
        fit_temperature([0.2, 0.9], [1, 1])


def test_a_temperature_in_the_weights_is_the_one_of_the_probabilities() -> None:
    torch.manual_seed(0)
    network = SegImgNet(TINY).eval()
    image = torch.rand(2, 3, 256, 256)
    with torch.no_grad():
        before = network(image)[1].probabilities[:, 1].numpy()
        apply_temperature(network, 2.5)
        after = network(image)[1].probabilities[:, 1].numpy()
    assert margins(after) == pytest.approx(margins(before) / 2.5, abs=1e-5)


def test_reliability_counts_every_frame_once() -> None:
    bins = reliability([0.1, 0.9, 0.2, 0.8, 0.3], [0, 1, 0, 1, 1], bins=2)
    assert [found.frames for found in bins] == [3, 2]
    assert bins[0].stated == pytest.approx(0.2)
    assert bins[0].observed == pytest.approx(1 / 3)


def test_what_a_cross_validation_says() -> None:
    rng = np.random.default_rng(1)
    positive = (np.arange(200) % 2).astype(np.float32)
    probability = np.clip(0.5 + (positive - 0.5) * 0.4 + rng.normal(0, 0.15, 200), 0.01, 0.99).astype(np.float32)
    threshold, found = judged(Scores(probability, positive, ("Neo", "RetCam") * 100), 5)
    sensitivity = next(m for m in found.metrics if m.name == "sensitivity" and m.device == "all")
    assert sensitivity.value >= 0.9
    assert found.threshold_low - 0.01 < threshold <= found.threshold_low < found.threshold_high
    assert sum(part.frames for part in found.reliability) == 200
