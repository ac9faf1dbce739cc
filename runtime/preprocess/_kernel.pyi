import numpy as np
from numpy.typing import NDArray

from runtime.arrays import UInt8Array

_Weights = tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]

def resize(
    pixels: UInt8Array, out: UInt8Array, sizes: tuple[int, int, int], across: _Weights, down: _Weights, /
) -> None: ...
