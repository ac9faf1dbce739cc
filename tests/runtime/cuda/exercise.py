"""Run in a child process with the stand-in driver: all of cuda-bindings' provider once; prints what came of it."""

from __future__ import annotations

import json
import sys
from typing import Any

from runtime.cuda.bindings import BindingsCuda
from runtime.cuda.errors import CudaError, GpuLost

SIZE = 1000
REPEATS = 1000


def main() -> None:
    said: dict[str, Any] = {"lost": []}
    try:
        cuda = BindingsCuda(on_lost=said["lost"].append)
        said["free_at_first"] = cuda.memory()[0]
        said["facts"] = [cuda.facts.name, *cuda.facts.compute_capability, cuda.facts.integrated, cuda.facts.driver]
        _use(cuda, said)
        cuda.close()
        again = BindingsCuda()
        said["free_at_last"] = again.memory()[0]
        newer = BindingsCuda()
        again.close()
        said["after_a_reload"] = newer.memory()[0] == said["free_at_last"]
        newer.close()
    except CudaError as error:
        said["error"] = str(error)
        said["gpu_lost"] = isinstance(error, GpuLost)
        said["code"] = error.code
    print(json.dumps(said))  # noqa: T201


def _use(cuda: BindingsCuda, said: dict[str, Any]) -> None:
    stream, side = cuda.stream(), cuda.stream()
    first, last, fork = cuda.event(), cuda.event(), cuda.event(timed=False)
    up, down, device = cuda.host_buffer(SIZE, mapped=True), cuda.host_buffer(SIZE), cuda.device_buffer(SIZE)
    said["mapped"] = up.device_address is not None
    said["zeros"] = not up.array.any()

    def way() -> None:
        cuda.record(first, stream)
        cuda.fill(device.address, SIZE, 0xFF, stream)
        cuda.copy_in(device.address, up, stream)
        cuda.record(fork, stream)
        cuda.wait(side, fork)
        cuda.copy_out(down, device.address, stream)
        cuda.record(last, stream)

    up.array[:] = 7
    way()
    cuda.synchronize(stream)
    said["single_calls"] = [int(down.array.min()), int(down.array.max()), cuda.elapsed_ms(first, last) >= 0]
    graph = cuda.capture(stream, way)
    up.array[:] = 9
    said["captured_only"] = int(down.array.max())
    other = cuda.capture(stream, way)
    cuda.drop(other)
    cuda.launch(graph, stream)
    said["finished"] = cuda.finished(stream)
    said["graph"] = [int(down.array.min()), int(down.array.max()), cuda.elapsed_ms(first, last) >= 0]

    blocks = []
    for index in range(REPEATS + 1):
        cuda.launch(graph, stream)
        cuda.finished(stream)
        cuda.elapsed_ms(first, last)
        if index in (0, REPEATS):
            blocks.append(sys.getallocatedblocks())
    said["blocks_more"] = blocks[1] - blocks[0]

    def forbidden() -> None:
        cuda.copy_in(device.address, up, stream)
        cuda.synchronize(stream)

    try:
        cuda.capture(stream, forbidden)
    except CudaError as error:
        said["forbidden"] = error.code
    up.array[:] = 11
    way()
    said["after_a_spoilt_capture"] = int(down.array.min())


if __name__ == "__main__":
    main()
