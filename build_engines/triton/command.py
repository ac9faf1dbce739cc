"""`python -m build_engines triton BUNDLE --out REPOSITORY`: a bundle as a Triton model repository."""

from __future__ import annotations

import argparse

from build_engines.arguments import triton_parser
from build_engines.errors import BuildError
from build_engines.triton.repository import Written, write_repository
from build_engines.triton.server_check import ServerRefuses, ServerVerdict, check_by_server
from build_engines.triton.settings import Settings, settings_for
from runtime.bundle import open_bundle
from runtime.commands.say import aside
from runtime.errors import ScreeningError


def main(argv: list[str] | None = None) -> int:
    """Parse and run; the exit code."""
    return run(triton_parser().parse_args(argv))


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    try:
        _check(arguments)
        bundle = open_bundle(arguments.bundle)
        settings = settings_for(
            bundle,
            backend=arguments.backend,
            name=arguments.name,
            precision=arguments.precision,
            plans=arguments.plans,
            batch=arguments.batch,
            instances=arguments.instances,
            threads=arguments.threads,
            queue=arguments.queue,
            wait_ms=arguments.wait_ms,
        )
        aside(f"writing the models of {settings.name} for {settings.backend}")
        written = write_repository(bundle, settings, arguments.out)
        for line in _told(written, settings):
            print(line)
        if arguments.check is not None:
            aside(f"starting {arguments.check} to load them")
            print(_judged(check_by_server(written, arguments.check)))
    except ServerRefuses as error:
        aside(error)
        return 1
    except (BuildError, ScreeningError, OSError) as error:
        aside(error)
        return 2
    return 0


def _check(arguments: argparse.Namespace) -> None:
    for name in ("batch", "instances", "threads", "queue"):
        if not 1 <= getattr(arguments, name) <= 4096:
            raise BuildError(f"--{name}: got {getattr(arguments, name)}, expected 1 to 4096")
    if not 0 < arguments.wait_ms <= 3.6e6:
        raise BuildError(f"--wait-ms: got {arguments.wait_ms:g}, expected a number above 0, of an hour at most")


def _told(written: Written, settings: Settings) -> list[str]:
    batches = f", up to {settings.batch} frames at once" if settings.batch > 1 else ", one frame at a time"
    return [
        f"{written.repository}: model {written.name} version {written.version}, {settings.backend}, "
        f"{settings.precision}{batches}; {len(written.models)} models",
        f"serve it: tritonserver --model-repository={written.repository.resolve()} --disable-auto-complete-config",
        f"read by it: --engine triton://HOST:8001/{written.name}",
    ]


def _judged(verdict: ServerVerdict) -> str:
    words = [f"ready on this server: {', '.join(verdict.ready) or 'none'}"]
    if verdict.without_backend:
        words.append(f"understood, but this server lacks what runs them: {', '.join(verdict.without_backend)}")
    return "; ".join(words)
