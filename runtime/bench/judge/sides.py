"""What the two sides of a comparison are: each in a line, what differs between them, what is mixed within one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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
    """`name: A's -> B's` of each fact that is not the same on both sides."""
    for name in FACTS:
        first, second = values(a, name), values(b, name)
        if first != second:
            yield printable(f"{name}: {' and '.join(first)} -> {' and '.join(second)}")


def mixed(side: Sequence[Report]) -> Iterator[str]:
    """Each fact in which the runs of one side are not alike: their figures are not of one thing."""
    for name in FACTS:
        found = values(side, name)
        if len(found) > 1:
            yield printable(f"mixes {name} ({', '.join(found)})")


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
