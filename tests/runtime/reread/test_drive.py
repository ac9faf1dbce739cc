"""Nothing is lost and nothing comes twice, whoever ends and in whatever order batches come back."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.reread.drive import BATCH_FRAMES, Batch, Done, batches, drive
from runtime.reread.errors import RereadError
from runtime.reread.row import RereadResult
from runtime.reread.stored import Stored
from tests.runtime.reread.making import ScriptedPool, result, stored


@given(
    count=st.integers(0, 200), seed=st.integers(0, 1000), share=st.sampled_from([0.0, 0.1, 0.3]), room=st.integers(1, 5)
)
def test_every_frame_comes_back_once(count: int, seed: int, share: float, room: int) -> None:
    chance = random.Random(seed)
    kept: list[RereadResult] = []
    last = [False]

    def ends(_: Batch) -> bool:
        last[0] = not last[0] and chance.random() < share  # never twice in a row: accidents, not a poisoned frame
        return last[0]

    drive(map(stored, range(count)), ScriptedPool(ends, room), kept.extend, lambda: False)
    assert sorted(one.row.reading for one in kept) == sorted(stored(n).reading for n in range(count))


def test_a_frame_that_ends_its_reader_is_one_row() -> None:
    kept: list[RereadResult] = []
    poison = stored(7).reading
    pool = ScriptedPool(lambda batch: any(frame.reading == poison for frame in batch.frames))
    drive(map(stored, range(100)), pool, kept.extend, lambda: False)
    unread = [one.row for one in kept if not one.row.read]
    assert len(kept) == 100
    assert [(row.reading, row.new_outcome) for row in unread] == [(poison, "NO_RESULT")]
    assert "ended by SIGKILL" in unread[0].new_reason


def test_readers_that_keep_ending_end_the_run_and_are_nobodys_result() -> None:
    kept: list[RereadResult] = []
    with pytest.raises(RereadError, match=r"ended one after the other.*SIGKILL"):
        drive(map(stored, range(100)), ScriptedPool(lambda _: True), kept.extend, lambda: False)
    assert kept == []


def test_results_for_other_frames_are_refused() -> None:
    class Wrong(ScriptedPool):
        def wait(self) -> Sequence[Done]:
            done = super().wait()[0]
            return [Done(done.batch, [result(stored(99))])]

    with pytest.raises(RereadError, match="report this fault"):
        drive([stored(1)], Wrong(lambda _: False), lambda _: None, lambda: False)


def test_no_more_is_listed_than_is_under_way() -> None:
    listed = 0

    def frames() -> Iterator[Stored]:
        nonlocal listed
        for number in range(1000):
            listed += 1
            yield stored(number)

    most = 0
    done = 0

    def keep(results: Sequence[RereadResult]) -> None:
        nonlocal most, done
        done += len(results)
        most = max(most, listed - done)

    drive(frames(), ScriptedPool(lambda _: False, 3), keep, lambda: False)
    assert done == 1000
    assert most <= 3 * BATCH_FRAMES


def test_a_stop_leaves_the_rest_for_later() -> None:
    kept: list[RereadResult] = []
    drive(map(stored, range(500)), ScriptedPool(lambda _: False), kept.extend, lambda: len(kept) >= 64)
    assert 64 <= len(kept) < 500


def test_batches_keep_the_order() -> None:
    found = list(batches(map(stored, range(70))))
    assert [len(batch.frames) for batch in found] == [32, 32, 6]
    assert [frame.order[1] for batch in found for frame in batch.frames] == list(range(70))
