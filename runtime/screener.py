"""`Screener`, the heart: a frame goes in, a reading comes out, inside the budget and whatever happens."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from types import TracebackType
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from device.errors import DeviceError, FrameUnreadable, RepeatedFrame
from runtime.arrays import FloatArray, UInt8Array
from runtime.budget import Budget, Deadline
from runtime.decide import decide
from runtime.engines import load_engine
from runtime.engines.base import CANNOT_ENCODE, CANNOT_EXPLAIN
from runtime.errors import DeadlineMissed, EngineError, ScreeningError
from runtime.explain import explain
from runtime.familiar import open_familiar
from runtime.outcome import Outcome
from runtime.preprocess import network_input
from runtime.quality import NOT_ONE, REPEATED, UNFAMILIAR, QualityLimits, grade, vessel_fraction
from runtime.reading import UNGUARDED, EngineFacts, FrameFacts, Quality, Reading, Timings
from runtime.repeats import LastPictures
from runtime.structure import structure_faults
from runtime.trust.guard import Guard
from runtime.trust.site import Site, open_site
from runtime.trust.word import check_server, sites_word

if TYPE_CHECKING:
    from device.frame import Frame
    from runtime.bundle import Bundle
    from runtime.engines.base import Engine, GpuTimings, Inference
    from runtime.explanation import Explanation
    from runtime.reading import TrustFacts

FORKED = "this Screener was made before a fork, and its engine stayed behind; make one in each process"
SMALLEST_SIDE = 64
"""Frames with a shorter side than this, in pixels, are not looked at."""
SAME_WITHIN = 0.05
"""Of two readings of one frame, by whatever engine and precision; further apart they are not of one answer."""
LONGEST_TO_SHORTEST = 2.5
"""No camera's frame is longer than this for its height; 16:9 is 1.8, a strip of several pictures more."""


@dataclass
class _Work:
    """What is known of a frame so far."""

    start: float
    by_input: bool
    """Whether what the networks are given also tells a repeated picture, whatever bytes it came in."""
    timings: Timings = field(default_factory=Timings)
    quality: Quality | None = None
    probabilities: dict[str, float] | None = None
    vessels: UInt8Array | None = None
    vessel_fraction: float | None = None
    late: bool = False
    digest: Future[str] | None = None
    faults: Future[tuple[str, ...]] | None = None
    """Of its structure; it reads the frame's pixels, which are the camera's again once `screen` has returned."""
    image: UInt8Array | None = None
    """What the networks read, once they have."""
    shown: Future[str] | None = None
    """SHA-256 of that, of a gradable frame: dark ones, made small, may be alike."""

    @contextmanager
    def stage(self, name: str, allowed_ms: float | None, deadline: Deadline) -> Iterator[None]:
        """Time a stage of ours; late is late, whether the stage's own time ran out or the whole's."""
        limit = Deadline.after_ms(allowed_ms).sooner(deadline)
        start = time.perf_counter()
        yield
        self.timings = replace(self.timings, **{name: (time.perf_counter() - start) * 1e3})
        limit.check(name)


