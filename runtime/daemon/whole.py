"""`DaemonReader`: whole readings from a daemon, for programs that otherwise would have a `Screener` of their own."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from device.errors import DeviceError, FrameUnreadable, RepeatedFrame
from device.frame import Frame
from runtime.daemon.client import Client
from runtime.daemon.errors import DaemonError
from runtime.daemon.messages import BundleInfo, DaemonState, Result, ResultFlag
from runtime.decide import decide
from runtime.errors import ScreeningError
from runtime.outcome import Outcome
from runtime.preprocess import network_input
from runtime.quality import REPEATED, grade
from runtime.reading import EngineFacts, FrameFacts, Quality, Reading, Timings
from runtime.trust.site import Site
from runtime.trust.word import Word, sites_word

if TYPE_CHECKING:
    from runtime.bundle import Bundle

LOOK_S = 2.0
LONGEST_MS = 60_000.0
FINDINGS = (Outcome.REFER, Outcome.NO_REFERRAL_FINDINGS)
NAME = "cart"


class DaemonReader:
    """Reads frames with a `ropscreend` beside this program. One thread at a time; a context manager is not needed.

    bundle: the one that this program's exams are opened with; a daemon that reads with another one gives no result.
    word: the site's and the exam's threshold, gate and budget, None the bundle's own. A daemon of another threshold
    gives no result; its findings are held against gate and budgets here, too, whatever profile it was started with.
    reject_repeats: a picture that is one of the last 32 is a frozen camera's.
    It connects when it is used, and again once the daemon was lost. `screen` never raises.
    """

    def __init__(
        self,
        path: Path,
        bundle: Bundle,
        *,
        word: Word | None = None,
        reject_repeats: bool = True,
    ) -> None:
        self._path, self._bundle = path, bundle
        self._word = sites_word(Site(), bundle) if word is None else word
        self._refer = tuple(label.name for label in bundle.manifest.classes if label.refer)
        self._budget_ms, self._reject_repeats = self._word.budget.total, reject_repeats
        self._client: Client | None = None
        self._slot_bytes = 0
        self._info: BundleInfo | None = None
        self._looked = -math.inf
        self.problem = ""
        """Why there can be no result, or why the daemon wants to be looked at; "" when nothing is wrong."""

    @property
    def facts(self) -> EngineFacts:
        """What runs the networks, as the daemon says."""
        info = self._info
        if info is None:
            return EngineFacts("daemon", "unknown", "unknown")
        return EngineFacts(info.backend, info.precision, info.device, why="in ropscreend")

    @property
    def trust(self) -> None:
        """Who stands for the model is the daemon's to know."""
        return None

    def screen(self, frame: Frame) -> Reading:
        """The reading for a frame, RGB uint8 [H, W, 3]. Every fault ends as NO_RESULT with its reason."""
        began = time.perf_counter()
        try:
            reading = self._read(frame)
        except ScreeningError as error:
            self._hang_up()
            reading = self._none(frame, str(error))
        except Exception as error:  # whatever it is, it must not become a finding
            self._hang_up()
            reading = self._none(frame, f"software fault: {type(error).__name__}: {error}")
        total_ms = (time.perf_counter() - began) * 1e3
        if self._budget_ms is not None and total_ms > self._budget_ms:
            late = f"late: {total_ms:.0f} ms, budget {self._budget_ms:g} ms"
            reading = replace(self._none(frame, late), late=True)
        return replace(reading, timings_ms=replace(reading.timings_ms, capture=frame.capture_ms, total=total_ms))

    def unreadable(self, error: DeviceError, *, source: str = "", sequence: int = 0) -> Reading:
        """The reading for a frame that could not be had: NO_RESULT with the reason; RETAKE for a repeated one."""
        if isinstance(error, FrameUnreadable):
            source, sequence = error.source, error.sequence
        repeated = isinstance(error, RepeatedFrame)
        return Reading(
            frame=FrameFacts(source, sequence, datetime.now(timezone.utc)),
            outcome=Outcome.RETAKE if repeated else Outcome.NO_RESULT,
            reason=REPEATED if repeated else str(error),
            quality=Quality(False, reasons=(REPEATED,)) if repeated else None,
            bundle=self._bundle.facts,
            engine=self.facts,
            budget_ms=self._budget_ms,
        )

    def between_frames(self) -> None:
        """Look at the daemon now and then, so that its loss is seen before the next frame. Never raises."""
        if time.monotonic() - self._looked < LOOK_S:
            return
        self._looked = time.monotonic()
        try:
            health = self._connected(self._slot_bytes).health()
            self.problem = (
                "" if health.state is DaemonState.READY else f"the reader beside this program says: {health.text}"
            )
        except ScreeningError as error:
            self._hang_up()
            self.problem = str(error)

    def close(self) -> None:
        """End the connection. Closing twice is fine."""
        self._hang_up()

    def _read(self, frame: Frame) -> Reading:
        client = self._connected(frame.pixels.nbytes)
        result = client.read(frame.pixels, sequence=frame.sequence & 0xFFFFFFFFFFFFFFFF, vessels=True)
        return self._reading(frame, result, client)

    def _connected(self, slot_bytes: int) -> Client:
        """The connection, with room for such a frame. Raises `DaemonError` where the daemon would read otherwise."""
        if self._client is not None and slot_bytes <= self._slot_bytes:
            return self._client
        self._hang_up()
        client = Client(
            self._path,
            NAME,
            slots=2 if slot_bytes else 0,
            slot_bytes=slot_bytes,
            stored_pictures=not self._reject_repeats,
            max_age_ms=LONGEST_MS if self._budget_ms is None else min(self._budget_ms, LONGEST_MS),
            bundle_sha256=bytes.fromhex(self._bundle.sha256),
        )
        try:
            info = client.bundle()
            self._check(info)
        except BaseException:
            client.close()
            raise
        self._client, self._slot_bytes, self._info = client, slot_bytes, info
        return client

    def _check(self, info: BundleInfo) -> None:
        if info.sha256.hex() != self._bundle.sha256:
            raise DaemonError(
                f"the daemon at {self._path} reads with bundle {info.sha256.hex()[:12]}, exams here are opened with "
                f"{self._bundle.sha256[:12]}; name the same bundle to both"
            )
        if abs(info.refer_threshold - self._word.threshold) > 1e-6:  # it comes as float32
            raise DaemonError(
                f"the daemon at {self._path} refers at {info.refer_threshold:.6g}, this exam at "
                f"{self._word.threshold:.6g}; give both the same site profile, or close the exam"
            )

    def _hang_up(self) -> None:
        client, self._client, self._slot_bytes = self._client, None, 0
        if client is not None:
            with suppress(Exception):
                client.close()

    def _reading(self, frame: Frame, result: Result, client: Client) -> Reading:
        outcome = Outcome[result.outcome.name]
        counts = outcome in FINDINGS
        graded, gradable = (bool(result.flags & flag) for flag in (ResultFlag.GRADED, ResultFlag.GRADABLE))
        quality = None
        if graded:
            reasons = tuple(result.reason.split(", ")) if outcome is Outcome.RETAKE and not gradable else ()
            quality = Quality(gradable, reasons=reasons)
        _, *stages = result.timings_ms
        names = ("quality", "preprocess", "segment", "classify", "decide")
        timings = {name: None if ms < 0 else ms for name, ms in zip(names, stages, strict=False)}
        probabilities = dict(zip(self._bundle.class_names, map(float, result.probabilities), strict=False))
        if counts and decide(probabilities, self._refer, self._word.threshold)[0] is not outcome:
            # It was loaded anew under another threshold since it was asked.
            return self._none(
                frame, f"the daemon decided otherwise than this exam's threshold {self._word.threshold:g} does"
            )
        if counts:
            if late := self._late(frame, timings):
                return replace(self._none(frame, late), late=True)
            own = grade(network_input(frame.pixels)[0], self._word.limits)
            if not own.gradable:  # by limits that the daemon was not told of
                return replace(self._none(frame, ", ".join(own.reasons)), outcome=Outcome.RETAKE, quality=own)
        return Reading(
            frame=FrameFacts(
                frame.source,
                frame.sequence,
                frame.captured_at,
                result.frame_sha256.hex() if any(result.frame_sha256) else None,
                frame.width,
                frame.height,
                frame.changes,
            ),
            outcome=outcome,
            reason=result.reason,
            bundle=self._bundle.facts,
            engine=self.facts,
            probabilities=probabilities if counts else None,
            quality=quality,
            vessel_fraction=result.vessel_fraction if counts and result.vessel_fraction >= 0 else None,
            timings_ms=Timings(**timings),
            budget_ms=result.budget_ms or self._budget_ms,
            late=bool(result.flags & ResultFlag.LATE),
            vessels=client.vessels(result) if counts else None,
        )

    def _late(self, frame: Frame, timings: Mapping[str, float | None]) -> str:
        """Which stage took longer than the site allows, "" when none did."""
        for stage, took in {"capture": frame.capture_ms, **timings}.items():
            allowed = getattr(self._word.budget, stage)
            if allowed is not None and took is not None and not took <= allowed:
                return f"late: {stage} took {took:.0f} ms, budget {allowed:g} ms"
        return ""

    def _none(self, frame: Frame, reason: str) -> Reading:
        return Reading(
            frame=FrameFacts(
                frame.source, frame.sequence, frame.captured_at, frame.sha256, frame.width, frame.height, frame.changes
            ),
            outcome=Outcome.NO_RESULT,
            reason=reason,
            bundle=self._bundle.facts,
            engine=self.facts,
            budget_ms=self._budget_ms,
        )
