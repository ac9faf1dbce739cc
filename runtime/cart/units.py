"""The systemd units of a cart, as text; `python -m runtime.cart install --print` shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runtime.site_state import ANCHOR_VARIABLE
from runtime.slots import SLOTS_VARIABLE

WATCHDOG_S = 30
OWN_COOKIES = "--enable-features=EnablePortBoundCookies"
"""Chromium sends a cookie to the port that gave it only, as no other browser can be told to."""
HARDENED = """NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateMounts=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
ProcSubset=pid
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
UMask=0077
LimitCORE=0
"""
"""What every unit has. `MemoryDenyWriteExecute=` is missing: OpenVINO and TensorRT write machine code as they load."""


@dataclass(frozen=True)
class CartUnitOptions:
    """What the units depend on."""

    python: Path
    config: Path
    journal: Path
    address: str
    """Of the pages, as in `http://127.0.0.1:8420/`."""
    slots: Path | None = None
    """The folder of bundles where it is not in the unit's own state folder."""
    user: str = "ropcart"
    audit: bool = False
    """Whether the site's DICOM configuration names an audit repository."""
    anchors: tuple[Path, ...] = ()
    """Files outside of the journal that are told its newest event; each has to be there before the unit starts."""
    site_anchor: Path | None = None
    """Such a file of the site's issue numbers (`ROP_SITE_ANCHOR`)."""
    devices: tuple[str, ...] = ("char-usb_device", "char-video4linux", "char-ttyACM", "char-ttyUSB", "char-nvidia*")
    """Kinds of devices that the cart may open, by group."""


def units(options: CartUnitOptions) -> dict[str, str]:
    """Every unit by its file name."""
    audit = {"rop-audit.service": _audit(options)} if options.audit else {}
    return {
        "cart.target": _target(options),
        "rop-cart.service": _cart(options),
        "rop-sender.service": _sender(options),
        **audit,
        "rop-keeper.service": _keeper(options),
        "rop-keeper.timer": _timer(),
        "rop-kiosk.service": _kiosk(options),
    }


def _target(options: CartUnitOptions) -> str:
    audit = " rop-audit.service" if options.audit else ""
    return f"""[Unit]
Description=ROP screening cart
Wants=rop-cart.service rop-sender.service{audit} rop-keeper.timer rop-kiosk.service

[Install]
WantedBy=multi-user.target
"""


def _cart(options: CartUnitOptions) -> str:
    devices = "".join(f"DeviceAllow={device} rw\n" for device in options.devices)
    return f"""[Unit]
Description=ROP screening cart: desk and pages
PartOf=cart.target
StartLimitIntervalSec=120
StartLimitBurst=10

[Service]
Type=notify
ExecStart={_command(options, "runtime.cart", "run", "--no-send")}
WatchdogSec={WATCHDOG_S}
Restart=always
RestartSec=1
TimeoutStartSec=120
User={options.user}
SupplementaryGroups=video dialout plugdev render
DevicePolicy=closed
StateDirectory=rop-screening
{devices}{_slots(options)}
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
{HARDENED}"""


def _slots(options: CartUnitOptions) -> str:
    """What the cart writes; its slots as well, for starts are counted there and a failing bundle is left."""
    environment, written = "", f"ReadWritePaths={_written(options)}"
    if options.slots is not None:
        environment += f"Environment={_quoted(f'{SLOTS_VARIABLE}={options.slots}')}\n"
        written += " " + _quoted(f"-{options.slots}")
    if options.site_anchor is not None:
        environment += f"Environment={_quoted(f'{ANCHOR_VARIABLE}={options.site_anchor}')}\n"
        written += " " + _quoted(str(options.site_anchor))
    return environment + written


def _sender(options: CartUnitOptions) -> str:
    return _caller(options, "sender to the archive", "send")


def _audit(options: CartUnitOptions) -> str:
    return _caller(options, "audit trail to the site's repository", "audit")


def _caller(options: CartUnitOptions, what: str, verb: str) -> str:
    """A service that calls a machine of the hospital, and goes on until it is stopped."""
    return f"""[Unit]
Description=ROP screening cart: {what}
PartOf=cart.target
After=network-online.target
Wants=network-online.target

[Service]
ExecStart={_command(options, "runtime.dicom", verb, "--watch")}
Restart=always
RestartSec=5
User={options.user}
PrivateDevices=yes
ReadWritePaths={_written(options)}
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
MemoryDenyWriteExecute=yes
{HARDENED}"""


def _keeper(options: CartUnitOptions) -> str:
    return f"""[Unit]
Description=ROP screening cart: the journal verified

[Service]
Type=oneshot
ExecStart={_command(options, "runtime.exam", "verify")}
User={options.user}
PrivateDevices=yes
PrivateNetwork=yes
PrivateUsers=yes
IPAddressDeny=any
ReadWritePaths={_written(options)}
RestrictAddressFamilies=AF_UNIX
MemoryDenyWriteExecute=yes
{HARDENED}"""


def _timer() -> str:
    return """[Unit]
Description=ROP screening cart: every night

[Timer]
OnCalendar=*-*-* 03:00
RandomizedDelaySec=30min
Persistent=yes

[Install]
WantedBy=timers.target
"""


def _kiosk(options: CartUnitOptions) -> str:
    """Chromium's own sandbox needs namespaces and the calls that make them, so it is hardened less; it holds no key.

    Calls that are refused fail instead of ending it. Its profile lies in memory, and is gone when it ends. A cookie
    knows its port there: no other program of this machine is sent the session's.
    """
    profile = "%t/rop-kiosk"
    flags = f"--kiosk --incognito --noerrdialogs --disable-translate --no-first-run {OWN_COOKIES} "
    flags += f"--user-data-dir={profile}/browser"
    return f"""[Unit]
Description=ROP screening cart: the screen
PartOf=cart.target
After=rop-cart.service

[Service]
ExecStart=/usr/bin/cage -- /usr/bin/chromium {flags} {options.address}
Restart=always
RestartSec=2
User=ropkiosk
PAMName=login
TTYPath=/dev/tty7
StandardInput=tty
RuntimeDirectory=rop-kiosk
RuntimeDirectoryMode=0700
Environment=HOME={profile}
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateMounts=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=user pid net
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
KeyringMode=private
RemoveIPC=yes
SystemCallArchitectures=native
SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap
SystemCallErrorNumber=EPERM
DevicePolicy=closed
DeviceAllow=/dev/tty7 rw
DeviceAllow=char-drm rw
DeviceAllow=char-input rw
UMask=0077
LimitCORE=0
InaccessiblePaths={_quoted(str(options.journal))}
IPAddressDeny=any
IPAddressAllow=localhost
"""


def _command(options: CartUnitOptions, module: str, *words: str) -> str:
    parts = (str(options.python), "-m", module, *words, "--config", str(options.config))
    return " ".join(_quoted(part.replace("$", "$$")) for part in parts)


def _written(options: CartUnitOptions) -> str:
    return " ".join(_quoted(str(path)) for path in (options.journal, *options.anchors))


def _quoted(text: str) -> str:
    text = text.replace("%", "%%")
    if not any(character in text for character in " \t\"'\\;"):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
