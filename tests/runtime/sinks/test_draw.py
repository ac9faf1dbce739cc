from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.arrays import UInt8Array
from runtime.outcome import BANNERS, ONE_PICTURE, Outcome
from runtime.sinks import draw
from runtime.sinks.draw import LONGEST, NARROWEST, draw_overlay, draw_vessels, fit_text
from runtime.sinks.palette import DARK_TEXT, OUTCOME_COLOURS, VESSEL_COLOUR, rgb
from tests.pictures import retina
from tests.runtime.sinks.readings import make_reading, vessel_cross


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.1)."""
    parts = [c / 255 for c in rgb(colour)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))


def test_the_text_can_be_read_on_every_outcome() -> None:
    for colour in OUTCOME_COLOURS.values():
        assert (luminance(colour) + 0.05) / (luminance(DARK_TEXT) + 0.05) >= 6


def test_every_outcome_has_a_colour_far_from_the_others_for_red_green_blind_eyes() -> None:
    assert set(OUTCOME_COLOURS) == set(Outcome)
    # Vienot, Brettel and Mollon 1999, linear RGB: what is left of a colour without long-wave cones.
    protan = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
    seen = {o: protan @ (np.array(rgb(c)) / 255) ** 2.2 for o, c in OUTCOME_COLOURS.items()}
    for one, other in itertools.combinations(seen.values(), 2):
        assert np.linalg.norm(one - other) > 0.25


@pytest.mark.parametrize("outcome", Outcome)
def test_the_bar_has_the_outcomes_colour_and_dark_text(outcome: Outcome) -> None:
    picture = draw_overlay(retina(0, 640, 480), make_reading(outcome=outcome, reason="too dark"))
    assert tuple(picture[0, 0]) == rgb(OUTCOME_COLOURS[outcome])
    bar = picture[: (picture.shape[0] - 480) // 2]
    assert (bar.sum(axis=2) < 150).any()


@pytest.mark.parametrize(
    ("width", "height", "fundus"),
    [(640, 480, (480, 640)), (2040, 2040, (1024, 1024)), (4000, 1000, (256, 1024)), (64, 64, (64, NARROWEST))],
)
def test_the_fundus_keeps_its_geometry_up_to_1024_pixels(width: int, height: int, fundus: tuple[int, int]) -> None:
    picture = draw_overlay(retina(0, width, height), make_reading())
    assert picture.dtype == np.uint8
    assert picture.shape[1] == fundus[1]
    assert fundus[0] < picture.shape[0] < fundus[0] + 190


def test_nothing_of_the_fundus_is_covered() -> None:
    pixels = retina(0, 640, 480)
    picture = draw_overlay(pixels, make_reading(vessels=None))
    found = [y for y in range(picture.shape[0] - 479) if np.array_equal(picture[y : y + 480], pixels)]
    assert len(found) == 1


def test_vessels_are_drawn_where_the_map_has_them() -> None:
    pixels = retina(0, 640, 480)
    drawn = draw_vessels(pixels, vessel_cross())
    changed = np.flatnonzero((drawn != pixels).any(axis=(0, 2)))
    # Columns 120 to 135 of 256 are 300 to 340 of 640.
    assert 296 <= changed.min() <= 302
    assert 337 <= changed.max() <= 343
    # The outline stands out; between its sides the vessel itself can still be seen.
    distance = np.abs(drawn[240].astype(int) - rgb(VESSEL_COLOUR)).max(axis=1)
    assert distance[296:344].min() < 40
    assert distance[310:330].min() > 100


def test_a_frame_without_pixels_has_a_picture_that_says_why() -> None:
    picture = draw_overlay(None, make_reading(outcome=Outcome.NO_RESULT, reason="truncated"))
    assert tuple(picture[0, 0]) == rgb(OUTCOME_COLOURS[Outcome.NO_RESULT])


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300), st.integers(12, 40), st.integers(120, 1024))
def test_any_text_fits_its_bar(text: str, size: int, width: int) -> None:
    from PIL import ImageFont

    lines, fitted = fit_text(text, size, width)
    assert 1 <= len(lines) <= 2
    assert fitted >= 11
    for line in lines:
        assert ImageFont.load_default(fitted).getlength(line) <= width


def test_any_size_and_any_name_gives_a_picture() -> None:
    for width, height in [(1, 1), (1, 3000), (3000, 1)]:
        pixels = np.zeros((height, width, 3), np.uint8)
        picture = draw_overlay(pixels, make_reading("\udcff\n" * 200, vessels=vessel_cross()))
        assert max(picture.shape) <= LONGEST + 200


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Outcome.REFER, BANNERS[Outcome.REFER]),
        (Outcome.NO_REFERRAL_FINDINGS, ONE_PICTURE),
        (Outcome.RETAKE, "Retake: image not gradable - too dark"),
        (Outcome.NO_RESULT, "No result - too dark"),
    ],
)
def test_a_pictures_headline_speaks_of_that_picture_alone(
    outcome: Outcome, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    strip = draw.text_strip

    def told(text: str, *rest: Any, **more: Any) -> UInt8Array:
        drawn.append(text)
        return strip(text, *rest, **more)

    monkeypatch.setattr(draw, "text_strip", told)
    draw_overlay(None, make_reading(outcome=outcome, reason="too dark"))
    assert drawn[1] == said
