"""`python -m build_engines familiar BUNDLE`: what is a fundus as the networks know it, into a bundle that stands."""

from __future__ import annotations

import argparse

from build_engines.arguments import familiar_parser
from build_engines.errors import BuildError
from build_engines.trust.command import sources_of
from device.errors import CameraError
from runtime.commands.say import aside
from runtime.errors import ScreeningError
from runtime.trust.site import MANIFEST_SIGNATURE


def main(argv: list[str] | None = None) -> int:
    """Parse and run; the exit code."""
    return run(familiar_parser().parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    try:
        sources = sources_of(arguments.reference)
        if arguments.frames < 1:
            raise BuildError(f"--frames: got {arguments.frames}, expected 1 or more")
        return _add(arguments, sources)
    except (BuildError, CameraError, ScreeningError, OSError) as error:
        aside(error)
        return 2


def _add(arguments: argparse.Namespace, sources: dict[str, list[str]]) -> int:
    from build_engines.familiar.fit import add_familiar
    from runtime.bundle import open_bundle

    was_signed = (arguments.bundle / MANIFEST_SIGNATURE).exists()
    bundle = open_bundle(arguments.bundle)
    content = add_familiar(bundle, sources, arguments.frames, aside)
    for camera, kept in content.cameras.items():
        print(f"{camera}: {kept.kept} of {kept.frames} frames kept by a test that knew nothing of their like")
    print(f"{bundle.path}: now with a test of what its networks know, limit {content.limit:.2f}")
    if was_signed:
        aside(f"its signature no longer fits and is gone; python -m build_engines sign {bundle.path}")
    return 0
