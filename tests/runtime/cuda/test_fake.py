from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.cuda.base import Event, Stream
from runtime.cuda.errors import CudaError, GpuLost
from runtime.cuda.fake import ContractBroken, FakeCuda

SIZE = 64


def test_work_is_done_when_it_is_waited_for_and_not_before() -> None:
    with FakeCuda() as cuda:
        stream, up, down = cuda.stream(), cuda.host_buffer(SIZE), cuda.host_buffer(SIZE)
        device = cuda.device_buffer(SIZE)
        up.array[:] = 1
        cuda.copy_in(device.address, up, stream)
        cuda.copy_out(down, device.address, stream)
        assert not down.array.any()
        up.array[:] = 2  # too early: the copy has not been made yet
        assert not cuda.finished(stream)
        assert cuda.finished(stream)
        assert set(down.array) == {2}
    cuda.check()


def test_a_stream_waits_for_another_only_where_it_is_told_to() -> None:
    for told in (False, True):
        with FakeCuda() as cuda:
            one, two, up, down = cuda.stream(), cuda.stream(), cuda.host_buffer(SIZE), cuda.host_buffer(SIZE)
            device, event = cuda.device_buffer(SIZE), cuda.event(timed=False)
            up.array[:] = 5
            cuda.copy_in(device.address, up, one)
            cuda.record(event, one)
            if told:
                cuda.wait(two, event)
            cuda.copy_out(down, device.address, two)
            cuda.synchronize(two)
            assert set(down.array) == ({5} if told else {0xFF})
            cuda.synchronize(one)


def test_memory_that_was_freed_is_not_used_unseen() -> None:
    cuda = FakeCuda()
    stream, down, device = cuda.stream(), cuda.host_buffer(SIZE), cuda.device_buffer(SIZE)
    cuda.copy_out(down, device.address, stream)
    cuda._free_device(device)
    with pytest.raises(GpuLost, match="used after it was freed"):
        cuda.synchronize(stream)
    with pytest.raises(ContractBroken, match="used after it was freed"):
        cuda.check()


@given(offset=st.integers(-2 * SIZE, 2 * SIZE), size=st.integers(1, 3 * SIZE))
def test_what_runs_over_the_end_of_a_block_meets_no_memory(offset: int, size: int) -> None:
    with FakeCuda() as cuda:
        stream, device, _ = cuda.stream(), cuda.device_buffer(SIZE), cuda.device_buffer(SIZE)
        cuda.fill(device.address + offset, size, 0, stream)
        if offset >= 0 and offset + size <= SIZE:
            cuda.synchronize(stream)
        else:
            with pytest.raises(GpuLost, match="are not memory of this GPU"):
                cuda.synchronize(stream)


def test_everything_is_given_back_or_told() -> None:
    cuda = FakeCuda()
    cuda.device_buffer(SIZE)
    cuda.stream()
    with pytest.raises(ContractBroken, match=r"memory not given back: 0x7f.*; 1 streams, events or graphs"):
        cuda.check()
    cuda.close()
    cuda.close()
    cuda.check()
    with pytest.raises(CudaError, match="the GPU was closed"):
        cuda.stream()


def test_memory_has_an_end() -> None:
    with FakeCuda(memory_bytes=2 * SIZE) as cuda:
        cuda.device_buffer(SIZE)
        assert cuda.memory() == (SIZE, 2 * SIZE)
        with pytest.raises(CudaError, match=r"cuMemAlloc: out of memory \(2\)"):
            cuda.device_buffer(SIZE + 1)


