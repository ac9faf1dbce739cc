"""The command line of `python -m runtime.screen`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from device.command_parser import CommandParser
from device.version import add_version
from runtime.commands.numbers import milliseconds, whole
from runtime.commands.site import add_site_options
from runtime.config import parse_with_config
from runtime.engines.options import add_engine_options

EXAMPLES = """\
examples:
  python -m runtime.screen sim: --frames 40
  python -m runtime.screen photos/ --out visit-17 --vessels
  python -m runtime.screen camera:0,width=1920,height=1080 --budget-ms 500
  python -m runtime.screen eye.jpg --gates --occlusion
  python -m runtime.screen incoming/ --watch --state incoming.seen
  python -m runtime.screen clip.mp4 --json | jq .outcome

exit codes:
  0    done; single frames may have given RETAKE or NO_RESULT, and how many could not be read is said at the end
  1    the work broke off: the camera was lost, or results could not be written; with --strict also when a frame could
       not be read
  2    the call is wrong, or bundle, engine, output folder or every frame of the source is unusable
  75   the GPU was lost to this process: start it again
  130, 143, 141    stopped by Ctrl-C, by SIGTERM, by a closed pipe; what was read until then is whole
"""


@dataclass(frozen=True)
class ScreenOptions:
    """What the user asked for."""

    source: str
    bundle: Path | None
    engine: str
    precision: str
    threads: int | None
    site_profile: Path | None
    trusted_keys: Path | None
    station: str
    frames: int | None
    budget_ms: float | None
    watch: bool
    state: Path | None
    subfolders: bool
    strict: bool
    out: Path
    vessels: bool
    gates: bool
    occlusion: bool
    overlays: bool
    json: bool


def parse(argv: Sequence[str] | None = None) -> ScreenOptions:
    """The options in `argv`; ends the program with code 2 and a line that says why when they are wrong."""
    parser = _parser()
    found = vars(parse_with_config(parser, argv))
    del found["config"]
    options = ScreenOptions(**found)
    if options.state is not None and not options.watch:
        parser.error("--state: has no meaning without --watch")
    if options.subfolders and options.watch:
        parser.error("--subfolders: cannot be watched; name the one folder, or leave --watch out")
    if options.occlusion and not options.gates:
        parser.error("--occlusion: has no meaning without --gates")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="python -m runtime.screen",
        description="Read frames, give each a screening reading, and write readings, pictures and a summary.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_version(parser)
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="picture, folder of pictures, video, camera:0, rtsp:// or http:// stream, aravis:, gstreamer:..., sim:",
    )

    frames = parser.add_argument_group("frames")
    frames.add_argument("--frames", type=whole(1), metavar="N", help="stop after N frames (default: all there are)")
    frames.add_argument("--watch", action="store_true", help="go on with the pictures that arrive in the folder later")
    frames.add_argument(
        "--state",
        type=Path,
        metavar="DIR",
        help="with --watch: remember there which pictures were read, so that none comes again after a restart",
    )
    frames.add_argument(
        "--subfolders",
        action="store_true",
        help="read the pictures of the folders in the folder, too; each is named by its path from there, in the "
        "readings as well, so that no folder may bear a patient's name",
    )
    frames.add_argument("--strict", action="store_true", help="exit code 1 when a frame could not be read")
    frames.add_argument(
        "--budget-ms",
        type=milliseconds,
        metavar="MS",
        help="time allowed for a reading; a later one is NO_RESULT (default: 1000 for a live source, else none)",
    )

    add_engine_options(parser)
    add_site_options(parser)

    output = parser.add_argument_group("output")
    output.add_argument(
        "--out",
        type=Path,
        default=Path("out"),
        metavar="DIR",
        help="folder for readings.jsonl, overlays/, summary.html and run.json, which tells what of the source was not "
        "read (default: out); an earlier run's are replaced",
    )
    output.add_argument("--vessels", action="store_true", help="also write vessels/NAME.png, 8-bit vessel probability")
    output.add_argument(
        "--gates",
        action="store_true",
        help="also write gates/NAME.jpg, where the classifier's gates let features of its vessel branch through; "
        "readings then tell what each branch adds (CPU engine only)",
    )
    output.add_argument(
        "--occlusion",
        action="store_true",
        help="with --gates: also how much covering each part of the picture changes the answer; 64 readings a frame",
    )
    output.add_argument("--no-overlays", dest="overlays", action="store_false", help="write no overlay pictures")
    output.add_argument("--json", action="store_true", help="readings to standard output as well, nothing else there")
    return parser
