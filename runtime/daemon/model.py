"""`Model`: a bundle loaded and tested, ready to read frames."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.budget import Budget
from runtime.bundle import open_bundle
from runtime.daemon.messages import CLASSES, BundleInfo
from runtime.errors import BundleError, EngineError, ScreeningError
from runtime.screener import Screener
from runtime.site_screener import screener_for
from runtime.trust.site import Site, open_site

if TYPE_CHECKING:
    from runtime.bundle import Bundle


class Model:
    """A Screener, loaded and tested. One thread makes, uses and closes it: some engines are bound to their thread.

    screener: of that bundle; the Model closes it. It must not reject repeats: frames of several cameras come in turn,
    and the daemon compares each camera's. site: reads the site anew. Raises `EngineError` when the self-test fails.
    """

    def __init__(self, bundle: Bundle, screener: Screener, site: Callable[[], Site] = Site) -> None:
        self._site, self._unvouched = site, ""
        self.screener = screener
        try:
            if len(bundle.class_names) > CLASSES:
                raise BundleError(
                    f"bundle {bundle.path}: {len(bundle.class_names)} classes, expected at most {CLASSES}"
                )
            if self.self_test():
                raise EngineError(f"{self.problem}; build the bundle again, or choose another --engine or --precision")
        except BaseException:
            self.screener.close()
            raise
        self.clinical_use = bundle.manifest.clinical_use
        self.class_names = bundle.class_names
        self.sha256 = bytes.fromhex(bundle.sha256)
        self.info = _info(bundle, screener)

    @property
    def has_known_answers(self) -> bool:
        """Whether the bundle brings its own; otherwise the engine must at least repeat itself."""
        return self.screener.trust.self_test.state != "none"

    def self_test(self) -> str:
        """Ask the engine what is known; gives why it is not to be believed from now on, "" when it is. Never raises."""
        self.screener.self_test()
        return self.problem

    @property
    def problem(self) -> str:
        """Why nothing that it says is to be believed, "" when it is."""
        return self._unvouched or self.screener.problem

    def ask_the_site(self) -> None:
        """Whether the site, as it is now, still stands for this model; where not, `problem` says so from now on."""
        try:
            self._unvouched = self.screener.unvouched(self._site())
        except ScreeningError as error:
            self._unvouched = str(error)

    @property
    def drift(self) -> str:
        """The drift alarm's reasons, "" when there is none."""
        drift = self.screener.trust.drift
        return "; ".join(drift.reasons) if drift.state == "alarm" else ""

    def close(self) -> None:
        """Give the engine back."""
        self.screener.close()


def open_model(
    path: Path | None,
    site_profile: Path | None,
    trusted_keys: Path | None,
    station: str,
    engine: str,
    precision: str,
    threads: int | None,
    budget_ms: float | None,
) -> Model:
    """The bundle in that folder, checked, loaded and tested under the site's word as its files say it now.

    Raises `ScreeningError`s.
    """
    read_site = partial(open_site, site_profile, trusted_keys, station=station)
    site, bundle = read_site(), open_bundle(path)
    screener = screener_for(
        site,
        bundle,
        engine=engine,
        precision=precision,
        threads=threads,
        budget=Budget(total=budget_ms),
        reject_repeats=False,
        repeats=True,
    )
    return Model(bundle, screener, read_site)


def _info(bundle: Bundle, screener: Screener) -> BundleInfo:
    names, engine = bundle.class_names, screener.facts
    return BundleInfo(
        bytes.fromhex(bundle.sha256),
        bundle.manifest.name,
        bundle.manifest.version,
        engine.backend,
        engine.precision,
        engine.device,
        bundle.facts.notice,
        screener.threshold,
        len(names),
        sum(1 << at for at, label in enumerate(bundle.manifest.classes) if label.refer),
        (*names, *[""] * (CLASSES - len(names))),
    )
