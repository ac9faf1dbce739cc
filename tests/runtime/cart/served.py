"""A quick cart in a process of its own, to be killed: `python -m tests.runtime.cart.served FOLDER PORT [LOST_AT]`.

With LOST_AT the engine is lost at that frame, as a GPU is: the frame gets its NO_RESULT, the process ends with 75.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from runtime.arrays import UInt8Array
from runtime.budget import Budget, Deadline
from runtime.cuda.errors import GPU_LOST_EXIT_CODE, GpuLost, end_process
from runtime.engines.base import Inference
from runtime.engines.fake import FakeEngine
from tests.runtime.cart.driving import unhurried
from tests.runtime.cart.quick import Quick


class LostEngine(FakeEngine):
    """Ends as the TensorRT engine does when the driver reports a sticky error."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._at, self._lost = at, False

    def _infer(self, image: UInt8Array, budget: Budget, deadline: Deadline) -> Inference:
        if self.frames + 1 >= self._at:
            self._lost = True
            end_process("GPU lost: 700 an illegal memory access was encountered")
            raise GpuLost("GPU lost: 700 an illegal memory access was encountered", code=700)
        return super()._infer(image, budget, deadline)

    def keep_warm(self) -> None:
        """Nobody waits for a frame of an engine that is lost."""
        if self._lost:
            raise SystemExit(GPU_LOST_EXIT_CODE)


def main(folder: str, port: str, lost_at: str = "") -> None:
    """Serve until killed."""
    with unhurried():
        Quick(Path(folder), engine=LostEngine(int(lost_at)) if lost_at else FakeEngine(), port=int(port))
        sys.stdout.write("serving\n")
        sys.stdout.flush()
        while True:
            time.sleep(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
