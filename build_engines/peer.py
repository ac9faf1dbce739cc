"""`python -m build_engines.peer [CHECKPOINT]`: a bundle in eager PyTorch, read frame by frame for `runtime.bench`.

It speaks `rop.peer/1` (runtime/bench/README.md): one JSON object a line on standard input and output.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np

from build_engines.errors import BuildError
from device.checked_file import strict_json
from device.command_parser import CommandParser
from device.extras import missing
from device.frame import Frame
from device.streams import open_closed_streams
from device.version import add_version
from runtime import Screener, ScreeningError, open_bundle
from runtime.commands.say import aside
from runtime.preprocess import SIDE

if TYPE_CHECKING:
    from runtime.arrays import UInt8Array


def serve(screener: Screener, asked: TextIO, told: TextIO) -> None:
    """Answer every line of `asked` until it ends; what is wrong with one line is its answer."""
    facts = screener.facts
    _say(told, {"schema": "rop.peer/1", "backend": facts.backend, "precision": facts.precision, "device": facts.device})
    known: dict[str, UInt8Array] = {}
    for line in asked:
        try:
            path = str(strict_json(line)["frame"])
            if path not in known:
                known[path] = np.load(path, allow_pickle=False)
            # A copy, as for the runtime itself: the pixels come from a camera, not from the CPU's cache.
            reading = screener.screen(Frame(known[path].copy(), 0, "peer"))
        except (ValueError, LookupError, TypeError, OSError) as error:
            _say(told, {"error": f"{type(error).__name__}: {error}"})
            continue
        _say(told, {"total_ms": reading.timings_ms.total, "outcome": reading.outcome.value})


def _say(stream: TextIO, content: dict[str, Any]) -> None:
    print(json.dumps(content), file=stream, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Serve until the input ends; exit code 2 when checkpoint or bundle cannot be used."""
    parser = CommandParser(prog="python -m build_engines.peer", description=__doc__)
    parser.add_argument(
        "checkpoint",
        type=Path,
        nargs="?",
        metavar="CHECKPOINT",
        help="what the bundle was built from (default: the weights in the bundle's fp32 graphs)",
    )
    add_version(parser)
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="the model (default: the demonstration bundle)")
    parser.add_argument("--compile", action="store_true", help="by torch.compile in place of eager")
    parser.add_argument("--threads", type=int, metavar="N", help="CPU threads (default: PyTorch's choice)")
    arguments = parser.parse_args(argv)
    if absent := missing("build"):
        sys.stderr.write(f"{absent}\n")
        return 2
    import torch

    from build_engines.eager import EagerEngine
    from build_engines.from_graphs import network_from_graphs
    from build_engines.segimgnet.checkpoint import load_checkpoint

    if arguments.threads is not None:
        torch.set_num_threads(max(1, arguments.threads))
    try:
        bundle = open_bundle(arguments.bundle)
        checkpoint = arguments.checkpoint
        network = network_from_graphs(bundle) if checkpoint is None else load_checkpoint(checkpoint)
        engine = EagerEngine(network, compiled=arguments.compile)
        if engine.class_count != len(bundle.class_names):
            raise BuildError(
                f"{checkpoint or bundle.path}: has {engine.class_count} classes, bundle {bundle.path} "
                f"{len(bundle.class_names)}; name the checkpoint that the bundle was built from"
            )
    except (BuildError, ScreeningError) as error:
        aside(error)
        return 2
    if arguments.compile:  # now, and not in the first frame that is timed
        try:
            engine.infer(np.zeros((1, SIDE, SIDE, 3), np.uint8))
        except Exception as error:  # whatever the compiler beneath says
            sys.stderr.write(f"torch.compile failed: {str(error).strip().splitlines()[0]}\n")
            return 2
    with Screener(bundle, engine=engine, reject_repeats=False) as screener:
        serve(screener, sys.stdin, sys.stdout)
    return 0


if __name__ == "__main__":
    open_closed_streams()
    sys.exit(main())
