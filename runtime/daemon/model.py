"""`Model`: a bundle loaded and tested, ready to read frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runtime.budget import Budget
from runtime.daemon.messages import CLASSES, BundleInfo
from runtime.engines import load_engine
from runtime.errors import BundleError, EngineError
from runtime.preprocess import SIDE
from runtime.quality import QualityLimits
from runtime.screener import Screener
from runtime.trust.guard import FAILED, Guard
from runtime.trust.selftest import SAME_MACHINE, Known, SelfTest, Tolerance, ask

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.engines.base import Engine
    from runtime.trust.site import Site


class Model:
    """A Screener with its self-test. One thread makes, uses and closes it: some engines are bound to their thread.

    engine: loaded from `guard.bundle`; the Model closes it. Raises `EngineError` when the golden frame does not come
    out as it must, and what `Screener` and `Guard` raise.
    """

    def __init__(self, bundle: Bundle, guard: Guard, engine: Engine, budget: Budget = Budget()) -> None:  # noqa: B008
        profile = guard.site.profile
        if profile is not None:
            totals = [ms for ms in (budget.total, profile.budget.total) if ms is not None]
            budget = replace(profile.budget, total=min(totals, default=None))
        threshold = profile.refer_threshold if profile else None
        self._guard, self._engine = guard, engine
        self._unsteady = ""
        self.screener = Screener(
            bundle,
            engine=engine,
            budget=budget,
            limits=profile.limits if profile else QualityLimits(),
            reject_repeats=False,  # of several cameras in turn; the daemon does it for each
            threshold=threshold,
            trust=guard,
        )
        try:
            if len(bundle.class_names) > CLASSES:
                raise BundleError(
                    f"bundle {bundle.path}: {len(bundle.class_names)} classes, expected at most {CLASSES}"
                )
            self._repeat = None if self.has_known_answers else _repeat(engine)
            if self.self_test():
                raise EngineError(f"{self.problem}; build the bundle again, or choose another --engine or --precision")
        except BaseException:
            self.screener.close()
            raise
        self.clinical_use = bundle.manifest.clinical_use
        self.class_names = bundle.class_names
        self.sha256 = bytes.fromhex(bundle.sha256)
        self.info = _info(bundle, engine, bundle.manifest.refer_threshold if threshold is None else threshold)

    @property
    def has_known_answers(self) -> bool:
        """Whether the bundle brings its own; otherwise the engine must at least repeat itself."""
        return self.screener.trust is not None and self.screener.trust.self_test.state != "none"

    def self_test(self) -> str:
        """Ask the engine what is known; gives why it is not to be believed from now on, "" when it is. Never raises."""
        if self._repeat is None:
            self._guard.test(self._engine)
        elif not self._unsteady and (reason := self._repeat.run(self._engine)):
            self._unsteady = f"{FAILED}: {reason}"
        return self.problem

    @property
    def problem(self) -> str:
        """Why nothing that it says is to be believed, "" when it is."""
        return self._unsteady or self._guard.problem

    @property
    def drift(self) -> str:
        """The drift alarm's reasons, "" when there is none."""
        trust = self.screener.trust
        return "; ".join(trust.drift.reasons) if trust is not None and trust.drift.state == "alarm" else ""

    def close(self) -> None:
        """Give the engine back."""
        self.screener.close()


def open_model(
    path: Path | None, site: Site, engine: str, precision: str, threads: int | None, budget_ms: float | None
) -> Model:
    """The bundle in that folder, checked, loaded and tested. Raises `ScreeningError`s."""
    from runtime.bundle import open_bundle

    bundle = open_bundle(path)
    guard = Guard(bundle, site)
    return Model(bundle, guard, load_engine(guard.bundle, engine, precision, threads), Budget(total=budget_ms))


def _repeat(engine: Engine) -> SelfTest:
    """A self-test out of the engine's own first answer to a drawn picture."""
    ramp = np.linspace(0, 255, SIDE).astype(np.uint8)
    image = np.empty((1, SIDE, SIDE, 3), np.uint8)
    image[0, :, :, 0], image[0, :, :, 1], image[0, :, :, 2] = ramp, ramp[:, np.newaxis], 64
    first = ask(engine, image)
    return SelfTest((Known(image, first.probabilities, first.blocks),), Tolerance(SAME_MACHINE, SAME_MACHINE))


def _info(bundle: Bundle, engine: Engine, threshold: float) -> BundleInfo:
    names = bundle.class_names
    return BundleInfo(
        bytes.fromhex(bundle.sha256),
        bundle.manifest.name,
        bundle.manifest.version,
        engine.facts.backend,
        engine.facts.precision,
        engine.facts.device,
        bundle.facts.notice,
        threshold,
        len(names),
        sum(1 << at for at, label in enumerate(bundle.manifest.classes) if label.refer),
        (*names, *[""] * (CLASSES - len(names))),
    )
