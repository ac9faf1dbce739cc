"""`python -m tests.mutation`: mutate what decides an outcome, and list the mutations that no test notices.

Each mutation is tried in a copy of the repository, in a process of its own that was forked after the libraries were
loaded: first by the tests that pass through its lines, the quickest first, then by all of its plan. What was found is
kept in a file, so that the next run goes on where this one ended; it is forgotten for a file that changed, and
`--again` asks the survivors anew. Mutations that change no outcome stand in `harmless.json` with the reason. Exit
code 1 when others live.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.generate import Mutation, mutations
from tests.mutation.kept import KEPT
from tests.mutation.passing import Passing, Recorder, nearest, recorded
from tests.mutation.plan import GENERATED, ONLY_IN

ROOT = Path(__file__).parents[2]
HARMLESS = Path(__file__).parent / "harmless.json"
LIBRARIES = ("numpy", "cv2", "pydantic", "pytest", "hypothesis", "cryptography.hazmat.primitives.asymmetric.ed25519")
"""Loaded once, before the processes are forked; nothing of this project's."""
QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
"""Which says that a library was loaded before its own asserts could be rewritten."""
PATIENCE_S = 600
"""And of tests whose time is known at most `SLOWEST` times that, and a minute."""
SLOWEST = 20
_MOMENTS = itertools.count(10**9)


@dataclass(frozen=True)
class Task:
    """A mutation, and the tests of which one should fail."""

    mutation: Mutation
    tests: tuple[str, ...]
    state: str
    """Of the file and its tests when it was tried, so that another is tried anew."""


def tasks(only: list[str]) -> Iterator[Task]:
    """All that is to be tried: first what was kept, then what is generated. only: beginnings of files' names."""
    for kept in KEPT:
        if _chosen(f"kept {kept.file}", only):
            yield Task(kept.mutation(ROOT), kept.tests, _state(kept.file, kept.tests))
    for file, tests in GENERATED.items():
        if _chosen(file, only):
            state = _state(file, tests)
            found = mutations(file, (ROOT / file).read_bytes(), ONLY_IN.get(file, ()))
            yield from (Task(made, tests, state) for made in found)


def _chosen(file: str, only: list[str]) -> bool:
    return not only or any(file.startswith(part) for part in only)


def _state(file: str, tests: tuple[str, ...]) -> str:
    return hashlib.sha256((ROOT / file).read_bytes() + repr(tests).encode()).hexdigest()[:16]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument(
        "only",
        nargs="*",
        metavar="FILE",
        help="files, by the beginning of their name, `kept` for the kept ones (default: all)",
    )
    parser.add_argument("--state", type=Path, default=ROOT / ".mutation.jsonl", metavar="FILE", help="what was found")
    parser.add_argument("--again", action="store_true", help="try the survivors again: tests were added")
    parser.add_argument(
        "--nearest",
        action="store_true",
        help="ask only the tests that pass through the lines: quicker, for a first look",
    )
    parser.add_argument("--list", action="store_true", help="say what would be tried, and try nothing")
    options = parser.parse_args(argv)
    known = _known(options.state, options.again)
    harmless = {entry["mutation"]: entry["why"] for entry in json.loads(HARMLESS.read_text())}
    wanted = list(tasks(options.only))
    if options.list:
        for task in wanted:
            print(f"{task.mutation.line:5} {task.mutation.name}")
        return 0
    left = [t for t in wanted if (t.mutation.name, t.state) not in known and t.mutation.name not in harmless]
    print(f"{len(wanted)} mutations, {len(wanted) - len(left)} known, {len(left)} to try", flush=True)
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder, options.state.open("a") as log:
        copy = _copied(Path(folder) / "copy")
        _load_libraries()
        asked: dict[tuple[str, tuple[str, ...]], list[Passing]] = {}
        for number, task in enumerate(left, 1):
            began = time.monotonic()
            key = task.mutation.file, task.tests
            if key not in asked:
                asked[key] = _passing(copy, *key)
            if not asked[key]:
                print(f"{' '.join(task.tests)}: not green as they are; nothing can be told by them", flush=True)
            found = _try(copy, task, asked[key], options.nearest) if asked[key] else "broken"
            known[task.mutation.name, task.state] = found
            entry = {"mutation": task.mutation.name, "state": task.state, "found": found}
            log.write(json.dumps(entry) + "\n")
            log.flush()
            if found != "killed":
                print(f"{number}/{len(left)} {found}: {task.mutation.line} {task.mutation.name}", flush=True)
            elif number % 50 == 0:
                print(f"{number}/{len(left)} ({time.monotonic() - began:.1f} s the last)", flush=True)
    return _report(wanted, known, harmless)


