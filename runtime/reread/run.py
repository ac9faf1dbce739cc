"""One run of `python -m runtime.reread`: sources listed, frames read, table and report written, the exit code."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device.outputs import OutputFolder
from runtime.bundle import Bundle, open_bundle
from runtime.commands.say import say
from runtime.commands.stop import Interrupted, Stop
from runtime.commands.text import error_text, printable
from runtime.cores import allowed_cores
from runtime.errors import OutputError, ScreeningError
from runtime.exam.journal.crypt import taken_key
from runtime.reread.arguments import RereadOptions
from runtime.reread.drive import ReaderPool, drive
from runtime.reread.errors import RereadError
from runtime.reread.figures import NONE_FOUND, REFER, report_of
from runtime.reread.folders import LABELS
from runtime.reread.kept import PICTURE_END, WorkFolder, picture_name
from runtime.reread.keyring import JournalKeys
from runtime.reread.page import render
from runtime.reread.reader import ReaderFacts, ReaderSettings
from runtime.reread.row import RereadResult
from runtime.reread.sources import FrameStore, find_sources, stored_in
from runtime.reread.stored import Stored
from runtime.reread.table import place_of_table, write_table
from runtime.sinks.files import keep_inputs
from runtime.trust.watch import open_reference

if TYPE_CHECKING:
    from runtime.trust.drift import Reference

DONE, INCOMPLETE, UNUSABLE = 0, 1, 2
REPORT_SCHEMA = "rop.reread/1"
MOST_SHOWN = 200
PICTURES = "pictures"
TELL_EVERY_S = 10.0


def run(options: RereadOptions) -> int:
    """Read the frames as the options say; the exit code."""
    with Stop() as stop:
        try:
            with stop.interruptible:
                opened = _open(options)
            return _run(options, stop, *opened)
        except Interrupted:
            return stop.exit_code
        except OutputError as error:
            _complain(error)
            return INCOMPLETE
        except ScreeningError as error:
            _complain(error)
            return UNUSABLE


def _open(options: RereadOptions) -> tuple[Path, list[FrameStore], Bundle, WorkFolder]:
    out, instead = place_of_table(options.out.absolute())
    if instead:
        _tell(instead)
    if out.is_dir():
        raise RereadError(f"--out {out}: a folder stands there; name a file")
    sources = find_sources(options.sources)
    if options.ray is not None and not options.key_files and taken_key() and any(one.journal for one in sources):
        raise RereadError(
            "--ray: the key in ROP_JOURNAL_KEY reaches no reader; name its file with --key-file, at the same place on "
            "every node"
        )
    try:
        labels = (Path(source.folder) / LABELS for source in sources if not source.journal)
        keep_inputs(out, [*labels, *options.key_files])
    except OutputError as error:  # of the call, not of the work
        raise RereadError(str(error)) from None
    bundle = open_bundle(options.bundle)
    identity = {
        "bundle": bundle.sha256,
        "engine": options.engine,
        "precision": options.precision,
        "site_profile": _absolute(options.site_profile),
        "sources": [source.folder for source in sources],
        "file_names": options.file_names,
    }
    return out, sources, bundle, WorkFolder(out.with_name(out.name + ".work"), identity)


def _run(
    options: RereadOptions, stop: Stop, out: Path, sources: list[FrameStore], bundle: Bundle, kept: WorkFolder
) -> int:
    told = _Told()
    with kept:
        before = kept.count
        if before:
            _tell(
                f"going on where an earlier run was cut off: {before} frames are done; those that changed are read anew"
            )
        keys = JournalKeys([str(path.absolute()) for path in options.key_files])
        classes = [label.name for label in bundle.manifest.classes]
        frames = (
            stored
            for stored in stored_in(sources, keys, classes, told.tell, note=told.note, show_files=options.file_names)
            if not told.twice(stored) and not kept.has(stored)
        )
        start = time.monotonic()
        progress = _Progress(kept, start)
        with _pool(options, stop) as (pool, reader, workers):
            if reader.bundle_sha256 != bundle.sha256:
                raise RereadError(f"readers have bundle {reader.bundle_sha256[:12]}, here it is {bundle.sha256[:12]}")
            kept.read_by(asdict(reader))
            drive(_unless_stopped(frames, stop), pool, progress.keep, lambda: stop.requested)
        seconds = time.monotonic() - start
        if stop.requested:
            _tell(f"stopped; {kept.count} frames are kept, the same command goes on from there")
            return stop.exit_code
        # What is no longer in the sources is no row; where a source is left out, nobody knows that of its frames.
        if not told.left_out and (gone := kept.forget_others(told.readings)):
            told.note(f"{gone} frames of the earlier run are gone or are others by now; they are not in the table")
        if not kept.count:
            raise RereadError("no source holds a frame that could be listed; the lines above say why")
        facts = {
            "notice": bundle.facts.notice,
            "bundle": asdict(bundle.facts),
            "reader": asdict(reader),
            "workers": workers,
            "where": "one machine" if options.ray is None else "Ray",
            "frames": kept.added,
            "frames_of_earlier_runs": kept.count - kept.added,
            "seconds": round(seconds, 3),
            "frames_per_second": round(kept.added / max(seconds, 1e-9), 3),
        }
        listed = [{"number": s.number, "kind": s.kind, "folder": s.folder} for s in sources]
        _write(out, kept, open_reference(bundle), {"run": facts, "sources": listed, "told": told.lines})
        return INCOMPLETE if told.left_out else DONE


def _write(out: Path, kept: WorkFolder, reference: Reference | None, known: dict[str, Any]) -> None:
    """Table, then report, then the work is removed: cut off anywhere, the next run writes what lacks."""
    results = sorted(kept.results(), key=lambda result: (result.order, result.row.reading))
    rows = [result.row for result in results]
    write_table(out, rows)
    report = {"schema": REPORT_SCHEMA, **known, **report_of(rows, reference)}
    folder = out.with_name(out.stem + ".report")
    try:
        _forget_pictures(folder / PICTURES)
        shown = [(result, _picture(folder / PICTURES, kept, result)) for result in _shown(results)]
        with OutputFolder(folder, make=True, link_ok=False) as files:
            files.write("report.json", json.dumps(report, indent=1, allow_nan=False).encode())
            files.write("report.html", render(report, shown).encode("utf-8", "replace"))
    except OSError as error:
        raise OutputError(
            f"{folder}: {error.strerror or error}; make room or name another --out, and run again"
        ) from None
    kept.remove()
    changed = report["changes"]["changed"]
    lost, found = report["changes"]["lost"]["count"], report["changes"]["found"]["count"]
    say(
        f"{len(rows)} frames, {report['unread']} without a picture; outcome changed: {changed['count']} of "
        f"{changed['of']} (REFER lost {lost}, new {found}); {known['run']['frames_per_second']:.1f} frames/s",
        f"table {printable(str(out))}, report {printable(str(folder / 'report.html'))}",
        printable(known["run"]["notice"]),
    )


def _shown(results: Sequence[RereadResult]) -> list[RereadResult]:
    """Changed outcomes, those first that lose a REFER, then new ones."""

    def weight(result: RereadResult) -> tuple[int, tuple[int, int]]:
        pair = (result.row.old_outcome, result.row.new_outcome)
        return {(REFER, NONE_FOUND): 0, (NONE_FOUND, REFER): 1}.get(pair, 2), result.order  # type: ignore[arg-type]

    return sorted((result for result in results if result.row.changed), key=weight)[:MOST_SHOWN]


def _forget_pictures(folder: Path) -> None:
    """Those of an earlier report: its numbers are other frames'."""
    if not folder.is_dir():
        return
    with OutputFolder(folder, link_ok=False) as pictures:
        for name in os.listdir(folder):
            if name.endswith(PICTURE_END):
                pictures.remove(name)


