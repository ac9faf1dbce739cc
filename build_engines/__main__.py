"""`python -m build_engines`: the first word, or `--target`, chooses the program; each has its own `--help`."""

from __future__ import annotations

import importlib
import sys

from build_engines import arguments
from device.extras import missing
from device.streams import give_up_output, open_closed_streams
from runtime.commands.ending import CLOSED_PIPE, STOPPED, TERMINATED, end_on_sigterm
from runtime.errors import OutputError

VERBS = {
    "describe": (arguments.describe_parser, "build_engines.describe.command"),
    "evaluate": (arguments.evaluate_parser, "build_engines.evaluate.command"),
    "familiar": (arguments.familiar_parser, "build_engines.familiar.command"),
    "ir": (arguments.ir_parser, "build_engines.saved_graphs"),
    "report": (arguments.report_parser, "build_engines.report.command"),
    "sensitivity": (arguments.sensitivity_parser, "build_engines.quantize.command"),
    "sign": (arguments.sign_parser, "build_engines.sign"),
    "triton": (arguments.triton_parser, "build_engines.triton.command"),
    "trust": (arguments.trust_parser, "build_engines.trust.command"),
    "vectors": (arguments.vectors_parser, "build_engines.trust.vectors_command"),
}
"""Programs by first word; anything else builds a bundle, or with `--target` the plans of one."""
BUILD = (arguments.build_parser, "build_engines.command")
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc", "failed to allocate")
ENDED = "stopped; nothing was written that was not finished"
FREE_MEMORY = "Close other programs, name fewer --calibration-frames, or take a machine with more memory"
PLANS = (arguments.plans_parser, "build_engines.plans.command")

NEEDS = {
    "build_engines.command": "build",
    "build_engines.triton.command": "triton",
    "build_engines.evaluate.command": "evaluate",
    "build_engines.saved_graphs": "build",
    "build_engines.quantize.command": "build",
    "build_engines.report.command": "plans",
    "build_engines.plans.command": "plans",
}
"""The extras without which a program can do nothing."""


def main(argv: list[str] | None = None) -> int:
    if argv is None:  # as a program
        end_on_sigterm()
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in VERBS:
        parser, module = VERBS[words[0]]
        words = words[1:]
    else:
        parser, module = PLANS if any(word.split("=")[0] == "--target" for word in words) else BUILD
    options = parser().parse_args(words)
    if absent := missing(NEEDS[module]) if module in NEEDS else "":
        print(absent, file=sys.stderr)
        return 2
    try:
        return _told(int(importlib.import_module(module).run(options)))
    except BrokenPipeError:
        give_up_output()
        return CLOSED_PIPE
    except OutputError as error:
        give_up_output()
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(ENDED, file=sys.stderr)
        return STOPPED
    except SystemExit as ended:
        if ended.code == TERMINATED:
            print(ENDED, file=sys.stderr)
        raise
    except (MemoryError, RuntimeError) as error:
        if not _out_of_memory(error):
            raise
        print(f"out of memory; nothing was written. {FREE_MEMORY}", file=sys.stderr)
        return 2


def _told(code: int) -> int:
    """The code of a program whose whole answer has left it. Raises `OutputError`, `BrokenPipeError`."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        if code == 0:
            raise OutputError(f"cannot write to standard output: {error.strerror}") from error
        give_up_output()  # what went wrong first is said already
    return code


def _out_of_memory(error: Exception) -> bool:
    """PyTorch, ONNX Runtime and OpenVINO each say it their own way, not all as `MemoryError`."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(words in said for words in OUT_OF_MEMORY)


if __name__ == "__main__":
    open_closed_streams()
    sys.exit(main())