class Screener:
    """Reads frames with a bundle.

    bundle: from `open_bundle`. engine: `auto`, a backend's name, or a loaded `Engine` (the Screener then closes it).
    precision: `auto` (the bundle's choice for the backend), `fp32`, `fp16` or `int8`. threads: CPU threads, None
    leaves the number to the backend. budget: milliseconds allowed; a late result is no result. reject_repeats: take
    a picture that is one of the last 32 for a frozen camera's (switch it off for stored pictures). threshold: between
    0 and 1, None is the site's or else the bundle's. trust: what vouches for the engine; its site's word on threshold,
    budget and limits goes before what is asked here (`runtime.trust.word`). None is a guard of the site that the
    environment names. "off" switches every check of bundle and engine off, which each reading then says. gates: let
    each reading that has an outcome carry an `Explanation`; occlusion: with its map, which reads the frame up to 64
    times more. Both come after the outcome is settled, outside of the budget, and never change it.

    Raises `BundleError`, `EngineError` or `SiteError` when it cannot be made ready; after that `screen` never raises.
    One thread at a time may use it; a context manager.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        engine: str | Engine = "auto",
        precision: str = "auto",
        threads: int | None = None,
        budget: Budget = Budget(),  # noqa: B008 (frozen)
        limits: QualityLimits | None = None,
        reject_repeats: bool = True,
        threshold: float | None = None,
        trust: Guard | Literal["off"] | None = None,
        gates: bool = False,
        occlusion: bool = False,
    ) -> None:
        with _closed_if_it_fails(engine):
            guard = Guard(bundle, open_site()) if trust is None else None if trust == "off" else trust
            site = Site() if guard is None else guard.site
            word = sites_word(site, bundle, threshold=threshold, budget=budget, limits=limits)
            checked = bundle if guard is None else guard.bundle
            if isinstance(engine, str):
                check_server(site, engine)
            self._engine = load_engine(checked, engine, precision, threads) if isinstance(engine, str) else engine
        self._guard = guard
        with _closed_if_it_fails(self._engine):
            self._familiar = open_familiar(checked)
            if self._familiar is not None and not self._engine.encodes and guard is not None:
                raise EngineError(f"{self._engine.facts.backend}: {CANNOT_ENCODE}")
        self._explains, self._occlusion = gates or occlusion, occlusion
        if self._explains and not self._engine.explains:
            with _closed_if_it_fails(self._engine):
                raise EngineError(f"{self._engine.facts.backend}: {CANNOT_EXPLAIN}")
        if guard is not None:
            with _closed_if_it_fails(self._engine):
                guard.engine_loaded(self._engine, word.threshold)
        self._bundle = bundle.facts
        self._classes = bundle.class_names
        self._refer = tuple(label.name for label in bundle.manifest.classes if label.refer)
        self._word = word
        self._last_pictures = LastPictures() if reject_repeats else None
        self._process = os.getpid()
        # One helper thread, without the interpreter lock: SHA-256 beside the gate and the networks.
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="frame-helper")

    @property
    def facts(self) -> EngineFacts:
        """What runs the networks."""
        return self._engine.facts

    @property
    def trust(self) -> TrustFacts:
        """Who stands for the model, and how its self-test and the watch for drift stand."""
        return UNGUARDED if self._guard is None else self._guard.facts(self._engine.facts)

    @property
    def explains(self) -> bool:
        """Whether `explain` can tell anything with this engine."""
        return self._engine.explains

    @property
    def threshold(self) -> float:
        """REFER at or over it."""
        return self._word.threshold

    @property
    def problem(self) -> str:
        """Why there can be no result, "" when there can."""
        if self._forked:
            return FORKED
        return "" if self._guard is None else self._guard.problem

    @property
    def _forked(self) -> bool:
        """Whether this is a copy in a forked process, where the threads of the engine are not: to ask it would hang."""
        return os.getpid() != self._process

    def self_test(self) -> str:
        """Run the self-test now, due or not, and give `problem`. Never raises."""
        if self._guard is not None and not self._forked:
            self._guard.test(self._engine)
        return self.problem

    def unvouched(self, site: Site) -> str:
        """Why a site, as it is now, no longer stands for the bundle that was loaded; "" when it does."""
        return "" if self._guard is None else self._guard.unvouched(site)

    def outcome_of(self, image: UInt8Array) -> Outcome:
        """What the networks and the threshold alone make of a picture that no camera took, as of a self-test.

        image: RGB, uint8 [1, 256, 256, 3]. No gate, no watch. Raises `EngineError`.
        """
        with self._engine.testing():
            found = self._engine.infer(image)
        named = dict(zip(self._classes, map(float, found.probabilities), strict=True))
        return decide(named, self._refer, self.threshold)[0]

    def knows(self, image: UInt8Array) -> bool | None:
        """Whether the bundle's test of what is a fundus lets a picture pass; None where the bundle has none.

        image: RGB, uint8 [1, 256, 256, 3]. Raises `EngineError`.
        """
        if self._familiar is None:
            return None
        with self._engine.testing():
            encoded = self._engine.infer(image).encoded
        return encoded is None or self._familiar.distance(encoded) <= self._familiar.limit

    def gpu_ms(self) -> GpuTimings | None:
        """Of the frame that both networks just read, the stages by the GPU's own clock; None where there is no GPU."""
        return self._engine.gpu_ms()

    def screen(
        self,
        frame: Frame,
        deadline: Deadline = Deadline(),  # noqa: B008 (frozen)
        last_pictures: LastPictures | None = None,
    ) -> Reading:
        """The reading for a frame. Every fault ends as RETAKE or NO_RESULT with its reason.

        deadline: of this frame, beside the budget; a reading that cannot be done by then is broken off. last_pictures:
        of this frame's camera, where there are several; None: those that `reject_repeats` asks for.
        """
        last_pictures = self._last_pictures if last_pictures is None else last_pictures
        work = _Work(time.perf_counter(), by_input=last_pictures is not None)
        self._test_when_due()
        try:
            outcome, reason = self._stages(frame, work, deadline)
        except DeadlineMissed as error:
            outcome, reason, work.late = Outcome.NO_RESULT, str(error), True
        except ScreeningError as error:
            outcome, reason = Outcome.NO_RESULT, str(error)
        except Exception as error:  # whatever it is, it must not become a finding
            outcome, reason = Outcome.NO_RESULT, f"software fault: {type(error).__name__}: {error}"
        if work.faults is not None:
            wait((work.faults,))
        sha256 = frame.sha256 if work.digest is None else work.digest.result()
        shown = "" if work.shown is None else work.shown.result()
        if last_pictures is not None and last_pictures.repeated(sha256, shown):
            outcome, reason = Outcome.RETAKE, REPEATED
            work.quality = replace(work.quality or Quality(False), gradable=False, reasons=(REPEATED,))
        total_ms = (time.perf_counter() - work.start) * 1e3
        if self._word.budget.total is not None and total_ms > self._word.budget.total:
            outcome, work.late = Outcome.NO_RESULT, True
            reason = f"late: {total_ms:.0f} ms, budget {self._word.budget.total:g} ms"
        elif deadline.remaining_ms() == 0 and not work.late:
            outcome, reason, work.late = Outcome.NO_RESULT, "late: the deadline passed", True
        outcome, reason = self._unless_distrusted(outcome, reason)
        counts = outcome in (Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS)
        reading = Reading(
            frame=FrameFacts(
                frame.source, frame.sequence, frame.captured_at, sha256, frame.width, frame.height, frame.changes
            ),
            outcome=outcome,
            reason=reason,
            bundle=self._bundle,
            engine=self._engine.facts,
            probabilities=work.probabilities if counts else None,
            quality=work.quality,
            vessel_fraction=work.vessel_fraction if counts else None,
            timings_ms=replace(work.timings, capture=frame.capture_ms, total=total_ms),
            budget_ms=self._word.budget.total,
            late=work.late,
            vessels=work.vessels if counts else None,
            trust=self.trust,
            explanation=self._explanation(work) if counts else None,
        )
        if self._guard is not None:
            self._guard.count(reading)
        return reading

    def explain(self, frame: Frame, *, bundle_sha256: str, probabilities: Mapping[str, float]) -> Explanation:
        """Of a frame that was read before, at any time: its gates, for a person who asks later.

        frame: as it was read. bundle_sha256, probabilities: what its reading says; gates of another model, or of a
        frame that reads otherwise now, would be gates of something else. The frame is given to the networks once more
        and counts nowhere: there is no reading, no repeated picture, nothing for the watch for drift.

        Raises `EngineError` with words for a person where it cannot be told. From the thread that calls `screen`.
        """
        if problem := self.problem:
            raise EngineError(problem)
        if not self._engine.explains:
            raise EngineError(f"{self._engine.facts.backend}: {CANNOT_EXPLAIN}")
        if bundle_sha256 != self._bundle.sha256:
            raise EngineError(
                f"it was read with bundle {bundle_sha256[:12] or 'of no name'}, this program has "
                f"{self._bundle.sha256[:12]}; only the bundle that read it can tell"
            )
        image = network_input(frame.pixels)
        again = dict(zip(self._classes, map(float, self._engine.infer(image).probabilities), strict=True))
        if again.keys() != probabilities.keys() or not all(
            abs(again[name] - probabilities[name]) <= SAME_WITHIN for name in again
        ):
            raise EngineError("read again, the frame has other probabilities than its reading; gates would mislead")
        return explain(self._engine, image, self._referring)

    @property
    def _referring(self) -> list[int]:
        """Which of the classes refer."""
        return [number for number, name in enumerate(self._classes) if name in self._refer]

    def _explanation(self, work: _Work) -> Explanation | None:
        """Of the frame whose outcome is settled; None where it is not asked for, or cannot be had."""
        if not self._explains or work.image is None:
            return None
        try:
            return explain(self._engine, work.image, self._referring, occlusion=self._occlusion)
        except Exception:  # an outcome stands without its explanation, too
            return None

    @property
    def idle_every_s(self) -> float | None:
        """How often `between_frames` is to be called while there is no frame; None: once after each frame will do."""
        return self._engine.idle_every_s

    def between_frames(self) -> None:
        """For whoever waits for the next frame, see `idle_every_s`; from the thread that calls `screen`.

        Runs the self-test when it is due, which `screen` does itself otherwise, in that frame's time; and keeps a GPU
        from idling, whose next frame may take ten times as long after ten idle seconds. Never raises.
        """
        self._test_when_due()
        if not self._forked:
            self._engine.keep_warm()

    def _test_when_due(self) -> None:
        if self._forked:
            return
        if self._guard is None:
            if self._engine.untested:  # nothing stands behind such readings, which each says
                with self._engine.testing():
                    pass
        elif self._guard.due or self._engine.untested:
            self._guard.test(self._engine)

    def _unless_distrusted(self, outcome: Outcome, reason: str) -> tuple[Outcome, str]:
        problem = self.problem
        return (Outcome.NO_RESULT, problem) if problem else (outcome, reason)

    def unreadable(self, error: DeviceError, *, source: str = "", sequence: int = 0) -> Reading:
        """The reading for a frame that could not be had: NO_RESULT with the reason; RETAKE for a repeated one."""
        if isinstance(error, FrameUnreadable):
            source, sequence = error.source, error.sequence
        repeated = isinstance(error, RepeatedFrame)
        outcome, reason = self._unless_distrusted(
            Outcome.RETAKE if repeated else Outcome.NO_RESULT, REPEATED if repeated else str(error)
        )
        return Reading(
            frame=FrameFacts(source, sequence, datetime.now(timezone.utc)),
            outcome=outcome,
            reason=reason,
            quality=Quality(False, reasons=(REPEATED,)) if repeated else None,
            bundle=self._bundle,
            engine=self._engine.facts,
            budget_ms=self._word.budget.total,
            trust=self.trust,
        )

    def _stages(self, frame: Frame, work: _Work, deadline: Deadline) -> tuple[Outcome, str]:
        """Every stage in turn; what each finds is noted in `work`, so that it survives a later stage's fault."""
        if problem := self.problem:
            return Outcome.NO_RESULT, problem
        budget, deadline = self._word.budget, Deadline.after_ms(self._word.budget.total).sooner(deadline)
        if budget.capture is not None and not frame.capture_ms <= budget.capture:  # late, or no number
            raise DeadlineMissed(f"late: capture took {frame.capture_ms:.0f} ms, budget {budget.capture:g} ms")
        if min(frame.width, frame.height) < SMALLEST_SIDE:
            smallest = f"{SMALLEST_SIDE} x {SMALLEST_SIDE}"
            return Outcome.NO_RESULT, f"frame is {frame.width} x {frame.height} pixels, at least {smallest} needed"
        if max(frame.width, frame.height) > LONGEST_TO_SHORTEST * min(frame.width, frame.height):
            work.quality = Quality(False, reasons=(NOT_ONE,))
            return Outcome.RETAKE, f"{NOT_ONE}: no field of view is {frame.width} x {frame.height}"
        work.digest = self._helper.submit(lambda: frame.sha256)  # of all that is ours it takes longest
        with work.stage("preprocess", budget.preprocess, deadline):
            image = network_input(frame.pixels)
        with work.stage("quality", budget.quality, deadline):
            work.quality = grade(image[0], self._word.limits)
        if not work.quality.gradable:
            return Outcome.RETAKE, ", ".join(work.quality.reasons)
        work.faults = self._helper.submit(structure_faults, frame.pixels, image[0])  # beside the networks
        if work.by_input:  # 192 kB, beside them, too
            work.shown = self._helper.submit(lambda: hashlib.sha256(image.data).hexdigest())
        inference = self._engine.infer(image, budget, deadline)
        work.image = image
        work.timings = replace(work.timings, segment=inference.segment_ms, classify=inference.classify_ms)
        with work.stage("decide", budget.decide, deadline):
            if faults := work.faults.result():
                work.quality = replace(work.quality, gradable=False, reasons=faults)
                return Outcome.RETAKE, ", ".join(faults)
            if not self._is_familiar(work, inference):
                return Outcome.RETAKE, UNFAMILIAR
            work.vessels = _levels(inference.vessels)
            work.vessel_fraction = vessel_fraction(work.vessels >= 128, image[0])
            work.probabilities = dict(zip(self._classes, map(float, inference.probabilities), strict=True))
            return decide(work.probabilities, self._refer, self._word.threshold)

    def _is_familiar(self, work: _Work, inference: Inference) -> bool:
        """Whether the networks know such frames, as far as the bundle can tell; the distance goes into the quality."""
        if self._familiar is None or inference.encoded is None or work.quality is None:
            return True
        distance = self._familiar.distance(inference.encoded)
        measures = {**work.quality.measures, "strangeness": distance}
        familiar = distance <= self._familiar.limit  # so that what is not a number is not
        reasons = () if familiar else (UNFAMILIAR,)
        work.quality = replace(work.quality, gradable=familiar, reasons=reasons, measures=measures)
        return familiar

    def close(self) -> None:
        """Give the engine back. Closing twice is fine, and in a forked process the engine is left to its owner."""
        if self._forked:
            return
        self._helper.shutdown()
        self._engine.close()

    def __enter__(self) -> Screener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def _closed_if_it_fails(engine: str | Engine) -> Iterator[None]:
    """Give an engine back that will have no owner."""
    try:
        yield
    except BaseException:
        if not isinstance(engine, str):
            engine.close()
        raise


def _levels(vessels: FloatArray) -> UInt8Array:
    """Probability float32 [256, 256] to uint8, rounded. A copy: the engine may overwrite its own."""
    return cv2.convertScaleAbs(vessels, alpha=255.0).astype(np.uint8, copy=False)