def _picture(folder: Path, kept: WorkFolder, result: RereadResult) -> str | None:
    content = kept.picture(result)
    if content is None:
        return None
    with OutputFolder(folder, make=True, link_ok=False) as pictures:
        pictures.write(picture_name(result), content)
    return picture_name(result)


@contextmanager
def _pool(options: RereadOptions, stop: Stop) -> Iterator[tuple[ReaderPool, ReaderFacts, int]]:
    """Readers here or on a cluster, what they are, and how many."""
    settings = ReaderSettings(
        bundle=_absolute(options.bundle),
        engine=options.engine,
        precision=options.precision,
        site_profile=_absolute(options.site_profile),
        key_files=tuple(str(path.absolute()) for path in options.key_files),
        trusted_keys=_absolute(options.trusted_keys),
        station=options.station,
    )
    if options.ray is not None:
        from runtime.reread.cluster import RayPool

        with stop.interruptible:
            cluster = RayPool(settings, options.ray, options.workers)
        with cluster:
            yield cluster, cluster.facts, cluster.workers
        return
    from runtime.reread.local import LocalPool

    workers = options.workers or len(allowed_cores())
    with stop.interruptible:
        local = LocalPool(settings, workers)
    with local:
        yield local, local.facts, workers


def _absolute(path: Path | None) -> str | None:
    return None if path is None else str(path.absolute())


def _unless_stopped(frames: Iterator[Stored], stop: Stop) -> Iterator[Stored]:
    """A long list is not gone through to its end for nothing."""
    for frame in frames:
        if stop.requested:
            return
        yield frame


class _Told:
    """What the user is told of sources, once on standard error and once in the report."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.left_out = False
        """Whether a source or an exam is."""
        self.readings: set[str] = set()
        """Of all frames that were listed."""

    def tell(self, line: str) -> None:
        """Say that something is left out."""
        self.left_out = True
        self.note(line)

    def note(self, line: str) -> None:
        """Say what is to be known."""
        self.lines.append(line)
        _tell(line)

    def twice(self, stored: Stored) -> bool:
        """Whether the frame was listed before."""
        if stored.reading in self.readings:
            return True
        self.readings.add(stored.reading)
        return False


class _Progress:
    """Keeps results, and says now and then how far it has come."""

    def __init__(self, kept: WorkFolder, start: float) -> None:
        self._kept, self._start, self._said = kept, start, start

    def keep(self, results: Sequence[RereadResult]) -> None:
        """Keep the results of a batch."""
        self._kept.add(results)
        now = time.monotonic()
        if now - self._said >= TELL_EVERY_S:
            self._said = now
            rate = self._kept.added / (now - self._start)
            _tell(f"{self._kept.count} frames, {rate:.1f} a second")


def _tell(line: str) -> None:
    say(printable(line), stream=sys.stderr)


def _complain(error: Exception) -> None:
    say(f"runtime.reread: {printable(error_text(error))}", stream=sys.stderr)
