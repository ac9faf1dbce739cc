"""Opens a serial port by any pyserial URL and says plainly why when it cannot."""

from __future__ import annotations

import errno
import os
from typing import Protocol

from device.errors import PortUnusable
from device.extras import how_to_install
from device.secrets import hide_secrets

BAUD = 115_200
READ_TIMEOUT_S = 0.1
WRITE_TIMEOUT_S = 0.2


class Port(Protocol):
    """What the link uses of a pyserial port."""

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        ...

    def read(self, size: int) -> bytes:
        """At least one byte, or none when the timeout passed."""
        ...

    def write(self, data: bytes) -> int | None:
        """Send bytes."""
        ...

    def close(self) -> None:
        """Give the port back."""
        ...


def open_port(url: str) -> Port:
    """`/dev/ttyACM0`, `socket://host:port` or any other URL of pyserial at 115200 8N1, for this program alone.

    Raises `PortUnusable`.
    """
    try:
        import serial
    except ImportError:
        raise PortUnusable(f"{hide_secrets(url)}: pyserial is not installed; " + how_to_install("light")) from None
    try:
        port: Port = serial.serial_for_url(
            url, baudrate=BAUD, timeout=READ_TIMEOUT_S, write_timeout=WRITE_TIMEOUT_S, exclusive=True
        )
    except (OSError, ValueError) as error:  # SerialException is an OSError
        raise PortUnusable(hide_secrets(_why(url, error))) from error
    return port


def write_frame(port: Port, data: bytes) -> bool:
    """Send bytes; False when the port did not take them in time. Raises OSError when the port is gone."""
    import serial

    try:
        port.write(data)
    except serial.SerialTimeoutException:
        return False
    return True


def _why(url: str, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.ENOENT:
        return f"{url}: no such port; expected one that is listed by: python -m serial.tools.list_ports"
    if number in (errno.EACCES, errno.EPERM):
        return f"{url}: permission denied; the port belongs to group {_group(url)!r}: {_join_group(url)}"
    if number in (errno.EBUSY, errno.EAGAIN) or "exclusively lock" in str(error):
        return f"{url}: busy, another program holds the port; close it and try again"
    if number == errno.ECONNREFUSED or url.startswith("socket://"):
        return f"{url}: cannot connect ({error}); expected a serial server that listens there"
    if isinstance(error, ValueError):
        return f"{url}: not a port or pyserial URL ({error}); expected for example /dev/ttyACM0 or socket://host:port"
    return f"{url}: cannot be used as a serial port ({error}); expected a serial device"


def _group(url: str) -> str:
    try:
        import grp

        return grp.getgrgid(os.stat(url).st_gid).gr_name
    except (ImportError, OSError, KeyError):
        return "dialout"


def _join_group(url: str) -> str:
    return f"run `sudo usermod -aG {_group(url)} $USER` and log in again"
