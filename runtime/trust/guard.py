"""`Guard`: what stands between a loaded engine and its readings - signatures, the self-test, the watch for drift."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import AnswerUnusable, BundleError, EngineAway, EngineError, ScreeningError
from runtime.reading import DriftFacts, SelfTestFacts, Signature, TrustFacts
from runtime.trust.drawn import drawn_problem
from runtime.trust.selftest import RepeatTest, SelfTest, open_self_test
from runtime.trust.site import Site, sealed, watched
from runtime.trust.watch import open_watch
from runtime.uptime import uptime_s

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.engines.base import Engine
    from runtime.reading import EngineFacts, Reading

SELF_TEST_EVERY_S = 3600.0
FAILED = "self-test failed"


class Guard:
    """Trust in one bundle, for one `Screener`, which calls everything here but the constructor.

    Load the engine from `guard.bundle`, whose plans are checked before they are loaded. Once a self-test has failed
    nothing of that engine is believed any more, whatever later tests say; `test` an engine that was loaded anew with
    `anew`. One thread at a time.
    """

    def __init__(
        self,
        bundle: Bundle,
        site: Site | None = None,
        *,
        drift_file: Path | None = None,
        repeats: bool = False,
        clock: Callable[[], float] = uptime_s,
        today: Callable[[], date] = lambda: datetime.now(timezone.utc).date(),
    ) -> None:
        """drift_file: keeps the watch for drift from one start to the next. repeats: an engine for which the bundle
        knows no answers must at least give the same twice.

        clock: seconds, never set, and going on while the machine sleeps, after which the engine is tested before it is
        believed. today: by UTC, as the site's profile expires.
        Raises `SignatureRefused`, `SiteError`, or `BundleError` for a bundle without what the site needs.
        """
        self.site = site or Site()
        self._signature = self.site.check_bundle(bundle)
        self._sealed = sealed(bundle)
        self._repeats = repeats
        self._plans: dict[str, Signature] = {}
        self.bundle = watched(bundle, self.site.check_plan, self._plans.__setitem__)
        profile = self.site.profile
        self.every_s = profile.self_test_every_s if profile else SELF_TEST_EVERY_S
        reference = (profile.drift.reference, profile.drift.gradable_share) if profile else ("all", None)
        self._watch = open_watch(bundle, *reference, drift_file)
        self._clock = clock
        self._today = today
        self._self_test: SelfTest | None = None
        self._known = False
        self._state = SelfTestFacts("none")
        self._tested = clock()

    @property
    def problem(self) -> str:
        """Why there can be no result, "" when there can."""
        if self._state.state == "failed":
            return f"{FAILED}: {self._state.reason}"
        profile = self.site.profile
        if profile is not None and self._today() > profile.expires:  # a program may run for weeks
            return f"the site's profile expired on {profile.expires}; have a new one signed"
        expires = self.bundle.manifest.expires
        if expires is not None and self._today() > expires:
            return f"the bundle expired on {expires}; have a new one signed"
        return ""

    @property
    def due(self) -> bool:
        """Whether it is time for the next self-test."""
        return self._self_test is not None and self._clock() - self._tested >= self.every_s

    def engine_loaded(self, engine: Engine, threshold: float | None = None) -> None:
        """The first self-test of an engine: after each loading, before any frame.

        threshold: in force, None is the bundle's. Raises `BundleError` when the bundle's test does not fit, or when a
        configured site's bundle has none that knows what has to be referred; `EngineAway` where the machine that runs
        the networks was lost meanwhile, and another `EngineError` where it answered and not as it must.
        """
        self._state = SelfTestFacts("none")
        self._self_test = open_self_test(self.bundle, engine.facts.precision, threshold)
        self._known = self._self_test is not None
        if not self._known and self._repeats:
            self._self_test = RepeatTest()
        if self.site.keys is not None:
            self._check_known()
        try:
            self._test(engine)
            if self.site.keys is not None and not self.problem:
                with engine.testing():  # nothing else may answer in its place
                    reason = drawn_problem(self.bundle, engine)
                if reason:
                    self._failed(reason)
        except AnswerUnusable as error:
            raise EngineError(f"{engine.facts.backend}: failed while it was tested: {error}") from None
        except EngineAway as error:
            if self._known:
                raise EngineAway(
                    f"{engine.facts.backend}: was lost while it was tested: {error}; start again when it is there"
                ) from None
        if not self.problem:
            self.site.note_used(self.bundle, self._signature)

    def _check_known(self) -> None:
        meant = self._self_test.meant if self._self_test is not None else None
        if meant is not None and meant.knows_a_positive:
            return
        what = "holds no self-test" if not self._known else "its self-test knows no frame that has to be referred"
        raise BundleError(
            f"bundle {self.bundle.path}: {what}, and this site needs one; add it and sign again: "
            f"python -m build_engines trust {self.bundle.path}"
        )

    def test(self, engine: Engine) -> None:
        """Run the self-test now. Never raises; what it finds is in `problem`.

        An engine that cannot be asked now stays `untested`, and due.
        """
        with suppress(EngineAway):
            self._test(engine)

    def _test(self, engine: Engine) -> None:
        """Raises `EngineAway`, before anything is known."""
        if self.problem:
            return
        with engine.testing():
            reason = "" if self._self_test is None else self._self_test.run(engine)
        if self._self_test is None:
            return
        self._tested = self._clock()
        if reason:
            self._failed(reason)
        elif self._known:
            self._state = SelfTestFacts("passed", _now())

    def _failed(self, reason: str) -> None:
        self._state = SelfTestFacts("failed", _now(), reason)

    def unvouched(self, site: Site) -> str:
        """Why a site, as it is now, no longer stands for the bundle that was loaded; "" when it does."""
        try:
            site.check_sealed(self.bundle, *self._sealed)
        except ScreeningError as error:
            return str(error)
        return ""

    def facts(self, engine: EngineFacts) -> TrustFacts:
        """What the reading of a frame says."""
        plan = None if engine.plan_sha256 is None else self._plans.get(engine.plan_sha256, Signature("unchecked"))
        drift = DriftFacts("off") if self._watch is None else self._watch.facts
        return TrustFacts(self._signature, plan, self.site.facts, self._state, drift)

    def count(self, reading: Reading) -> None:
        """Let the watch for drift see a finished reading. Never raises."""
        if self._watch is not None:
            self._watch.count(reading)


def _now() -> str:
    """Wall-clock time, ISO 8601, UTC."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
