"""`ModelThread`: the one thread that has the engine. It hears clients while idle, reads frames, tests, reloads."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

import numpy as np

from device.errors import CameraError, FrameUnreadable
from device.frame import Frame
from device.pixels import GivenFrame, PixelFormat, PixelsUnusable, frame_of
from runtime.budget import Deadline
from runtime.daemon.checks import lying_of
from runtime.daemon.clock import monotonic_ns, now_ns
from runtime.daemon.connection import Connection, Job
from runtime.daemon.jpeg import decoded
from runtime.daemon.limits import Limits
from runtime.daemon.messages import CANCELLED, Reason, Reloaded, ResultFlag, SubmitFlag
from runtime.daemon.model import Model
from runtime.daemon.reception import Reception
from runtime.daemon.results import FINDINGS, result_of, unread
from runtime.daemon.turns import Turns
from runtime.errors import ScreeningError
from runtime.preprocess import reduction
from runtime.reading import Reading

IDLE_SELF_TEST_S = 30.0
"""Longest time without an inference, where no watchdog asks for more."""
LATE_WINDOW, LATE_ALARM, LATE_OVER = 100, 10, 5
"""Of so many frames so many late are a reason, until fewer than the last are."""
FAILING_AFTER = 3
ROOM, UNKNOWN_ROOM_MS = 1.25, 1000.0
"""A late frame is the daemon's doing where it came with so many times as much time as the quickest of its size took, or
with so many milliseconds where none of its size was read yet; else its client asks for what nobody can do."""
TORN = "frame changed while it was read"
_VESSELS, _VESSELS_WANTED, _TORN = int(ResultFlag.VESSELS), int(SubmitFlag.VESSELS), int(ResultFlag.TORN)


@dataclass(frozen=True, eq=False)
class ReloadJob:
    """A bundle to be loaded anew."""

    done: Callable[[Reloaded], None]


@dataclass
class ServedCounts:
    """Since the start; written by the reader's thread only."""

    frames: int = 0
    late: int = 0
    torn: int = 0
    reloads: int = 0
    last_inference_ns: int = 0


