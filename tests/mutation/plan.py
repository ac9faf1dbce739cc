"""What is mutated by the generator, and the tests of which one should fail: quick ones, the nearest first."""

from __future__ import annotations

T = "tests/runtime"
GUARD = f"{T}/trust/test_guard.py"
GENERATED: dict[str, tuple[str, ...]] = {
    "runtime/decide.py": (f"{T}/test_decide.py",),
    "runtime/trust/word.py": (f"{T}/trust/test_word.py",),
    "runtime/exam/result.py": (f"{T}/exam/test_result.py", f"{T}/exam/test_machine.py"),
    "runtime/engines/base.py": (f"{T}/engines/test_base.py",),
    "runtime/quality.py": (f"{T}/test_quality.py", f"{T}/test_screener.py"),
    "runtime/screener.py": (
        f"{T}/test_screener.py",
        f"{T}/test_explain.py",
        f"{T}/test_familiar.py",
        f"{T}/trust/test_word.py",
        GUARD,
    ),
    "runtime/trust/guard.py": (GUARD, f"{T}/trust/test_issues.py"),
    "runtime/exam/machine.py": (f"{T}/exam/test_machine.py", f"{T}/exam/test_result.py"),
    "runtime/exam/rules.py": (f"{T}/exam/test_rules.py", f"{T}/exam/test_result.py", f"{T}/trust/test_site.py"),
    "runtime/exam/site_rules.py": (f"{T}/trust/test_site.py",),
    "runtime/site_screener.py": (f"{T}/test_site_screener.py", f"{T}/test_read_here.py"),
    "runtime/trust/site.py": (f"{T}/trust/test_site.py", f"{T}/trust/test_issues.py", GUARD),
}
ONLY_IN = {"runtime/quality.py": ("grade", "_reasons", "QualityLimits")}
"""Where not the whole file is: the gate's verdict, not how it measures."""
