"""The systemd units by which a cart pulls and reports, as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from runtime.site_state import ANCHOR_VARIABLE

NAME = "rop-fleet"


def units(
    python: Path,
    pull: Sequence[str],
    report: Sequence[str],
    writes: Sequence[Path],
    user: str,
    site_anchor: Path | None = None,
) -> dict[str, str]:
    """Every unit by its file name. pull, report: words after `python -m runtime.fleet`.

    writes: folders it changes beside the state folder, which it shares with the cart's unit; one that is not there (a
    USB stick) is told by the verb that needs it. site_anchor: the file that the cart's programs tell issue numbers.

    The report comes after the pull however that ended: of a cart that cannot pull somebody has to hear.
    """
    commands = [("ExecStart", "pull", pull), *([("ExecStopPost", "report", report)] if report else [])]
    lines = "".join(
        f"{when}={_call(str(python), '-m', 'runtime.fleet', verb, *words)}\n" for when, verb, words in commands
    )
    anchor, written = "", [f"-{path}" for path in writes]
    if site_anchor is not None:
        anchor, written = f"Environment={_quoted(f'{ANCHOR_VARIABLE}={site_anchor}')}\n", [*written, str(site_anchor)]
    paths = "".join(f"ReadWritePaths={_quoted(path)}\n" for path in written)
    service = f"""[Unit]
Description=ROP screening cart: bundles pulled, state reported
After=network-online.target
Wants=network-online.target

[Service]
Type=oneshot
SuccessExitStatus=1
{lines}User={user}
StateDirectory=rop-screening
{anchor}{paths}TimeoutStartSec=2h
TimeoutStopSec=10min
Nice=10
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
LockPersonality=yes
SystemCallArchitectures=native
UMask=0022
"""
    timer = """[Unit]
Description=ROP screening cart: bundles pulled every hour

[Timer]
OnCalendar=hourly
RandomizedDelaySec=50min
Persistent=yes

[Install]
WantedBy=timers.target
"""
    return {f"{NAME}.service": service, f"{NAME}.timer": timer}


def _call(*words: str) -> str:
    return " ".join(_quoted(word.replace("$", "$$")) for word in words)


def _quoted(text: str) -> str:
    text = text.replace("%", "%%")
    if text and not set(text) & set(" \t\n\"'\\;"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
