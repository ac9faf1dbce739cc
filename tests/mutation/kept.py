"""Mutations that once lived, or that no generator thinks of: wiring by which a site's word, or a check, is lost.

Each can turn REFER into NO_REFERRAL_FINDINGS, or have an unchecked model read. `tests/mutation/test_mutation.py` holds
that each still finds its text.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.mutation.generate import Mutation

WORD = "tests/runtime/word/test_sites_word.py"
READING = WORD + "::test_a_profile_reaches_every_reading"
CLIENTS = (WORD + "::test_a_profile_reaches_every_client_of_the_daemon[one limit]",)
BUDGETS = WORD + "::test_of_the_sites_budget_and_the_callers_the_smaller_counts[60000.0-0.001-"
RELOAD = ("tests/runtime/word/test_reload.py",)
GUARD = ("tests/runtime/trust/test_guard.py",)
SCREENER = ("tests/runtime/test_screener.py",)
SITE_WORD = ("tests/runtime/trust/test_word.py",)
ISSUES = ("tests/runtime/trust/test_issues.py",)
SITE = ("tests/runtime/trust/test_site.py",)
CART = "tests/runtime/word/test_cart.py::"
CARTS_READING = CART + "test_a_profile_reaches_every_reading[higher threshold]"
CARTS_DAEMON = CART + "test_a_profile_reaches_every_reading_of_a_daemon[higher threshold]"
CARTS_OTHER_DAEMON = CART + "test_a_daemon_that_was_started_without_the_profile_gives_no_finding_against_it[one limit]"
CARTS_BUDGETS = CART + "test_of_the_sites_budget_and_the_carts_the_smaller_counts"
CARTS_SITE = "open_site(config.site.profile, config.site.trusted_keys, station=config.station)"
AGAIN = "tests/runtime/word/test_reread.py::"


@dataclass(frozen=True)
class Kept:
    """One text in one file that becomes another."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def mutation(self, root: Path) -> Mutation:
        """Of the file as it is. Raises `ValueError` where the text is not there exactly once."""
        source = (root / self.file).read_bytes()
        old = self.old.encode()
        if source.count(old) != 1:
            raise ValueError(f"{self.file}: {self.old!r} is there {source.count(old)} times, expected once")
        start = source.index(old)
        line = source[:start].count(b"\n") + 1
        return Mutation(self.file, line, self.old, self.new, start, start + len(old), self.new)


