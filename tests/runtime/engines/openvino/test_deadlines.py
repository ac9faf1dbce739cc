"""A frame that is broken off anywhere in the networks leaves nothing behind for the next one."""

from __future__ import annotations

import random
import time

import numpy as np
import pytest

from runtime.budget import Deadline
from runtime.bundle import open_bundle
from runtime.engines.openvino.engine import OpenVINOEngine
from runtime.errors import DeadlineMissed

TRIES = 80


@pytest.mark.parametrize("threads", [1, 2])
def test_after_late_frames_each_result_is_its_own_frames(threads: int) -> None:
    generator = random.Random(threads)
    images = np.random.default_rng(1).integers(0, 255, (3, 1, 256, 256, 3)).astype(np.uint8)
    late = 0
    with OpenVINOEngine(open_bundle(), {"segmentation": "int8", "classifier": "int8"}, threads) as engine:
        expected, took_ms = [], []
        for image in [*images, *images]:
            start = time.perf_counter()
            found = engine.infer(image)
            took_ms.append((time.perf_counter() - start) * 1e3)
            expected.append((found.vessels.copy(), found.logits.copy()))
        for _ in range(TRIES):
            index = generator.randrange(len(images))
            try:
                within_ms = generator.uniform(0.1, 1.5 * min(took_ms[-6:]))
                engine.infer(images[index], deadline=Deadline.after_ms(within_ms))
            except DeadlineMissed:
                late += 1
            index = generator.randrange(len(images))
            start = time.perf_counter()
            found = engine.infer(images[index])
            took_ms.append((time.perf_counter() - start) * 1e3)  # of now: the machine may have more time than before
            np.testing.assert_array_equal(found.vessels, expected[index][0])
            np.testing.assert_array_equal(found.logits, expected[index][1])
    assert late > TRIES / 10
