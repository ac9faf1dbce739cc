"""`python -m build_engines`: the first word, or `--target`, chooses the program; each has its own `--help`."""

from __future__ import annotations

import importlib
import sys

VERBS = {
    "report": "build_engines.report.command",
    "sensitivity": "build_engines.quantize.command",
    "sign": "build_engines.sign",
    "trust": "build_engines.trust.command",
}
"""Programs by first word; anything else builds a bundle, or with `--target` the plans of one."""
BUILD = "build_engines.command"
PLANS = "build_engines.plans.command"


def main(argv: list[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] in VERBS:
        module, words = VERBS[words[0]], words[1:]
    else:
        module = PLANS if any(word.split("=")[0] == "--target" for word in words) else BUILD
    try:
        return int(importlib.import_module(module).main(words))
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