OPTIONS = "open_site(options.site_profile, options.trusted_keys, station=options.station)"
MODEL = "open_site(model.site_profile, model.trusted_keys, station=model.station)"
STATION = WORD + "::test_a_profile_for_some_carts_is_obeyed_on_the_one_that_the_line_names"
NO_SITE = "open_site(None, None)"
KEPT = (
    Kept("runtime/screen/run.py", OPTIONS, NO_SITE, (READING + "[one limit-screen]",)),
    Kept("runtime/exam/commands/common.py", OPTIONS, NO_SITE, (READING + "[one limit-exam]",)),
    Kept("runtime/bench/session.py", MODEL, NO_SITE, (READING + "[one limit-bench]",)),
    Kept("runtime/screen/run.py", ", station=options.station", "", (STATION + "[screen]",)),
    Kept("runtime/exam/commands/common.py", ", station=options.station", "", (STATION + "[exam]",)),
    Kept("runtime/bench/session.py", ", station=model.station", "", (STATION + "[bench]",)),
    Kept("runtime/daemon/model.py", "trusted_keys, station=station)", "trusted_keys)", (STATION + "[daemon]",)),
    Kept("runtime/daemon/commands/serve.py", "        options.station,\n", '        "",\n', (STATION + "[daemon]",)),
    Kept(
        "runtime/reread/run.py",
        "        station=options.station,\n",
        "",
        (AGAIN + "test_a_profile_reaches_every_re_reading[higher threshold]",),
    ),
    Kept("runtime/daemon/model.py", "open_site, site_profile, trusted_keys,", "open_site, None, None,", CLIENTS),
    Kept("runtime/daemon/model.py", "        site,\n        bundle,\n", "        Site(),\n        bundle,\n", CLIENTS),
    Kept(
        "runtime/daemon/commands/serve.py",
        "        options.bundle,\n        options.site_profile,\n",
        "        options.bundle,\n        None,\n",
        CLIENTS,
    ),
    Kept("runtime/daemon/commands/serve.py", "        options.budget_ms,\n", "        None,\n", (BUDGETS + "daemon]",)),
    Kept("runtime/daemon/model.py", "budget=Budget(total=budget_ms)", "budget=Budget()", (BUDGETS + "daemon]",)),
    Kept("runtime/daemon/reader.py", "            old.ask_the_site()\n", "", RELOAD),
    Kept("runtime/exam/commands/exams.py", "budget_ms=options.budget_ms or ", "budget_ms=", (BUDGETS + "exam]",)),
    Kept("runtime/cart/configured.py", CARTS_SITE, NO_SITE, (CARTS_READING,)),
    Kept("runtime/cart/configured.py", "            budget=budget,\n", "", (CARTS_BUDGETS,)),
    Kept(
        "runtime/cart/configured.py",
        "word=sites_word(site, bundle, threshold",
        "word=sites_word(Site(), bundle, threshold",
        (CARTS_OTHER_DAEMON,),
    ),
    Kept(
        "runtime/cart/configured.py", "threshold=threshold, budget=budget),", "threshold=threshold),", (CARTS_DAEMON,)
    ),
    Kept("runtime/daemon/whole.py", "            if not own.gradable:", "            if False:", (CARTS_OTHER_DAEMON,)),
    Kept(
        "runtime/cart/configured.py",
        "site_rules(in_use.site, ",
        "site_rules(Site(), ",
        (CART + "test_views_and_retakes_reach_the_exam",),
    ),
    Kept(
        "runtime/reread/run.py",
        "            kept.read_by(asdict(reader))\n",
        "",
        (AGAIN + "test_a_run_that_was_cut_off_does_not_go_on_by_another_profile",),
    ),
    Kept(
        "runtime/reread/run.py",
        "site_profile=_absolute(options.site_profile),",
        "site_profile=None,",
        (AGAIN + "test_a_profile_reaches_every_re_reading[higher threshold]",),
    ),
    Kept("runtime/screener.py", "limits=limits)", "limits=None)", SCREENER),
    Kept("runtime/screener.py", "grade(image[0], self._word.limits)", "grade(image[0])", SCREENER),
    Kept("runtime/screener.py", "Guard(bundle, open_site())", "Guard(bundle)", GUARD),
    Kept("runtime/screener.py", ", word.threshold)", ")", GUARD),
    Kept("runtime/site_screener.py", "Guard(bundle, site, ", "Guard(bundle, None, ", GUARD),
    Kept("runtime/trust/word.py", "_tighter(budget, profile.budget)", "budget", SITE_WORD),
    Kept("runtime/trust/told.py", "max(said.issue, told.highest.get(said.name, 0))", "said.issue", ISSUES),
    Kept(
        "runtime/trust/told.py", "told.back[said.name] =", "told.back[said.name] = told.back.get(said.name) or", ISSUES
    ),
    Kept("runtime/trust/issues.py", "seen = max(told, _read", "seen = told or max(0, _read", ISSUES),
    Kept("runtime/trust/issues.py", "back={**_read_back(back), name: sha256}", "back={name: sha256}", ISSUES),
    Kept("runtime/trust/issues.py", "fcntl.flock(descriptor, fcntl.LOCK_EX)", "pass", ISSUES),
    Kept("runtime/trust/told.py", "                os.fsync(descriptor)\n", "", ISSUES),
    Kept("runtime/trust/keys.py", "for path in (folder, *paths):", "for path in paths:", SITE),
    Kept("runtime/trust/profile.py", "if today > profile.expires", "if today >= profile.expires", SITE),
    Kept("runtime/trust/profile.py", "if today < profile.issued", "if today <= profile.issued", SITE),
    Kept("runtime/trust/guard.py", "            self._check_known()\n", "            pass\n", GUARD),
    Kept(
        "runtime/engines/openvino/engine.py",
        "        self._probabilities.fill(np.nan)\n",
        "",
        ("tests/runtime/engines/openvino/test_deadlines.py",),
    ),
)
