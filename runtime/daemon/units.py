"""The systemd units, as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NAME = "ropscreend"
SOCKET = Path("/run/ropscreend/socket")
WATCHDOG_S = 60


@dataclass(frozen=True)
class DaemonUnitOptions:
    """What the units depend on."""

    python: Path
    arguments: Sequence[str]
    """Of `python -m runtime.daemon`, without `--socket`."""
    socket: Path = SOCKET
    group: str = ""
    """Its members may connect; the daemon still asks who they are."""
    real_time: bool = False
    memory_max: str = "4G"
    environment: Sequence[tuple[str, str]] = ()
    """What the daemon is to find in its environment."""
    written: Sequence[Path] = ()
    """Files outside of its own folders that it appends to; each has to be there before the unit starts."""


def socket_unit(options: DaemonUnitOptions) -> str:
    """`ropscreend.socket`: clients may connect before the daemon runs, and start it."""
    return f"""[Unit]
Description=Socket of the retinopathy-of-prematurity screening daemon

[Socket]
ListenSequentialPacket={_escaped(str(options.socket))}
{f"SocketGroup={options.group}{chr(10)}SocketMode=0660" if options.group else "SocketMode=0600"}
DirectoryMode=0755
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
"""


def service_unit(options: DaemonUnitOptions) -> str:
    """`ropscreend.service`.

    `MemoryDenyWriteExecute=` is not there because OpenVINO and TensorRT write machine code as they load, and
    `PrivateUsers=` is not because it would hide who connects.
    """
    command = " ".join(
        _quoted(part.replace("$", "$$"))
        for part in (str(options.python), "-m", "runtime.daemon", "--socket", str(options.socket), *options.arguments)
    )
    environment = "".join(f"Environment={_quoted(f'{name}={value}')}\n" for name, value in options.environment)
    environment += "".join(f"ReadWritePaths={_quoted(str(path))}\n" for path in options.written)
    capabilities = "CAP_SYS_NICE CAP_IPC_LOCK" if options.real_time else ""
    limits = "LimitRTPRIO=99\nLimitMEMLOCK=infinity\n" if options.real_time else "RestrictRealtime=yes\n"
    return f"""[Unit]
Description=Retinopathy-of-prematurity screening daemon
Requires={NAME}.socket
After={NAME}.socket
StartLimitIntervalSec=120
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
{environment}WatchdogSec={WATCHDOG_S}
TimeoutStartSec=300
TimeoutStopSec=60
Restart=on-failure
RestartSec=1
SyslogIdentifier={NAME}

DynamicUser=yes
StateDirectory=rop-screening
SupplementaryGroups=video render
UMask=0077
LimitCORE=0
MemoryMax={options.memory_max}
TasksMax=256
{limits}AmbientCapabilities={capabilities}
CapabilityBoundingSet={capabilities}
NoNewPrivileges=yes

PrivateTmp=yes
PrivateNetwork=yes
PrivateMounts=yes
RestrictAddressFamilies=AF_UNIX
IPAddressDeny=any
DevicePolicy=closed
DeviceAllow=char-nvidia* rw
DeviceAllow=char-nvhost* rw
DeviceAllow=char-nvmap rw
DeviceAllow=char-drm rw
ProtectSystem=strict
ProtectHome=read-only
ProtectProc=invisible
ProcSubset=all
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
LockPersonality=yes
KeyringMode=private
RemoveIPC=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
Also={NAME}.socket
"""


def _escaped(value: str) -> str:
    return value.replace("%", "%%")


def _quoted(value: str) -> str:
    """A word of `ExecStart=` or `Environment=`: specifiers and quotes mean nothing in it."""
    value = _escaped(value)
    if value and not set(value) & set(" \t\n\"'\\;"):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
