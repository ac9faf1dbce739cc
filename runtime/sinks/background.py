"""A thread that makes and writes files beside the reading loop, with a bound on what may wait for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

MOST_JOBS = 8
MOST_BYTES = 48 << 20
"""What may wait: eight frames of a RetCam, or one of any size. More makes `submit` wait, never lose a picture."""


class BackgroundWriter:
    """Runs jobs in the order given in one thread; an error of a job comes out of a later `submit` or of `close`."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._pending: deque[tuple[Future[None], int]] = deque()
        self._bytes = 0

    def submit(self, job: Callable[[], None], size_bytes: int) -> None:
        """Queue a job that holds on to `size_bytes`; waits while too much is queued. Raises an earlier job's error."""
        while self._pending and (
            self._pending[0][0].done() or len(self._pending) >= MOST_JOBS or self._bytes + size_bytes > MOST_BYTES
        ):
            self._finish_oldest()
        self._pending.append((self._executor.submit(job), size_bytes))
        self._bytes += size_bytes

    def close(self) -> None:
        """Finish all jobs. The first error is raised; what is queued behind it is given up."""
        try:
            while self._pending:
                self._finish_oldest()
        finally:
            self._pending.clear()
            self._executor.shutdown(cancel_futures=True)

    def _finish_oldest(self) -> None:
        future, size_bytes = self._pending.popleft()
        self._bytes -= size_bytes
        future.result()
