"""The desk: one thread that owns journal, exam, engine and light, and does one thing after the other."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Generic, TypeVar

from runtime.cart.errors import CartBusy, DeskGone

Room = TypeVar("Room")
T = TypeVar("T")
LONGEST_QUEUE = 64
"""Commands that may wait; more is a fault of a page, or an attack."""
GONE = "the cart's software has to be started anew; where it is supervised, that happens by itself in a moment"


class Desk(Generic[Room]):
    """Runs commands in a thread of its own, in the order in which they were given.

    open_room: makes what the commands work on, in that thread; its failure is told to every command until it works.
    idle: called in that thread between commands, at least every `every_s`.
    """

    def __init__(
        self,
        open_room: Callable[[], Room],
        close_room: Callable[[Room], None],
        idle: Callable[[Room], None],
        *,
        failed: Callable[[Exception | None], None] = lambda _: None,
        every_s: float = 0.25,
        retry_s: float = 2.0,
    ) -> None:
        self._open_room, self._close_room, self._idle = open_room, close_room, idle
        self._failed = failed
        self._every_s, self._retry_s = every_s, retry_s
        self._jobs: queue.Queue[tuple[Callable[[Room], object], Future[object]] | None] = queue.Queue(LONGEST_QUEUE)
        self._ending = threading.Event()
        self._gone = self._by_itself = False
        self._job_began: float | None = None
        self._thread = threading.Thread(target=self._run, name="desk", daemon=True)
        self._thread.start()

    def do(self, job: Callable[[Room], T]) -> Future[T]:
        """Have the desk run `job`; its result, or what it raised, comes by the future. Never blocks."""
        future: Future[T] = Future()
        try:
            self._jobs.put_nowait((job, future))  # type: ignore[arg-type]
        except queue.Full:
            future.set_exception(CartBusy(f"the cart is busy, {LONGEST_QUEUE} commands wait; try again in a moment"))
        if self._gone:  # asked after the queue was filled: whoever ends does it the other way round
            self._refuse_waiting(DeskGone(GONE))
        return future

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def ended_by_itself(self) -> bool:
        """Whether the thread ended though nobody closed it, as an engine that is lost has it do."""
        return self._by_itself

    @property
    def busy_s(self) -> float:
        """Seconds that the command under way has taken; 0 between two."""
        began = self._job_began
        return 0.0 if began is None else time.monotonic() - began

    def close(self, timeout_s: float = 15.0) -> None:
        """End the thread after the command under way; those that wait are told. Closing twice is fine."""
        self._ending.set()
        with suppress(queue.Full):
            self._jobs.put_nowait(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            self._open_and_serve()
        except SystemExit:  # of an engine that is lost to this process; whoever runs the cart asks `ended_by_itself`
            pass
        finally:
            self._gone, closed = True, self._ending.is_set()
            self._by_itself = not closed
            error = CartBusy("the cart is being closed") if closed else DeskGone(GONE)
            if not closed:
                self._failed(error)
            self._refuse_waiting(error)

    def _open_and_serve(self) -> None:
        while not self._ending.is_set():
            try:
                room = self._open_room()
            except Exception as error:  # whatever it is, the screen must say it, and it is tried again
                self._failed(error)
                self._refuse(error)
                continue
            self._failed(None)
            try:
                self._serve(room)
            finally:
                with suppress(Exception):
                    self._close_room(room)

    def _refuse(self, error: Exception) -> None:
        """Until the next try, every command is told why there is no room."""
        until = time.monotonic() + self._retry_s
        while (left_s := until - time.monotonic()) > 0 and not self._ending.is_set():
            try:
                job = self._jobs.get(timeout=left_s)
            except queue.Empty:
                return
            if job is not None:
                _fail(job[1], error)

    def _refuse_waiting(self, error: Exception) -> None:
        with suppress(queue.Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    _fail(job[1], error)

    def _serve(self, room: Room) -> None:
        """Until the end, or until `idle` raises: then everything is opened anew."""
        while not self._ending.is_set():
            try:
                job = self._jobs.get(timeout=self._every_s)
            except queue.Empty:
                job = None
            if job is not None:
                self._job_began = time.monotonic()
                try:
                    self._one(room, *job)
                finally:
                    self._job_began = None
            if self._jobs.empty():
                try:
                    self._idle(room)
                except Exception as error:
                    self._failed(error)
                    return

    @staticmethod
    def _one(room: Room, job: Callable[[Room], object], future: Future[object]) -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            result = job(room)
        except Exception as error:
            future.set_exception(error)
        except BaseException:  # the end of this thread is not the end of whoever waits for the command
            future.set_exception(DeskGone(GONE))
            raise
        else:
            future.set_result(result)


def _fail(future: Future[object], error: Exception) -> None:
    """Tell whoever waits, if somebody still does."""
    if future.set_running_or_notify_cancel():
        future.set_exception(error)
