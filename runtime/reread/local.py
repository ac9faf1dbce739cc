"""Readers in processes of this machine, one thread and one CPU each: nothing beyond the core is needed."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any

from runtime.cores import allowed_cores
from runtime.errors import ScreeningError
from runtime.exam.commands.journal import keep_key_from_others
from runtime.exam.journal.crypt import keep_told_key, taken_key
from runtime.reread.drive import HUNG, Batch, Done
from runtime.reread.errors import RereadError
from runtime.reread.reader import FRAME_LIMIT_S, BatchReader, ReaderFacts, ReaderSettings, require_same
from runtime.reread.stored import Stored

BATCHES_EACH = 2
"""One that is read, and one that waits in the reader's pipe, so that it never waits for the driver."""
WAIT_S = 0.5
END_S = 5.0


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    cpu: int | None
    batches: deque[Batch] = field(default_factory=deque)
    """What it was given, in the order in which it answers."""


class LocalPool:
    """Readers in processes. A context manager; raises `RereadError` or what a Screener raises when none can begin."""

    def __init__(self, settings: ReaderSettings, workers: int) -> None:
        self._settings = settings
        self._context = multiprocessing.get_context("spawn")
        cpus = allowed_cores()
        pins: list[int | None] = list(cpus) if workers <= len(cpus) else [None] * workers
        self._workers: list[_Worker] = []
        try:
            self._workers = [self._start(pin) for pin in pins[:workers]]
            told = [self._ready(worker) for worker in self._workers]  # each, or its first word would come as a result
            self.facts = told[0]
            for other in told[1:]:
                require_same(self.facts, other)
        except BaseException:
            self.close()
            raise

    def _start(self, cpu: int | None) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._settings, cpu), daemon=True)
        process.start()
        theirs.close()
        with contextlib.suppress(OSError):  # it has ended: `_ready` sees that
            ours.send(taken_key())  # which is in no environment
        return _Worker(process, ours, cpu)

    def _ready(self, worker: _Worker) -> ReaderFacts:
        try:
            said = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join(END_S)
            raise RereadError(f"a reader ended before it began ({_end(worker.process)})") from None
        if isinstance(said, ReaderFacts):
            return said
        raise RereadError(str(said))

    def free(self) -> bool:
        """Whether a reader has room."""
        return any(len(worker.batches) < BATCHES_EACH for worker in self._workers)

    def give(self, batch: Batch) -> None:
        """Hand it to the reader with the least to do."""
        _give(min(self._workers, key=lambda worker: len(worker.batches)), batch)

    def wait(self) -> Sequence[Done]:
        """What came back; a reader that ended is replaced by another one on its CPU, which goes on with what waited."""
        busy = {worker.pipe: worker for worker in self._workers if worker.batches}
        done = []
        for pipe in wait(list(busy), WAIT_S):
            worker = busy[pipe]  # type: ignore[index]
            batch = worker.batches.popleft()
            try:
                done.append(Done(batch, worker.pipe.recv()))
            except (EOFError, OSError):
                worker.process.join(END_S)
                silent = worker.process.exitcode == -signal.SIGALRM
                done.append(Done(batch, None, HUNG if silent else _end(worker.process), silent))
                self._replace(worker)
        return done

    def _replace(self, worker: _Worker) -> None:
        waiting = list(worker.batches)
        _ended(worker)
        fresh = self._start(worker.cpu)
        self._workers[self._workers.index(worker)] = fresh
        require_same(self.facts, self._ready(fresh))
        for batch in waiting:
            _give(fresh, batch)

    def close(self) -> None:
        """End the readers."""
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            _ended(worker)

    def __enter__(self) -> LocalPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _give(worker: _Worker, batch: Batch) -> None:
    worker.batches.append(batch)
    with contextlib.suppress(OSError):  # it has ended: `wait` sees that
        worker.pipe.send(batch.frames)


def _ended(worker: _Worker) -> None:
    worker.pipe.close()
    if worker.batches:
        worker.process.terminate()
    worker.process.join(END_S)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join()


def _end(process: BaseProcess) -> str:
    code = process.exitcode
    if code is None:
        return "it closed its pipe"
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"ended by {signal.Signals(-code).name}"
    return f"exit code {code}"


def _serve(pipe: Any, settings: ReaderSettings, cpu: int | None) -> None:
    """The process of a reader: answers batches until its pipe closes, which it also does when the driver is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver decides what a Ctrl-C ends
    keep_key_from_others()
    if cpu is not None:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, {cpu})
    try:
        keep_told_key(pipe.recv())
        reader = BatchReader(settings, limit_s=FRAME_LIMIT_S)
    except EOFError:  # the driver has gone
        return
    except (ScreeningError, OSError) as error:
        pipe.send(str(error))
        return
    pipe.send(reader.facts)
    given: SimpleQueue[tuple[Stored, ...] | None] = SimpleQueue()
    Thread(target=_take, args=(pipe, given), daemon=True).start()
    with contextlib.suppress(OSError):
        while (frames := given.get()) is not None:
            pipe.send(reader.read(frames))
    reader.close()


def _take(pipe: Any, given: SimpleQueue[tuple[Stored, ...] | None]) -> None:
    """Takes batches out of the pipe at once: whoever hands one over must not wait for who waits to give results."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            given.put(pipe.recv())
    given.put(None)
