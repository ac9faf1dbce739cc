from __future__ import annotations

import numpy as np
import pytest

from calibration import CalibrationSet
from calibration.pictures import draw_histograms, draw_montage
from calibration.pictures.canvas import DEVICE_COLOURS, LINE
from calibration.pictures.histograms import _ticks
from runtime.sinks.picture import shrink


def holds(picture: np.ndarray, part: np.ndarray) -> bool:
    """Whether `part` stands in `picture` to the pixel."""
    rows, columns = part.shape[:2]
    first = (picture == part[rows // 2, 0]).all(axis=2)
    for y, x in zip(*np.nonzero(first), strict=True):
        top = y - rows // 2
        if top >= 0 and np.array_equal(picture[top : top + rows, x : x + columns], part):
            return True
    return False


def test_every_frame_is_in_the_montage(made: CalibrationSet) -> None:
    frames = made.frames()
    montage = draw_montage(made.facts, frames)
    for frame in frames:
        # The middle of the thumbnail: its black border is everywhere.
        assert holds(montage, shrink(frame, 112)[30:80, 30:80])


def test_devices_have_their_colours(made: CalibrationSet) -> None:
    half = [f.model_copy(update={"device": "Neo"}) for f in made.facts.frames[:5]]
    rest = [f.model_copy(update={"device": "RetCam"}) for f in made.facts.frames[5:]]
    facts = made.facts.model_copy(update={"frames": (*half, *rest), "devices": {"Neo": 5, "RetCam": 7}})
    for picture in (draw_histograms(facts), draw_montage(facts, made.frames())):
        for colour in DEVICE_COLOURS[:2]:
            assert (picture == colour).all(axis=2).sum() > 500


def test_bars_are_as_tall_as_their_shares(made: CalibrationSet) -> None:
    """All frames of one value make one bar of full height, and the line of all usable ones goes around it."""
    same = {name: tuple([0.5] * len(values)) for name, values in made.facts.population.features.items()}
    frames = tuple(f.model_copy(update={"features": dict.fromkeys(f.features, 0.5)}) for f in made.facts.frames)
    population = made.facts.population.model_copy(update={"features": same})
    picture = draw_histograms(made.facts.model_copy(update={"frames": frames, "population": population}))
    colour = (picture[104:404, 24:644] == DEVICE_COLOURS[0]).all(axis=2)
    assert colour.any(axis=0).sum() < 30
    assert colour.any(axis=1).sum() > 180
    assert (picture[104:404, 24:644] == LINE).all(axis=2).sum() > 100


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.398, 0.0034), (68.6, 223.0), (1e-6, 3e-6), (0.0, 9.99)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    ticks = _ticks(low, high)
    assert 4 <= len(ticks) <= 10
    assert all(low <= tick <= high for tick in ticks)
