"""`python -m runtime.cart`: the cart's own command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from device.streams import open_closed_streams
from runtime.cart.arguments import parse
from runtime.exam.commands.journal import keep_key_from_others


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb and give its exit code; `--help` and a wrong call end by `SystemExit`."""
    options = parse(argv)
    from runtime.cart.verbs import run_verb

    return run_verb(options)


if __name__ == "__main__":
    open_closed_streams()
    keep_key_from_others()
    sys.exit(main())
