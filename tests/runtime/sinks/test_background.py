from __future__ import annotations

import contextlib
import threading
from functools import partial

import pytest

from runtime.errors import OutputError
from runtime.sinks.background import MOST_BYTES, MOST_JOBS, BackgroundWriter


def failing() -> None:
    raise OutputError("disk full")


def test_jobs_run_in_order_and_close_waits_for_all() -> None:
    done: list[int] = []
    writer = BackgroundWriter("test")
    for i in range(50):
        writer.submit(partial(done.append, i), 1)
    writer.close()
    writer.close()
    assert done == list(range(50))


def test_an_error_comes_out_of_close() -> None:
    writer = BackgroundWriter("test")
    writer.submit(failing, 1)
    with pytest.raises(OutputError, match="disk full"):
        writer.close()
    writer.close()


def test_an_error_comes_out_of_a_later_submit() -> None:
    writer = BackgroundWriter("test")

    def submit_many() -> None:
        for _ in range(MOST_JOBS + 1):
            writer.submit(failing, 1)

    with pytest.raises(OutputError, match="disk full"):
        submit_many()
    with contextlib.suppress(OutputError):
        writer.close()


@pytest.mark.parametrize(("size", "most"), [(1, MOST_JOBS), (MOST_BYTES // 3, 3), (10 * MOST_BYTES, 1)])
def test_no_more_waits_than_the_bound_allows(size: int, most: int) -> None:
    release, submitted = threading.Event(), threading.Semaphore(0)
    writer = BackgroundWriter("test")

    def submit_many() -> None:
        for _ in range(most + 1):
            writer.submit(release.wait, size)  # type: ignore[arg-type]
            submitted.release()

    thread = threading.Thread(target=submit_many)
    thread.start()
    for _ in range(most):
        assert submitted.acquire(timeout=60)
    assert not submitted.acquire(timeout=0.05)
    release.set()
    assert submitted.acquire(timeout=60)
    thread.join(60)
    writer.close()