def _report(wanted: list[Task], known: dict[tuple[str, str], str], harmless: dict[str, str]) -> int:
    counts: Counter[str] = Counter()
    for task in wanted:
        name = task.mutation.name
        found = "harmless" if name in harmless else known.get((name, task.state), "not tried")
        counts[found] += 1
        if found == "survived":
            print(f"{task.mutation.file}:{task.mutation.line}: {name}")
    print(", ".join(f"{count} {found}" for found, count in sorted(counts.items())))
    return 1 if counts["survived"] or counts["broken"] else 0


def _known(path: Path, again: bool) -> dict[tuple[str, str], str]:
    known: dict[tuple[str, str], str] = {}
    if path.exists():
        for line in path.read_text().splitlines():
            entry = json.loads(line)
            known[entry["mutation"], entry["state"]] = entry["found"]
    return {key: found for key, found in known.items() if not (again and found != "killed")}


def _copied(folder: Path) -> Path:
    """The files that git knows or would take, as they stand."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
            os.utime(folder / name, (0, int((ROOT / name).stat().st_mtime)))
    return folder


def _load_libraries() -> None:
    for name in LIBRARIES:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "runtime", "device")]:
        if name != "tests" and not name.startswith("tests.mutation"):
            raise SystemExit(f"{name} is loaded already, a mutation of it would not be seen")


def _passing(copy: Path, file: str, tests: tuple[str, ...]) -> list[Passing]:
    """What each of the tests passes through, as the file stands; none where one is red."""
    out = copy.parent / "passing.jsonl"
    out.unlink(missing_ok=True)
    green = _tested(copy, tests, Recorder(copy / file, out)) == "survived"
    return recorded(out) if green else []


def _try(copy: Path, task: Task, passing: list[Passing], only_nearest: bool) -> str:
    """`killed` by a test, `survived`, or `broken` where nothing could be run."""
    mutation = task.mutation
    first = nearest(passing, range(mutation.line, mutation.line + len(mutation.old.splitlines())))
    place = copy / task.mutation.file
    original, was = place.read_bytes(), place.stat()
    place.write_bytes(task.mutation.apply(original))
    os.utime(place, (was.st_atime, next(_MOMENTS)))  # Python knows by time and size whether its bytecode is of this
    try:
        usual_s = sum(one.seconds for one in passing if one.test in first)
        found = _tested(copy, first, patience_s=min(PATIENCE_S, 60 + SLOWEST * usual_s))
        told = found == "killed" or (found == "survived" and (only_nearest or len(first) == len(passing)))
        return found if told else _tested(copy, task.tests)  # `broken`, too, where what is imported ends at once
    finally:
        place.write_bytes(original)
        os.utime(place, (was.st_atime, int(was.st_mtime)))


def _tested(
    copy: Path, tests: tuple[str, ...], recorder: Recorder | None = None, patience_s: float = PATIENCE_S
) -> str:
    """recorder: watches them as the file stands, which is when Python may keep its bytecode."""
    child = os.fork()
    if child == 0:
        _test(copy, tests, recorder)
    end = time.monotonic() + patience_s
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > end:  # it waits for ever: a test would notice
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "killed"
        time.sleep(0.05)
    code = os.waitstatus_to_exitcode(status)
    return {0: "survived", 4: "broken", 5: "broken"}.get(code, "killed")


def _test(copy: Path, tests: tuple[str, ...], recorder: Recorder | None) -> None:
    """In the forked process; never returns."""
    os.setpgid(0, 0)
    os.chdir(copy)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    for name in [name for name in sys.modules if name == "tests" or name.startswith("tests.")]:
        del sys.modules[name]
    sys.path[:] = [str(copy), *(path for path in sys.path if Path(path or ".").resolve() != ROOT)]
    os.environ["PYTHONPATH"] = str(copy)
    if recorder is None:
        sys.dont_write_bytecode, os.environ["PYTHONDONTWRITEBYTECODE"] = True, "1"
    import pytest

    code = 3
    try:
        code = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *QUIET, *tests], [recorder] if recorder else []))
    finally:
        os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
