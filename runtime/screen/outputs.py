"""The output folder of a run: what is written there, and the sinks that write it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from runtime.screen.arguments import ScreenOptions
from runtime.sinks.base import Sink
from runtime.sinks.earlier_run import clear_earlier_run
from runtime.sinks.gates import GatesSink
from runtime.sinks.jsonl import JsonLinesSink, StandardOutputSink
from runtime.sinks.names import FrameNames
from runtime.sinks.overlay import OverlaySink
from runtime.sinks.run_facts import RunFactsSink
from runtime.sinks.summary import SummarySink
from runtime.sinks.tally import Tally
from runtime.sinks.vessels import VesselSink

READINGS, OVERLAYS, VESSELS, GATES = "readings.jsonl", "overlays", "vessels", "gates"
SUMMARY, RUN_FACTS = "summary.html", "run.json"


def open_sinks(options: ScreenOptions, tally: Tally, not_read: Callable[[], Sequence[str]]) -> list[Sink]:
    """The sinks of a run, the record first; an earlier run's files are removed. Raises `OutputError`.

    not_read: as for `SummarySink`.
    """
    out, names = options.out, FrameNames()
    pictured = {OVERLAYS: OverlaySink.ENDING, VESSELS: VesselSink.ENDING, GATES: GatesSink.ENDING}
    clear_earlier_run(
        out / READINGS, {out / name: ending for name, ending in pictured.items()}, (out / SUMMARY, out / RUN_FACTS)
    )
    pictures: list[Sink] = []
    if options.overlays:
        pictures.append(OverlaySink(out / OVERLAYS, names))
    if options.vessels:
        pictures.append(VesselSink(out / VESSELS, names))
    if options.gates:
        pictures.append(GatesSink(out / GATES, names))
    readings: list[Sink] = [JsonLinesSink(out / READINGS)]
    if options.json:
        readings.append(StandardOutputSink())
    return [
        *readings,
        *pictures,
        SummarySink(out / SUMMARY, tally, not_read),
        RunFactsSink(out / RUN_FACTS, tally, not_read),
    ]


def written(options: ScreenOptions) -> list[str]:
    """What stands in the output folder after a run, for the end summary; a full disk may have left less."""
    folders = [OVERLAYS] if options.overlays else []
    folders += [VESSELS] if options.vessels else []
    folders += [GATES] if options.gates else []
    paths = [options.out / name for name in (READINGS, *folders, SUMMARY, RUN_FACTS)]
    return [str(path) for path in paths if path.exists()]
