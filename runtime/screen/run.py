"""One run of `python -m runtime.screen`: everything opened, frames read, everything closed, the exit code."""

from __future__ import annotations

import contextlib
import signal
import sys

from device.cameras import Camera
from device.errors import CameraError
from device.live import CameraState, StateChange, open_source
from device.streams import give_up_output
from runtime.budget import LIVE_BUDGET_MS, Budget
from runtime.bundle import Bundle, open_bundle
from runtime.commands.say import say
from runtime.commands.stop import Interrupted, Stop
from runtime.commands.text import error_text, printable
from runtime.errors import OutputError, ScreeningError
from runtime.screen.arguments import ScreenOptions
from runtime.screen.loop import Progress, closing_all, screen_frames
from runtime.screen.outputs import open_sinks, written
from runtime.screen.progress import ConsoleSink, end_lines
from runtime.screen.unread import not_read, passed
from runtime.screener import Screener
from runtime.sinks.files import own_folder
from runtime.sinks.tally import Tally
from runtime.site_screener import screener_for
from runtime.trust.site import open_site
from runtime.trust.words import trust_line

DONE, BROKE_OFF, UNUSABLE = 0, 1, 2
CLOSED_PIPE = 128 + signal.SIGPIPE
_WORTH_TELLING = (CameraState.STALLED, CameraState.RECONNECTING)


def run(options: ScreenOptions) -> int:
    """Read frames as the options say; the exit code."""
    with Stop() as stop:
        try:
            return _run(options, stop)
        except Interrupted:
            return stop.exit_code
        except BrokenPipeError:
            give_up_output()
            return CLOSED_PIPE
        except (CameraError, ScreeningError) as error:  # while opening: what ends the reading is told there
            _complain(error)
            return UNUSABLE


def _run(options: ScreenOptions, stop: Stop) -> int:
    """Open everything, read, close everything. What cannot be opened raises, before any result is written."""
    with contextlib.ExitStack() as stack:
        with stop.interruptible:
            camera = stack.enter_context(
                open_source(
                    options.source,
                    watch=options.watch,
                    state=options.state,
                    below=options.subfolders,
                    on_change=_tell,
                )
            )
            if unread := passed(camera, subfolders=options.subfolders):
                say(printable(unread), stream=sys.stderr)
            stack.enter_context(own_folder(options.out))
            bundle = open_bundle(options.bundle)
            screener = stack.enter_context(_screener(options, camera, bundle))
        return _screen(options, stop, camera, screener, bundle)


def _tell(change: StateChange) -> None:
    """Say that a live camera stalls or is lost, and when it is back; in the thread that watches it."""
    if change.after in _WORTH_TELLING or change.before in _WORTH_TELLING:
        with contextlib.suppress(OSError, OutputError):
            say(f"camera {change.after.value}: {printable(change.why)}", stream=sys.stderr)


def _screener(options: ScreenOptions, camera: Camera, bundle: Bundle) -> Screener:
    budget_ms = options.budget_ms or (LIVE_BUDGET_MS if camera.live else None)
    return screener_for(
        open_site(options.site_profile, options.trusted_keys, station=options.station),
        bundle,
        engine=options.engine,
        precision=options.precision,
        threads=options.threads,
        budget=Budget(total=budget_ms),
        reject_repeats=camera.live,
        gates=options.gates,
        occlusion=options.occlusion,
    )


def _screen(options: ScreenOptions, stop: Stop, camera: Camera, screener: Screener, bundle: Bundle) -> int:
    """Read the frames; whatever ends that, the sinks are closed and the summary is told."""
    engine, progress, tally = screener.facts, Progress(), Tally()
    say(
        f"bundle {bundle.facts.name} {bundle.facts.version}, {engine.backend} {engine.precision} on {engine.device}",
        stream=sys.stderr,
    )
    if screener.trust is not None and (line := trust_line(screener.trust)):
        say(printable(line), stream=sys.stderr)
    refer_classes = [label.name for label in bundle.manifest.classes if label.refer]

    def unread() -> list[str]:
        return not_read(camera, progress, subfolders=options.subfolders)

    sinks = open_sinks(options, tally, unread)
    failure: CameraError | OutputError | None = None
    try:
        with closing_all([*sinks, report := ConsoleSink(_total(options, camera), refer_classes, json=options.json)]):
            screen_frames(camera, screener, [*sinks, report], stop, progress, options.frames)
    except Interrupted:
        pass
    except (CameraError, OutputError) as error:
        failure = error
    if failure is None or progress.frames:
        people = sys.stderr if options.json or failure else sys.stdout
        for line in end_lines(tally, written(options), bundle.facts.notice, unread()):
            say(line, stream=people)
    if failure is not None:
        _complain(failure)
        return BROKE_OFF
    if stop.requested:
        return stop.exit_code
    if not progress.readable:
        _complain(f"not one of {progress.frames} frames could be read; the reasons are in the readings")
        return UNUSABLE
    if unreadable := progress.frames - progress.readable:
        _complain(f"{unreadable} of {progress.frames} frames could not be read; the reasons are in the readings")
        return BROKE_OFF if options.strict else DONE
    return DONE


def _total(options: ScreenOptions, camera: Camera) -> int | None:
    known = [number for number in (camera.frame_count, options.frames) if number is not None]
    return min(known, default=None)


def _complain(error: Exception | str) -> None:
    say(f"runtime.screen: {printable(error_text(error))}", stream=sys.stderr)