class ModelThread:
    """Owns the model in a thread of its own.

    make: loads and tests a model; called there at the start and for every reload. on_change: called from there when
    the model is loaded, has failed to load, or the reasons may have changed. on_alive: called from there after a
    completed inference or self-test, and only then. idle_s: longest time without one of these. on_loaded: called
    there after each loading. max_age_ms: a frame captured longer ago than this when it is done has no result.
    """

    def __init__(
        self,
        make: Callable[[], Model],
        on_change: Callable[[], None],
        on_alive: Callable[[], None] = lambda: None,
        idle_s: float = IDLE_SELF_TEST_S,
        on_loaded: Callable[[], None] = lambda: None,
        max_age_ms: float = Limits.max_age_ms,
    ) -> None:
        self.turns: Turns[Job | ReloadJob] = Turns()
        """With the reception's lock held."""
        self.counts = ServedCounts()
        self.model: Model | None = None
        """None before it is loaded."""
        self.failure: ScreeningError | None = None
        """Why it could not be loaded at the start, or what ended its thread."""
        self._make, self._on_change, self._on_alive, self._on_loaded = make, on_change, on_alive, on_loaded
        self._max_age_ns = int(max_age_ms * 1e6)
        self._idle_ns, self._tested_ns = int(idle_s * 1e9), 0
        self._lates: deque[bool] = deque(maxlen=LATE_WINDOW)
        """Of frames that came with enough time: those that did not are their client's doing."""
        self._quickest_ms: dict[int, float] = {}
        """Of the readings since the model was loaded, by size: bits of the number of pixels."""
        self._late_alarm = False
        self._failures = 0
        self._reload_problem = ""
        self._told = 0
        self._on_fault: Callable[[Connection, Exception], None] = lambda connection, error: None
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(
        self,
        reception: Reception,
        receive: Callable[[list[int]], None],
        on_fault: Callable[[Connection, Exception], None],
    ) -> None:
        """Begin to load.

        receive: takes the messages of these descriptors, and puts frames into `turns`. on_fault: called with the
        reception's lock held when a client could not be answered, and why.
        """
        self._on_fault = on_fault
        self._thread = threading.Thread(target=self._run, args=(reception, receive), name="reader", daemon=True)
        self._thread.start()

    def stop(self, reception: Reception) -> None:
        """Finish the frame under way, give the engine back."""
        with reception.lock:
            self._stopping = True
            reception.call_engine()
        if self._thread is not None:
            self._thread.join()

    def reasons(self) -> tuple[int, list[str]]:
        """Why it is degraded: bits and words. From any thread."""
        bits, words = 0, []
        model, lates = self.model, sum(list(self._lates))
        for holds, bit, text in (
            (model and model.problem, Reason.SELF_TEST_FAILED, model.problem if model else ""),
            (model and not model.has_known_answers, Reason.NO_SELF_TEST, "bundle holds no self-test"),
            (model and model.drift, Reason.DRIFT, f"drift: {model.drift}" if model else ""),
            (self._failures >= FAILING_AFTER, Reason.ENGINE_FAILING, f"engine failed {self._failures} times in a row"),
            (self._reload_problem, Reason.RELOAD_FAILED, f"reload failed: {self._reload_problem}"),
            (self._late_alarm, Reason.LATE, f"{lates} of the last {len(self._lates)} frames late"),
        ):
            if holds:
                bits |= bit
                words.append(text)
        return bits, words

    def _tell_if_changed(self) -> None:
        bits, _ = self.reasons()
        if bits != self._told:
            self._told = bits
            self._on_change()

    def _run(self, reception: Reception, receive: Callable[[list[int]], None]) -> None:
        try:
            self.model = self._load()
            self._on_loaded()
            self._alive()
            self._on_change()
            self._serve(reception, receive)
        except ScreeningError as error:
            self.failure = error
        except Exception as error:  # ours: a daemon that ends is started anew, one that only seems to live is not
            self.failure = ScreeningError(f"software fault: {type(error).__name__}: {error}")
        finally:
            if self.model is not None:
                self.model.close()
            self._on_change()

    def _load(self) -> Model:
        try:
            return self._make()
        except ScreeningError:
            raise
        except Exception as error:  # a backend's own; the old model must not go down with it
            raise ScreeningError(f"{type(error).__name__}: {error}") from error

    def _serve(self, reception: Reception, receive: Callable[[list[int]], None]) -> None:
        while not self._stopping:
            if self._quiet_ns_left() <= 0:
                with reception.lock:
                    reception.engine_is_busy()
                self._test()
            elif not self._turn(reception):
                receive(self._wait(reception))

    def _wait(self, reception: Reception) -> list[int]:
        """Descriptors that can be read; hardware that slows down when it idles is kept from it meanwhile."""
        assert self.model is not None
        screener = self.model.screener
        left_s = max(0.0, self._quiet_ns_left() / 1e9)
        every_s = screener.idle_every_s
        ready = reception.waits(left_s if every_s is None else min(every_s, left_s))
        if not ready and every_s is not None:
            screener.between_frames()
        return ready

    def _turn(self, reception: Reception) -> bool:
        """Do one job, False when there is none; its ring is let go of with the method's end."""
        with reception.lock:
            if self._stopping:
                return True
            job = self.turns.next()
            if job is None:
                reception.engine_waits()
                return False
            reception.engine_is_busy()
        assert self.model is not None
        if isinstance(job, Job):
            try:
                self._answer(job, self.model, reception)
            except Exception as error:  # one client's: the others are read
                with reception.lock:
                    self._on_fault(job.connection, error)
                self._failures += 1
                self._tell_if_changed()
        else:
            self._reload(job, self.model, reception)
        return True

    def _test(self) -> None:
        assert self.model is not None
        if not self.model.self_test():
            self._alive()
        else:
            self._note_time()
        self._tell_if_changed()

    def _quiet_ns_left(self) -> int:
        return self._tested_ns + self._idle_ns - time.monotonic_ns()

    def _note_time(self) -> None:
        self._tested_ns = time.monotonic_ns()

    def _alive(self) -> None:
        self._note_time()
        self.counts.last_inference_ns = now_ns()
        self._on_alive()

    def _reload(self, job: ReloadJob, old: Model, reception: Reception) -> None:
        """The new model, or the old one when the new one cannot be believed, as far as the site still stands for it."""
        try:
            new = self._load()
        except ScreeningError as error:
            old.ask_the_site()
            self._reload_problem = str(error)
            answer = Reloaded(old.sha256, 1, str(error))
        else:
            self.model = new
            old.close()
            self._on_loaded()
            self._reload_problem, self._failures = "", 0
            self._quickest_ms.clear()
            self.counts.reloads += 1
            self._alive()
            answer = Reloaded(new.sha256, 0, "")
        with reception.lock:
            job.done(answer)
        self._on_change()

    def _answer(self, job: Job, model: Model, reception: Reception) -> None:
        """Read a frame and tell its client; what the client need not wait for comes after it was told."""
        start, queue_ms = time.monotonic(), (now_ns() - job.arrived_ns) / 1e6
        try:
            reading, flags = self._read(job, model)
        except Exception as error:  # whatever it is, it must not become a finding, nor stop the daemon
            reading, flags = _without(job, model, f"software fault: {type(error).__name__}: {error}"), 0
        if job.submit.flags & _VESSELS_WANTED and reading.outcome in FINDINGS and reading.vessels is not None:
            job.ring.write_vessels(job.submit.slot, job.submit.generation, reading.vessels)
            flags |= _VESSELS
        result = result_of(job, reading, model, flags, queue_ms)
        with reception.lock:
            if not self.turns:  # before the client can answer, so that its next frame comes here at once
                reception.engine_is_idle()
            job.connection.busy.discard(job.submit.slot)
            if job.epoch != job.connection.epoch:
                result = unread(job, ResultFlag.CANCELLED, CANCELLED, result.frame_sha256)
            job.connection.send(result, job.tag)
            self.turns.charge(job.connection, (time.monotonic() - start) * 1e3, job.connection.peer.uid)
            self._count(job, reading, flags, (time.monotonic() - start) * 1e3)
        os.sched_yield()  # a client that was woken on this core has it before what follows
        if reading.timings_ms.classify is not None:
            self._alive()
        self._tell_if_changed()

    def _read(self, job: Job, model: Model) -> tuple[Reading, int]:
        submit, last_pictures = job.submit, job.connection.last_pictures
        now = now_ns()
        if model.problem:
            return _without(job, model, model.problem), 0
        if late := self._late(job, now):
            return replace(_without(job, model, f"{late} before its turn"), late=True), 0
        if job.ring.generation(submit.slot) != submit.generation:
            return _without(job, model, TORN), _TORN
        try:
            frame = _frame(job, now)
        except PixelsUnusable as error:
            return _without(job, model, str(error)), 0
        end = (submit.captured_ns or job.arrived_ns) + self._max_age_ns
        end = min(end, submit.deadline_ns or end)
        reading = model.screener.screen(frame, Deadline(monotonic_ns(end, now_ns()) / 1e9), last_pictures)
        if job.ring.generation(submit.slot) != submit.generation:
            if last_pictures is not None:
                last_pictures.take_back()  # it may have been the next one already
            return _without(job, model, TORN), _TORN
        if late := self._late(job, now_ns()):
            found = _without(job, model, late)
            return replace(found, frame=reading.frame, timings_ms=reading.timings_ms, late=True), 0
        return reading, 0

    def _late(self, job: Job, now: int) -> str:
        """Why a result given now would be too late, "" when it would not."""
        over_ms = (now - job.submit.deadline_ns) / 1e6
        if job.submit.deadline_ns and over_ms > 0:
            return f"late: {over_ms:.0f} ms after the deadline"
        age_ns = now - (job.submit.captured_ns or job.arrived_ns)
        if age_ns > self._max_age_ns:
            return f"late: captured {age_ns / 1e6:.0f} ms ago, at most {self._max_age_ns / 1e6:g}"
        return ""

    def _count(self, job: Job, reading: Reading, flags: int, took_ms: float) -> None:
        torn = bool(flags & _TORN)
        self.counts.frames += 1
        self.counts.torn += torn
        self.counts.late += reading.late
        size = (job.submit.width * job.submit.height).bit_length()
        if not reading.late or self._room_ms(job) >= ROOM * self._quickest_ms.get(size, UNKNOWN_ROOM_MS / ROOM):
            self._lates.append(reading.late)
            self._late_alarm = sum(self._lates) >= (LATE_OVER if self._late_alarm else LATE_ALARM)
        if reading.timings_ms.classify is not None:
            self._failures = 0
            self._quickest_ms[size] = min(took_ms, self._quickest_ms.get(size, took_ms))
        elif not reading.late and reading.quality is not None and reading.quality.gradable:
            self._failures += 1

    def _room_ms(self, job: Job) -> float:
        """Time that was left for a frame when it came."""
        end = (job.submit.captured_ns or job.arrived_ns) + self._max_age_ns
        return (min(end, job.submit.deadline_ns or end) - job.arrived_ns) / 1e6


