"""The process that tries a bundle: what is asked by standard input, `Trial` as one line of JSON to standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from device.frame import Frame
from runtime.bundle import open_bundle
from runtime.bundles.safeguards import lacking, not_referred, strangers_known
from runtime.bundles.trial import Compared, Trial
from runtime.errors import BundleError, ScreeningError
from runtime.exam.errors import JournalError
from runtime.exam.journal import Journal
from runtime.exam.journal.crypt import JournalKey, find_key
from runtime.exam.journal.opening import FILE
from runtime.exam.session import stored_frame
from runtime.screener import Screener
from runtime.site_screener import screener_for
from runtime.trust.issues import NoIssues
from runtime.trust.site import open_site


def main() -> int:
    """Try what is asked; always an answer."""
    asked = json.load(sys.stdin)
    try:
        found = _try(asked)
    except ScreeningError as error:
        found = Trial(str(error))
    sys.stdout.write(json.dumps(asdict(found)) + "\n")
    return 0


def _try(asked: dict[str, Any]) -> Trial:
    with ExitStack() as stack:
        fresh = stack.enter_context(_screener(asked, asked["bundle"]))
        facts, self_test = fresh.facts, fresh.trust.self_test.state
        found = Trial(fresh.problem, self_test, f"{facts.backend} {facts.precision} on {facts.device}")
        if found.problem:
            return found
        found = _safe(asked, fresh, found)
        if asked["journal"] is None or asked["running"] is None:
            what = "no bundle was active" if asked["running"] is None else "no journal was named"
            return replace(found, not_compared=what)
        if not (Path(asked["journal"]) / FILE).exists():
            return replace(found, not_compared=f"no journal in {asked['journal']} yet")
        try:
            running = stack.enter_context(_screener(asked, asked["running"]))
        except (ScreeningError, OSError) as error:  # of the active bundle, which this one may be there to mend
            return replace(found, not_compared=str(error))
        try:
            frames = tuple(_compared(asked, fresh, running))
        except (ScreeningError, OSError) as error:
            return _uncompared(found, f"the stored frames cannot be read ({error})")
        return replace(found, frames=frames, not_compared="" if frames else "the journal holds no frame")


def _uncompared(found: Trial, why: str) -> Trial:
    """There is something to compare on, and it could not be: a person decides, as over frames that changed."""
    return replace(found, not_compared=why, lacking=(*found.lacking, f"it was not compared: {why}"))


def _safe(asked: dict[str, Any], fresh: Screener, found: Trial) -> Trial:
    """With what the bundle lacks; an active bundle that is damaged sets no example."""
    bundle, running, against = open_bundle(asked["bundle"]), None, asked["running"]
    if against is not None:
        with suppress(BundleError):
            running = open_bundle(against)
    said = [*lacking(bundle, running)]
    try:
        said += strangers_known(fresh)
    except ScreeningError as error:
        said.append(f"its test of strangers was not tried: {error}")
    if running is not None:
        try:
            said += not_referred(fresh, running)
        except ScreeningError as error:
            said.append(f"not tried on the active bundle's self-test: {error}")
    return replace(found, lacking=tuple(said), against="" if against is None else Path(against).name)


def _screener(asked: dict[str, Any], bundle: str) -> Screener:
    paths = [None if asked[name] is None else Path(asked[name]) for name in ("site_profile", "trusted_keys")]
    site = replace(open_site(*paths, station=asked["station"]), issues=NoIssues())
    return screener_for(
        site, open_bundle(bundle), engine=asked["engine"], precision=asked["precision"], reject_repeats=False
    )


def _compared(asked: dict[str, Any], fresh: Screener, running: Screener) -> Iterator[Compared]:
    for eye, view, frame in _stored(asked):
        before, after = running.screen(frame), fresh.screen(frame)
        yield Compared(
            eye,
            view,
            before.outcome.value,
            after.outcome.value,
            before.timings_ms.total or 0.0,
            after.timings_ms.total or 0.0,
        )


def _stored(asked: dict[str, Any]) -> Iterator[tuple[str, str, Frame]]:
    """The newest stored frames; one that cannot be read is passed over. Raises `JournalError` where none can."""
    key_file = None if asked["key_file"] is None else Path(asked["key_file"])
    key = JournalKey.from_text(asked["key"]) if asked["key"] else find_key(key_file)
    left = most = int(asked["frames"])
    spoilt: JournalError | None = None
    with Journal.open(Path(asked["journal"]), key, read_only=True, check=False) as journal:
        for summary in journal.exams():
            try:
                captures = journal.exam(summary.exam_id).captures
            except JournalError as error:
                spoilt = error
                continue
            except ScreeningError:  # retired: its pictures are gone, as they should be
                continue
            for capture in captures:
                if left <= 0:
                    return
                try:
                    frame = stored_frame(journal, summary.exam_id, capture.number)
                except JournalError as error:
                    spoilt = error
                    continue
                if frame is not None:
                    left -= 1
                    yield capture.eye.value, capture.view.value, frame
    if spoilt is not None and left == most:
        raise spoilt


if __name__ == "__main__":
    sys.exit(main())
