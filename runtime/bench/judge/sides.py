"""What the two sides of a comparison are: each in a line, what differs between them, what is mixed within one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from runtime.bench.schema import Report
from runtime.commands.text import printable


def _cores(report: Report) -> str:
    cores = report.environment.affinity
    return "not recorded" if cores is None else ranges(cores)


def _quota(report: Report) -> str:
    quota = report.environment.quota_cores
    return "none" if quota is None else f"{quota:g} cores"


FACTS: dict[str, Callable[[Report], str]] = {
    "bundle": lambda report: f"{report.bundle.name} {report.bundle.version} ({report.bundle.sha256[:12]})",
    "precision": lambda report: report.engine.precision,
    "engine": lambda report: f"{report.engine.backend} on {report.engine.device}",
    "plan": lambda report: (report.engine.plan_sha256 or "none")[:12],
    "threads": lambda report: str(report.engine.threads or "default"),
    "affinity": _cores,
    "quota": _quota,
    "CPU": lambda report: f"{report.environment.processor}, {report.environment.cores} cores",
    "software": lambda report: report.version,
    "libraries": lambda report: ", ".join(f"{name} {at}" for name, at in sorted(report.environment.libraries.items())),
    "percentile": lambda report: f"p{report.percentile.p:g}",
}
"""What a side is, by the name that a difference is told under."""
COVERED = {
    "bundle": ("bundle.name", "bundle.version", "bundle.sha256"),
    "precision": ("engine.precision",),
    "engine": ("engine.backend", "engine.device"),
    "plan": ("engine.plan_sha256",),
    "threads": ("engine.threads",),
    "affinity": ("environment.affinity",),
    "quota": ("environment.quota_cores",),
    "CPU": ("environment.processor", "environment.cores"),
    "software": ("version",),
    "libraries": ("environment.libraries",),
    "percentile": ("percentile.p", "percentile.samples_needed", "plan.percentile"),
}
"""What in a report a fact tells of: not told a second time, by its path, where the fact differs."""
OWN = (
    *("created", "command", "verdict", "findings", "counts", "rows", "run", "machine", "by_size", "energy", "layers"),
    *("cold_start", "accuracy", "peer", "peers", "slowest", "frames", "plan.warmup_steady"),
    *("percentile.value_ms", "percentile.upper_bound_ms"),
    *("trust.self_test.at", "trust.self_test.reason", "trust.drift"),
)
"""A run's own: when it was, what it found. All else that a report holds is what was measured, and is compared."""
ONE = ("bundle", "environment", "trust")
"""In which all runs of a side must be alike, beside the facts."""
MOST_SHOWN = 80
TOLD = ("bundle", "precision", "engine", "threads", "affinity", "CPU", "software")
"""Those that are told even when both sides are alike in them."""


def described(side: Sequence[Report]) -> str:
    """A side in a line. side: at least one report."""
    facts = {name: " and ".join(values(side, name)) for name in TOLD}
    runs = "1 run" if len(side) == 1 else f"{len(side)} runs"
    return printable(
        f"bundle {facts['bundle']}, {facts['precision']} graphs, {facts['engine']}, threads {facts['threads']}, "
        f"cores {facts['affinity']} of {facts['CPU']}; version {facts['software']}; {runs} from {side[0].created}"
    )


def differing(a: Sequence[Report], b: Sequence[Report]) -> Iterator[str]:
    """`name: A's -> B's` of each fact that is not the same on both sides, then of all else recorded, by path."""
    told: set[str] = set()
    for name in FACTS:
        first, second = values(a, name), values(b, name)
        if first != second:
            told.update(COVERED[name])
            yield printable(f"{name}: {' and '.join(first)} -> {' and '.join(second)}")
    before, after = _leaves(a), _leaves(b)
    for path in dict.fromkeys((*before, *after)):
        if before.get(path) != after.get(path) and not _under(path, told):
            yield printable(f"{path}: {_shown(before.get(path))} -> {_shown(after.get(path))}")


def mixed(side: Sequence[Report]) -> Iterator[str]:
    """Each fact in which the runs of one side are not alike: their figures are not of one thing."""
    told: set[str] = set()
    for name in FACTS:
        found = values(side, name)
        if len(found) > 1:
            told.update(COVERED[name])
            yield printable(f"mixes {name} ({', '.join(found)})")
    for path, leaves in _leaves(side).items():
        if len(leaves) > 1 and _under(path, ONE) and not _under(path, told):
            yield printable(f"mixes {path} ({_shown(leaves)})")


def _leaves(side: Sequence[Report]) -> dict[str, set[str | None]]:
    """By path what the reports of a side say there, but for a run's own; None of a report that says nothing."""
    reports = [dict(_flat("", report.model_dump(mode="json", by_alias=True, exclude={"frames"}))) for report in side]
    paths = dict.fromkeys(path for report in reports for path in report)
    return {path: {report.get(path) for report in reports} for path in paths}


def _flat(path: str, value: object) -> Iterator[tuple[str, str | None]]:
    if _under(path, OWN):
        return
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _flat(f"{path}.{name}" if path else str(name), part)
    elif value is not None:
        yield path, value if isinstance(value, str) else json.dumps(value)


def _under(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith(f"{root}.") for root in roots)


def _shown(found: set[str | None] | None) -> str:
    words = sorted("none" if leaf is None else leaf or '""' for leaf in found or {None})
    return " and ".join(word if len(word) <= MOST_SHOWN else f"{word[:MOST_SHOWN]}..." for word in words)


def values(side: Sequence[Report], name: str) -> list[str]:
    """What the reports of a side say of a fact, each once."""
    return sorted({FACTS[name](report) for report in side})


def ranges(cores: Sequence[int]) -> str:
    """`0-3,8` of 0, 1, 2, 3, 8, as taskset writes it."""
    found: list[list[int]] = []
    for core in sorted(cores):
        if found and core == found[-1][1] + 1:
            found[-1][1] = core
        else:
            found.append([core, core])
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in found)