def _frame(job: Job, now: int) -> Frame:
    """What the Screener gets. Raises `PixelsUnusable` for a JPEG that cannot be decoded."""
    submit = job.submit
    captured_ns = min(submit.captured_ns or job.arrived_ns, now)
    ago = timedelta(microseconds=(now - captured_ns) / 1e3)
    data, lying = job.ring.pixels(submit.slot), lying_of(submit)
    moment, at = monotonic_ns(captured_ns, now), datetime.now(timezone.utc) - ago
    if lying.format is PixelFormat.JPEG:
        file = data[: lying.data_bytes].copy()  # decoded and hashed are the same bytes
        picture = decoded(file.tobytes(), lying)
        given = picture.pixels, submit.sequence, job.connection.name, moment, at, submit.capture_us / 1e3
        size = picture.pixels.shape[1], picture.pixels.shape[0]  # upright
        return GivenFrame(*given, changes=picture.changes, size=size, digested=(file,))
    seen = np.broadcast_to(np.uint8(0), (lying.height, lying.width, 3))
    halve = reduction(seen) % 2 == 0  # it would be the next thing that is done to it
    return frame_of(data, lying, submit.sequence, job.connection.name, moment, at, submit.capture_us / 1e3, halve)


def _without(job: Job, model: Model, reason: str) -> Reading:
    """NO_RESULT for a frame, with its reason."""
    error: CameraError = FrameUnreadable(reason, source=job.connection.name, sequence=job.submit.sequence)
    return model.screener.unreadable(error)
