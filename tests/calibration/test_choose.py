from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.choose import choose, feature_points
from calibration.facts import FEATURES
from calibration.gather import Usable


def covering(points: np.ndarray, chosen: tuple[int, ...]) -> float:
    """The largest distance of any point to its nearest chosen one, the plain way."""
    return max(min(float(np.linalg.norm(p - points[c])) for c in chosen) for p in points)


@given(
    st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=9),
    st.integers(0, 99),
    st.data(),
)
def test_the_cover_is_at_most_twice_the_best(places: list[tuple[int, int]], seed: int, data: st.DataObject) -> None:
    points = np.array(places, np.float64)
    count = data.draw(st.integers(1, len(points)))
    choice = choose(points, count, seed)
    assert len(set(choice.order)) == count
    assert choice.covering_distance == pytest.approx(covering(points, choice.order))
    best = min(covering(points, chosen) for chosen in combinations(range(len(points)), count))
    assert choice.covering_distance <= 2 * best + 1e-9
    for rank in range(1, count):
        before = points[list(choice.order[:rank])]
        nearest = np.linalg.norm(before - points[choice.order[rank]], axis=1).min()
        assert choice.distances[rank] == pytest.approx(nearest)


def test_wider_than_a_random_choice() -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(300, 5))
    chosen = choose(points, 40, 1).covering_distance
    by_chance = [covering(points, tuple(rng.permutation(300)[:40])) for _ in range(5)]
    assert chosen < 0.8 * min(by_chance)


@pytest.mark.parametrize("count", [0, 4])
def test_a_count_that_cannot_be(count: int) -> None:
    with pytest.raises(ValueError, match="expected 1 to 3"):
        choose(np.zeros((3, 2)), count, 0)


def usable(number: int, device: str, value: float) -> Usable:
    return Usable(number, "0" * 64, device, dict.fromkeys(FEATURES, value))


def test_features_weigh_alike_and_a_device_weighs_one() -> None:
    points = feature_points([usable(0, "a", 1.0), usable(1, "b", 1.0)])
    assert np.linalg.norm(points[0] - points[1]) == pytest.approx(1.0)
    points = feature_points([usable(i, "a", 1000.0 * i) for i in range(4)])
    assert points[:, : len(FEATURES)].std(axis=0) == pytest.approx(1.0)
