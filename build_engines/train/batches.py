"""From samples to tensors: layout, scale, and making the next batch while the present one trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from runtime.arrays import FloatArray

T = TypeVar("T")


def to_images(batch: Tensor) -> Tensor:
    """uint8 RGB [N, H, W, 3] to float [N, 3, H, W] in [0, 1], exactly as the exported graph does it."""
    return (batch.to(torch.float32) / 255.0).permute(0, 3, 1, 2).contiguous()


def to_masks(masks: Sequence[FloatArray]) -> Tensor:
    """Masks float32 [H, W] to one tensor [N, 1, H, W]."""
    return torch.from_numpy(np.stack(masks)[:, np.newaxis].astype(np.float32))


def half_precision() -> torch.autocast:
    """Forward passes in bfloat16, weights and losses in float32: a step takes a third of the time on a CPU that has it.

    With channels-last tensors, without which the convolutions are rearranged at every layer.
    """
    return torch.autocast("cpu", dtype=torch.bfloat16)


def prefetch(make: Callable[[int], T], start: int, stop: int) -> Iterator[T]:
    """`make(start)` to `make(stop - 1)`, each made in a thread while the one before is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="batch") as pool:
        following = pool.submit(make, start)
        for index in range(start, stop):
            ready = following.result()
            if index + 1 < stop:
                following = pool.submit(make, index + 1)
            yield ready
