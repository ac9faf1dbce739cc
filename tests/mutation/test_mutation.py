"""The mutations still fit the sources, and the generator makes what it says."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.mutation.generate import Mutation, mutations
from tests.mutation.kept import KEPT, Kept
from tests.mutation.passing import Passing, nearest, recorded
from tests.mutation.plan import GENERATED, ONLY_IN

ROOT = Path(__file__).parents[2]
HARMLESS = json.loads((Path(__file__).parent / "harmless.json").read_text())


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: f"{kept.file}: {' '.join(kept.old.split())[:40]}")
def test_each_that_was_kept_still_finds_its_text(kept: Kept) -> None:
    made = kept.mutation(ROOT)
    ast.parse(made.apply((ROOT / kept.file).read_bytes()))
    for name in kept.tests:
        assert (ROOT / name.partition("::")[0]).exists(), name


@cache
def made_of(file: str) -> tuple[Mutation, ...]:
    """All mutations of a file of the plan."""
    return tuple(mutations(file, (ROOT / file).read_bytes(), ONLY_IN.get(file, ())))


def test_each_file_has_mutations_and_tests() -> None:
    for file, tests in GENERATED.items():
        assert made_of(file)
        assert all((ROOT / name.partition("::")[0]).exists() for name in tests)


def test_each_that_was_judged_harmless_has_a_reason_and_is_still_made() -> None:
    known: set[str] = set()
    for file in {entry["mutation"].split(":")[0] for entry in HARMLESS}:
        known |= {made.name for made in made_of(file)}
    assert {entry["mutation"] for entry in HARMLESS} <= known
    assert all(entry["why"] for entry in HARMLESS)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", {"x = (a <= b)", "x = (a >= b)"}),
        ("x = a if b else c", {"x = (a)", "x = (c)"}),
        ("x = not a", {"x = (a)"}),
        ("x = a and b", {"x = (a or b)", "x = (b)", "x = (a)"}),
        ("if a:\n    f(b, c)", {"if not (a):", "if False:", "    pass"}),
        ("x = f(b=1, c=d)", {"x = f(c=d)", "x = f(b=1)", "x = f(b=2, c=d)", "x = f(b=0, c=d)"}),
        ("x = Outcome.REFER", {f"x = Outcome.{o}" for o in ("NO_REFERRAL_FINDINGS", "RETAKE", "NO_RESULT")}),
        ("x = min(a, b)", {"x = max(a, b)"}),
        ("x: int = True", {"x: int = False"}),
        ('"""Text."""', set()),
        ("assert a < b", set()),
    ],
)
def test_what_the_generator_makes(source: str, expected: set[str]) -> None:
    assert {made.new for made in mutations("x.py", f"{source}\n".encode())} == {f"{line}\n" for line in expected}


def test_a_mutation_changes_its_place_only() -> None:
    source = b"a = 1\nb = 'n\xc3\xa4chste' if 2 < 3 else 4\n"
    for made in mutations("x.py", source):
        changed = made.apply(source)
        assert len(changed.splitlines()) == 2
        assert (changed.splitlines()[0] == b"a = 1") or made.line == 1


def test_of_lines_that_read_alike_each_has_a_name() -> None:
    """One that lives is not hidden by its like that a test kills."""
    names = [made.name for made in mutations("x.py", b"try:\n    a()\nexcept E:\n    raise\nelse:\n    raise\n")]
    assert len(set(names)) == len(names)
    assert {"x.py: raise => pass", "x.py: raise => pass (2)"} <= set(names)


WATCHED = """
import sys
from pathlib import Path

import pytest

from tests.mutation.passing import Recorder

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
sys.exit(pytest.main([
    "-q", "-p", "no:cacheprovider", f"--rootdir={folder}", "-c", str(folder / "none.ini"), str(folder)
], [Recorder(folder / "turns.py", folder / "out.jsonl")]))
"""


def test_each_test_is_known_by_the_lines_that_it_runs_in_its_threads_too(tmp_path: Path) -> None:
    (tmp_path / "none.ini").write_text("[pytest]\n")
    (tmp_path / "turns.py").write_text("def turn(way):\n    if way:\n        return 1\n    return 2\n")
    (tmp_path / "test_turns.py").write_text(
        "import threading\nfrom turns import turn\n"
        "def test_left(): turn(True)\n"
        "def test_right():\n    t = threading.Thread(target=turn, args=(False,))\n    t.start()\n    t.join()\n"
        "def test_neither(): pass\n"
    )
    command = [sys.executable, "-c", WATCHED, str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    lines = {one.test.rpartition("::")[2]: one.lines for one in recorded(tmp_path / "out.jsonl")}
    assert lines == {"test_left": {1, 2, 3}, "test_right": {1, 2, 4}, "test_neither": frozenset()}


def test_those_that_pass_there_are_asked_first_the_quickest_before_all() -> None:
    passing = [
        Passing("a", frozenset({1, 2}), 0.1),
        Passing("b", frozenset({2, 3}), 0.2),
        Passing("c", frozenset(), 0.3),
    ]
    assert nearest(passing, range(2, 3)) == ("a", "b")
    assert nearest(passing, range(3, 9)) == ("b",)
    assert nearest(passing, range(9, 10)) == ("a", "b", "c")  # nobody passes: all are asked
