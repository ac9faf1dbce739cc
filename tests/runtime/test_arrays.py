"""What is no picture is refused in words, by compiled and plain code alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import runtime.gate
import runtime.preprocess
from runtime.arrays import require_rgb
from runtime.gate import gate_measures, structure_measures
from runtime.preprocess import network_input

PICTURE = np.zeros((256, 256, 3), np.uint8)
WRONG = {
    "int8": PICTURE.view(np.int8),
    "bool": PICTURE.astype(bool),
    "uint16 of as many bytes": np.zeros((256, 128, 3), np.uint16),
    "float32": PICTURE.astype(np.float32),
    "planes": PICTURE.transpose(2, 0, 1),
    "flat": PICTURE.ravel(),
    "four channels": np.zeros((256, 192, 4), np.uint8),
    "empty": np.zeros((0, 256, 3), np.uint8),
}
TAKERS: dict[str, Callable[[Any], object]] = {
    "gate": gate_measures,
    "structure": lambda picture: structure_measures(picture, PICTURE),
    "structure of the network's": lambda picture: structure_measures(PICTURE, picture),
    "network input": network_input,
}


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "plain"])
@pytest.mark.parametrize("take", TAKERS.values(), ids=TAKERS)
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_what_is_no_picture_is_refused(
    wrong: Any, take: Callable[[Any], object], compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        for module in (runtime.gate, runtime.preprocess):
            monkeypatch.setattr(module, "_kernel", None)
    with pytest.raises(ValueError, match=r"^got .*, expected uint8 \[\w+, \w+, 3\] RGB, not empty$"):
        take(wrong)


def test_another_size_than_the_networks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got uint8 \[512, 128, 3\], expected uint8 \[256, 256, 3\]"):
        gate_measures(np.zeros((512, 128, 3), np.uint8))
    require_rgb(np.zeros((512, 128, 3), np.uint8))


def test_a_very_tall_picture_of_odd_strides_takes_no_longer() -> None:
    tall = np.broadcast_to(np.arange(256, dtype=np.uint8)[:1, None, None], (100_000, 1, 3))
    assert np.array_equal(network_input(tall), network_input(np.ascontiguousarray(tall)))
