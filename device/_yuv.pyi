import numpy as np
from numpy.typing import NDArray

def convert(
    data: NDArray[np.uint8],
    out: NDArray[np.uint8],
    sizes: tuple[int, int, int, int, int, bool],
    weights: tuple[int, ...],
    /,
) -> None: ...
