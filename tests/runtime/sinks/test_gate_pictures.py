"""Pictures of gates: the frame's own geometry, the whole scale, and words that claim no more than they show."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from device.frame import Frame
from runtime.explanation import Explanation
from runtime.sinks.draw_gates import draw_each_gate, draw_explanation, draw_gates
from runtime.sinks.gates import GatesSink
from runtime.sinks.names import FrameNames
from tests.pictures import retina
from tests.runtime.sinks.readings import make_reading

GATES = tuple(np.full((side, side), 0.5, np.float32) for side in (64, 32, 16, 8))


def explanation(**changes: object) -> Explanation:
    return Explanation(**{"gates": GATES, "log_odds": 1.0, "base": 0.2, "raw_share": 0.3, "seg_share": 0.5} | changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(480, 640), (64, 64), (2040, 2040), (201, 333)])
def test_the_heat_lies_over_the_frame_and_keeps_its_size(size: tuple[int, int]) -> None:
    pixels = np.asarray(cv2.resize(retina(), size[::-1]), np.uint8)
    drawn = draw_gates(pixels, GATES)
    assert drawn.shape == pixels.shape
    assert drawn.dtype == np.uint8


def test_the_scale_is_whole_and_not_stretched() -> None:
    pixels = np.full((100, 100, 3), 128, np.uint8)
    faint, strong = (draw_gates(pixels, (np.full((8, 8), value, np.float32),) * 4) for value in (0.1, 0.9))
    assert strong.mean() > faint.mean() + 20
    assert (faint == faint[0, 0]).all()


def test_the_gate_of_a_corner_is_drawn_in_that_corner() -> None:
    gate = np.zeros((8, 8), np.float32)
    gate[0, 7] = 1
    drawn = draw_gates(np.zeros((200, 300, 3), np.uint8), (gate,) * 4).sum(axis=2)
    assert np.unravel_index(drawn.argmax(), drawn.shape) >= (0, 260)
    assert drawn[5, 290] > drawn[190, 10] + 50


@pytest.mark.parametrize("occlusion", [None, np.full((8, 8), np.nan, np.float32), np.eye(8, dtype=np.float32)])
def test_the_whole_picture_is_drawn(occlusion: np.ndarray | None) -> None:
    drawn = draw_explanation(retina(), explanation(occlusion=occlusion), "not for clinical use")
    assert drawn.dtype == np.uint8
    assert drawn.shape[0] > drawn.shape[1] // 2


def test_each_gate_is_a_frame_of_its_own() -> None:
    shut, wide = np.zeros((8, 8), np.float32), np.ones((8, 8), np.float32)
    drawn = draw_each_gate(np.full((120, 160, 3), 128, np.uint8), (shut, wide, shut, wide))
    height, width = drawn.shape[0] // 2, drawn.shape[1] // 2
    left, right = drawn[:100, :width].mean(), drawn[:100, width:].mean()
    assert right > left + 20
    below_left, below_right = drawn[height : height + 100, :width].mean(), drawn[height : height + 100, width:].mean()
    assert below_right > below_left + 20


def test_a_file_for_each_reading_that_has_one_and_for_no_other(tmp_path: Path) -> None:
    sink = GatesSink(tmp_path / "gates", FrameNames())
    frame = Frame(retina(), 0, "a.png")
    reading = make_reading("a.png")
    sink.write(frame, replace(reading, explanation=explanation()))
    sink.write(frame, reading)
    sink.write(None, reading)
    sink.close()
    (path,) = (tmp_path / "gates").iterdir()
    assert cv2.imread(str(path)) is not None