class _Way:
    """Two copies and a side stream between them, which may be told to wait at either end."""

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda, self.main, self.side = cuda, cuda.stream(), cuda.stream()
        self.fork, self.join = cuda.event(timed=False), cuda.event(timed=False)
        self.up, self.down = cuda.host_buffer(SIZE), cuda.host_buffer(SIZE)
        self.device = cuda.device_buffer(SIZE)

    def enqueue(self, *, fork: bool = True, join: bool = True) -> None:
        self.cuda.copy_in(self.device.address, self.up, self.main)
        if fork:
            self.cuda.record(self.fork, self.main)
            self.cuda.wait(self.side, self.fork)
            self.cuda.fill(self.device.address, SIZE // 2, 3, self.side)
            self.cuda.record(self.join, self.side)
        if join:
            self.cuda.wait(self.main, self.join)
        self.cuda.copy_out(self.down, self.device.address, self.main)


def test_a_graph_does_what_was_captured_each_time_it_is_launched() -> None:
    with FakeCuda() as cuda:
        way = _Way(cuda)
        graph = cuda.capture(way.main, way.enqueue)
        for value in (7, 8):
            way.up.array[:] = value
            cuda.launch(graph, way.main)
            cuda.synchronize(way.main)
            assert way.down.array.tolist() == [3] * (SIZE // 2) + [value] * (SIZE // 2)
    cuda.check()


def test_a_branch_that_does_not_come_back_spoils_a_capture() -> None:
    with FakeCuda() as cuda:
        way = _Way(cuda)
        with pytest.raises(CudaError, match=r"unjoined work \(904\)"):
            cuda.capture(way.main, lambda: way.enqueue(join=False))
        way.enqueue()
        cuda.synchronize(way.main)  # usable again


def test_a_wait_for_what_was_not_captured_spoils_a_capture() -> None:
    with FakeCuda() as cuda:
        way = _Way(cuda)
        cuda.record(way.join, way.side)
        with pytest.raises(CudaError, match=r"dependency created on uncaptured work \(905\)"):
            cuda.capture(way.main, lambda: way.enqueue(fork=False))


@pytest.mark.parametrize("call", ["synchronize", "finished", "allocate", "pin"])
def test_what_a_capture_forbids_is_refused(call: str) -> None:
    with FakeCuda() as cuda:
        way = _Way(cuda)

        def forbidden() -> None:
            way.enqueue()
            if call == "synchronize":
                cuda.synchronize(way.main)
            elif call == "finished":
                cuda.finished(way.main)
            elif call == "allocate":
                cuda.device_buffer(SIZE)
            else:
                cuda.host_buffer(SIZE)

        with pytest.raises(CudaError, match=r"not permitted when stream is capturing \(900\)"):
            cuda.capture(way.main, forbidden)
    cuda.check()


def test_a_forbidden_call_spoils_the_capture_also_when_its_error_is_swallowed() -> None:
    with FakeCuda() as cuda:
        way = _Way(cuda)

        def forbidden() -> None:
            way.enqueue()
            with pytest.raises(CudaError):
                cuda.synchronize(way.main)

        with pytest.raises(CudaError, match=r"previous error during capture \(901\)"):
            cuda.capture(way.main, forbidden)


def test_time_is_told_between_marks_that_were_passed() -> None:
    with FakeCuda() as cuda:
        stream, first, last, untimed = cuda.stream(), cuda.event(), cuda.event(), cuda.event(timed=False)
        cuda.record(first, stream)
        cuda.record(last, stream)
        cuda.record(untimed, stream)
        with pytest.raises(CudaError, match="device not ready"):
            cuda.elapsed_ms(first, last)
        cuda.synchronize(stream)
        assert cuda.elapsed_ms(first, last) >= 0
        with pytest.raises(CudaError, match="invalid resource handle"):
            cuda.elapsed_ms(first, untimed)


def test_a_gpu_that_hangs_never_finishes() -> None:
    cuda = FakeCuda()
    stream: Stream = cuda.stream()
    event: Event = cuda.event()
    cuda.record(event, stream)
    cuda.stalled = True
    assert not any(cuda.finished(stream) for _ in range(10))
    with pytest.raises(ContractBroken, match="would never return"):
        cuda.synchronize(stream)


def test_memory_begins_as_not_a_number() -> None:
    with FakeCuda() as cuda:
        stream, down, device = cuda.stream(), cuda.host_buffer(SIZE), cuda.device_buffer(SIZE)
        cuda.copy_out(down, device.address, stream)
        cuda.synchronize(stream)
        assert np.isnan(down.array.view(np.float32)).all()


def test_closing_the_older_of_two_leaves_the_newer_usable() -> None:
    """A reload: the new engine is opened before the old one is closed, in one thread."""
    older, newer = FakeCuda(), FakeCuda()
    older.close()
    stream = newer.stream()
    newer.device_buffer(16)
    newer.synchronize(stream)
    newer.close()
    older.check()
    newer.check()


def test_closing_the_newer_of_two_leaves_the_older_usable() -> None:
    older, newer = FakeCuda(), FakeCuda()
    newer.close()
    older.device_buffer(16)
    older.close()
    with pytest.raises(CudaError, match="closed"):
        older.device_buffer(16)
