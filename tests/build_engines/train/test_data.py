from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from build_engines.errors import TrainingDataError
from build_engines.train.augment import augment
from build_engines.train.data import load_canvas, ridge_frames, split_frames, vessel_frames
from build_engines.train.datasets import training_sets


def test_missing_data_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"no .*labels.csv; expected the data sets .*hvdropdb_vessels"):
        vessel_frames(tmp_path)


@pytest.mark.data
def test_no_group_stands_on_both_sides(data_root: Path) -> None:
    frames = (*vessel_frames(data_root), *ridge_frames(data_root))
    split = split_frames(frames)
    assert not {f.group for f in split.train} & {f.group for f in split.held_out}
    assert len(split.train) + len(split.held_out) == len(frames)
    assert 0.1 < len(split.held_out) / len(frames) < 0.3


@pytest.mark.data
def test_ridge_labels_follow_the_tables(data_root: Path) -> None:
    frames = ridge_frames(data_root)
    assert len({f.group for f in frames}) == len(frames)
    assert all((f.dataset == "hvdropdb_ridge") == f.ridge_in_view for f in frames)
    assert all((f.ridge_mask is not None) == f.ridge_in_view for f in frames)
    assert sum(f.ridge_in_view for f in frames) == 84


@pytest.mark.data
def test_augmentation_repeats_with_its_seed_and_moves_mask_with_image(data_root: Path) -> None:
    canvas = load_canvas(vessel_frames(data_root)[0])
    first, second = augment(canvas, np.random.default_rng(3)), augment(canvas, np.random.default_rng(3))
    other = augment(canvas, np.random.default_rng(4))
    assert np.array_equal(first.image, second.image)
    assert not np.array_equal(first.image, other.image)
    assert first.image.shape == (256, 256, 3)
    assert first.masks["vessels"].shape == (256, 256)
    # Vessels are drawn inside the field, wherever the camera pose put both.
    inside = first.image.max(axis=2)[first.masks["vessels"] > 0.9] > 10
    assert inside.mean() > 0.95


@pytest.mark.data
def test_every_set_trained_on_is_cited(data_root: Path) -> None:
    sets = training_sets([*vessel_frames(data_root), *ridge_frames(data_root)])
    assert {s.name for s in sets} >= {"hvdropdb_vessels", "hrf", "chase_db1", "fives_amd20", "hvdropdb_ridge"}
    assert all(s.citation and s.licence == "CC BY 4.0" and s.source.startswith("https://") for s in sets)
