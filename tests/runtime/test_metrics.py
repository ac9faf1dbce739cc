from __future__ import annotations

import numpy as np
import pytest

from runtime.metrics import dice, roc_auc


@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.float32, 1)])
def test_dice_of_known_overlaps(dtype: type[np.generic], full: float) -> None:
    all_of_it, none = np.full((4, 4), full, dtype), np.zeros((4, 4), dtype)
    half = all_of_it.copy()
    half[:2] = 0
    assert (dice(all_of_it, all_of_it), dice(all_of_it, none), dice(none, none)) == (1, 0, 1)
    assert dice(all_of_it, half) == pytest.approx(2 * 8 / 24)


def test_maps_are_cut_at_half_of_their_scale() -> None:
    levels = np.array([127, 128], np.uint8)
    assert dice(levels, np.array([0, 255], np.uint8)) == 1
    assert dice(levels, levels.astype(np.float32) / 255) == 1
    assert dice(np.array([np.nan, 1], np.float32), np.array([0, 1], np.float32)) == 1


def test_auc_of_known_orders() -> None:
    assert roc_auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True]) == 0.75
    assert roc_auc([0.5, 0.5], [True, False]) == 0.5
    assert roc_auc([0.5, 0.6], [True, True]) is None
