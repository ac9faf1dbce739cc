"""`status` and `reload`: asking a daemon that runs."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from runtime.commands.text import printable
from runtime.daemon.client import Client
from runtime.daemon.messages import DaemonState, Health, Obtained, Reason

DONE, SAYS_NO, WARNS = 0, 1, 3
_NOT_SERVING = Reason.SELF_TEST_FAILED | Reason.ENGINE_FAILING
_SOFT_REAL_TIME = ("sched_fifo", "cpu_pinning", "memory_locked", "huge_pages")


def status(options: argparse.Namespace) -> int:
    """Print how the daemon is; 0 when it is ready, 3 when it serves with a warning, 1 when it does not serve."""
    with Client(options.socket, "status") as client:
        health = client.health()
        bundle = None if health.state is DaemonState.LIVE else client.bundle()
    if options.json:
        print(json.dumps(_facts(health) | {"bundle": None if bundle is None else bundle.name}))
    else:
        print(f"{health.state.name.lower()}{f': {printable(health.text)}' if health.text else ''}")
        if bundle is not None:
            engine = f"{bundle.backend} {bundle.precision} on {bundle.device}"
            print(printable(f"bundle {bundle.name} {bundle.version}, {engine}. {bundle.notice}"))
        print(
            f"up {health.uptime_ms / 1e3:.0f} s, {health.clients} clients, {health.waiting} frames wait; "
            f"{health.frames} read, {health.late} late, {health.torn} torn, {health.superseded} superseded, "
            f"{health.refused} messages refused, {health.reloads} reloads"
        )
        for name in _SOFT_REAL_TIME:
            if getattr(health, name) is not Obtained.NOT_ASKED:
                print(f"{name.replace('_', ' ')}: {getattr(health, name).name.lower()}")
    if health.state is DaemonState.READY:
        return DONE
    return SAYS_NO if health.state is DaemonState.LIVE or health.reasons & _NOT_SERVING else WARNS


def reload(options: argparse.Namespace) -> int:
    """Have the bundle loaded anew; 0 when the new one is in force."""
    with Client(options.socket, "reload") as client:
        answer = client.reload()
    if answer.failed:
        sys.stderr.write(f"runtime.daemon: the old bundle stays: {printable(answer.text)}\n")
        return SAYS_NO
    print(f"bundle {answer.sha256.hex()[:12]}... is in force")
    return DONE


def _facts(health: Health) -> dict[str, object]:
    facts = asdict(health)
    facts.pop("reserved")
    facts["state"] = health.state.name.lower()
    facts["reasons"] = [reason.name.lower() for reason in Reason if health.reasons & reason and reason.name]
    facts["bundle_sha256"] = health.bundle_sha256.hex()
    return facts | {name: getattr(health, name).name.lower() for name in _SOFT_REAL_TIME}
