"""`python -m build_engines vectors BUNDLE`: whether this runtime meets a bundle's stage vectors."""

from __future__ import annotations

import argparse
import sys

from build_engines.arguments import vectors_parser
from runtime.commands.say import aside
from runtime.errors import ScreeningError


def main(argv: list[str] | None = None) -> int:
    """Parse and run; the exit code."""
    return run(vectors_parser().parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    from build_engines.trust.check_vectors import vector_problems
    from runtime.bundle import open_bundle
    from runtime.trust.vectors import open_vectors

    try:
        bundle = open_bundle(arguments.bundle)
        aside("reading the vectors' frames, every stage of each")
        problems = vector_problems(bundle, arguments.precision)
        vectors = open_vectors(bundle)
    except (ScreeningError, OSError) as error:
        aside(error)
        return 2
    for problem in problems:
        aside(problem)
    words = arguments.precision or ", ".join(vectors.tolerances.probability)
    sys.stdout.write(f"{bundle.path}: {len(vectors.frames)} frames in {words}: {len(problems)} not met\n")
    return 1 if problems else 0
