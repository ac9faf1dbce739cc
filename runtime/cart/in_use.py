"""`InUse`: the bundle that a cart reads with: the open exam's own, between exams the active one of the slots."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from runtime.bundle import DEMONSTRATION, Bundle, open_bundle
from runtime.bundles.starts import WENT_BACK
from runtime.errors import BundleError, ScreeningError
from runtime.slots import default_slots, read_active, resolve
from runtime.trust.issues import NoIssues
from runtime.trust.site import Site
from runtime.trust.word import sites_word


class InUse:
    """Which bundle the desk's reader is made of. For the desk's thread; `problem` may be read from any.

    folder: as for `open_bundle`. Raises `ScreeningError` for a bundle that is not there or that the site refuses.
    """

    def __init__(self, site: Site, folder: Path | None) -> None:
        self._site, self._folder = site, folder
        self._of_exam = ""
        self.site = site
        """The site, as it judges this bundle: an open exam's may be older than the newest issue that was used here."""
        self.bundle = open_bundle(folder)
        site.check_bundle(self.bundle)
        self.limits = sites_word(site, self.bundle).limits
        """Of the gate, by site and bundle; may be read from any thread."""
        self.proven = False
        """Whether this bundle was loaded and passed its self-test in this program."""
        self.problem = ""
        """Why an open exam does not go on under its own bundle; "" when it does, or none is open."""

    def use(self, exam_sha256: str | None) -> bool:
        """Use the bundle of an exam by its SHA-256, or the active one; whether it is another one than before.

        Where an exam's own bundle cannot be had it is the active one, and `problem` says so: the journal takes no
        finding of another bundle than the exam's. Raises `ScreeningError` where the active one cannot be had.
        """
        if exam_sha256 is None:
            self._of_exam, self.problem = "", ""
            return self._use_active()
        if exam_sha256 == self._of_exam:
            return False
        self._of_exam, self.problem = exam_sha256, ""
        site = replace(self._site, issues=NoIssues())
        try:
            self._not_left(exam_sha256)
            bundle = self.bundle
            if bundle.sha256 != exam_sha256:
                bundle = open_bundle(self._folder, sha256=exam_sha256)
            if bundle.sha256 != exam_sha256:
                raise BundleError(f"{exam_sha256[:12]}... is not installed")
            site.check_bundle(bundle)
        except ScreeningError as error:
            self._told(error)
            return self._use_active()
        return self._take(bundle, site)

    def leave(self, why: Exception) -> bool:
        """The open exam's bundle does not load: use the active one; False where that is the same one."""
        own = self.bundle.sha256
        if not self._of_exam or self.problem or own != self._of_exam:
            return False
        with suppress(ScreeningError):
            self._use_active()
        self._told(why)
        return self.bundle.sha256 != own

    def _use_active(self) -> bool:
        shipped = self.bundle.path == DEMONSTRATION
        if shipped and self._folder is None and read_active(default_slots()) is None:
            return self._take(self.bundle, self._site)  # bundles may be installed meanwhile, none is active yet
        if (resolve(self._folder) or DEMONSTRATION) == self.bundle.path:
            return self._take(self.bundle, self._site)
        return self._take(open_bundle(self._folder), self._site)

    def _take(self, bundle: Bundle, site: Site) -> bool:
        if bundle is self.bundle:
            self.site = site
            return False
        site.check_bundle(bundle)
        self.limits = sites_word(site, bundle).limits
        self.bundle, self.site, self.proven = bundle, site, False
        return True

    def _not_left(self, sha256: str) -> None:
        """An exam's bundle that this cart's programs went back from by themselves would fail them again."""
        with suppress(BundleError):
            state = read_active(self._folder or default_slots())
            if state is not None and state.previous == sha256 and state.returned and state.why.startswith(WENT_BACK):
                raise _Left(state.why)

    def _told(self, why: Exception) -> None:
        self.problem = (
            f"the open exam's own bundle cannot be used ({why}); its pictures have no result from now on: end the exam "
            f"and open another one"
        )


class _Left(ScreeningError):
    """The cart went back from it."""
