"""Has a server's own parser read a repository: a `tritonserver` program is started on it and asked what it thinks."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from build_engines.errors import BuildError
from build_engines.triton.repository import Written

WITHIN_S = 120.0
_NO_BACKEND = re.compile(r"(unable to find backend library|unable to find '[^']*' shared library|backend directory)")


class ServerRefuses(BuildError):
    """A server's parser, or what runs the model there, does not take it."""


@dataclass(frozen=True)
class ServerVerdict:
    """What the server says of the models."""

    ready: tuple[str, ...]
    """Loaded, warmed up and ready."""
    without_backend: tuple[str, ...]
    """Read and found right, but this server has not what runs them."""


def check_by_server(written: Written, program: Path) -> ServerVerdict:
    """Start the server without any network but this machine's, and stop it again.

    program: `tritonserver`. Raises `ServerRefuses` with the server's own words for a model that it refuses,
    `BuildError` for a server that does not start.
    """
    from tritonclient.grpc import InferenceServerClient

    port = _free_port()
    command = [
        str(program),
        f"--model-repository={written.repository.resolve()}",
        "--model-control-mode=explicit",
        *(f"--load-model={name}" for name in written.models),
        "--exit-on-error=false",
        "--disable-auto-complete-config",
        "--allow-http=false",
        "--allow-metrics=false",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={port}",
    ]
    backends = program.resolve().parent.parent / "backends"
    if backends.is_dir():  # beside the program, not where the server was built to look
        command.append(f"--backend-directory={backends}")
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError as error:
        raise BuildError(f"--check {program}: cannot be started ({error.strerror or error})") from None
    try:
        with InferenceServerClient(f"127.0.0.1:{port}") as client:
            index = {model.name: model for model in _index(client, process)}
    finally:
        process.terminate()
        try:
            log, _ = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            log, _ = process.communicate()
    told = {name: index[name].reason if name in index else "not loaded" for name in written.models}
    ready = tuple(name for name in written.models if name in index and index[name].state == "READY")
    reasons = {name: _word(name, told[name], log) for name in written.models if name not in ready}
    without = {name for name, reason in reasons.items() if _NO_BACKEND.search(reason)}
    for name, reason in reasons.items():
        waits = "depends on" in reason and without
        if name not in without and not waits:
            raise ServerRefuses(f"the server refuses model {name}: {reason}")
    return ServerVerdict(ready, tuple(reasons))


def _index(client: Any, process: subprocess.Popen[str]) -> list[Any]:
    from tritonclient.utils import InferenceServerException

    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        if process.poll() is not None:
            log = process.stdout.read() if process.stdout else ""
            raise BuildError(f"the server ended with {process.returncode}: {log[-600:]}")
        try:
            found = list(client.get_model_repository_index().models)
            if client.is_server_live():
                return found
        except InferenceServerException:
            pass
        time.sleep(0.2)
    raise BuildError(f"the server was not there within {WITHIN_S:g} s")


def _word(name: str, reason: str, log: str) -> str:
    """The server's longest line on a model: its list of models cuts reasons short."""
    lines = [line for line in log.splitlines() if f"'{name}'" in line and ("fail" in line or "rror" in line)]
    return max([reason, *lines], key=len)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
