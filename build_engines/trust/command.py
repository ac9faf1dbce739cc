"""`python -m build_engines trust BUNDLE`: the self-test and the drift reference into a bundle that stands."""

from __future__ import annotations

import argparse
from pathlib import Path

from build_engines.arguments import trust_parser
from build_engines.errors import BuildError
from device.errors import CameraError
from runtime.commands.say import aside
from runtime.errors import ScreeningError
from runtime.trust.drift import EVERYTHING
from runtime.trust.site import MANIFEST_SIGNATURE


def main(argv: list[str] | None = None) -> int:
    """Parse and run; the exit code."""
    return run(trust_parser().parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    try:
        sources = sources_of(arguments.reference)
        if not 0 < arguments.gradable_share < 1:
            raise BuildError(f"--gradable-share: got {arguments.gradable_share}, expected a share between 0 and 1")
        return _equip(arguments.bundle, sources, arguments.gradable_share)
    except (BuildError, CameraError, ScreeningError, OSError) as error:
        aside(error)
        return 2


def _equip(path: Path, sources: dict[str, list[str]], gradable_share: float) -> int:
    from build_engines.trust.equip import equip_bundle
    from build_engines.trust.sources import check_sources
    from runtime.bundle import open_bundle

    was_signed = (path / MANIFEST_SIGNATURE).exists()
    bundle = open_bundle(path)
    check_sources(bundle, sources, _report)
    bundle = equip_bundle(bundle, sources, gradable_share, _report)
    names = [entry.path for entry in bundle.manifest.files if "/" in entry.path]
    print(f"{bundle.path}: {bundle.manifest.name} {bundle.manifest.version}, now with {', '.join(names)}")
    if was_signed:
        aside(f"its signature no longer fits and is gone; python -m build_engines sign {path}")
    return 0


def _report(line: str) -> None:
    aside(line)


def sources_of(texts: list[str]) -> dict[str, list[str]]:
    """Sources by camera, of `CAMERA=SOURCE`. Raises `BuildError`."""
    sources: dict[str, list[str]] = {}
    for text in texts:
        name, equals, source = text.partition("=")
        if not (name and equals and source) or name == EVERYTHING:
            raise BuildError(
                f"--reference {text!r}: expected CAMERA=SOURCE, like RetCam=photos/ ({EVERYTHING} is made)"
            )
        sources.setdefault(name, []).append(source)
    return sources
