"""What a client of the daemon, and the daemon's own start, can run into.

DaemonError (a ScreeningError)
|-- DaemonGone       there is no daemon at the socket, or it went away; connect again
|-- DaemonRefused    it said no: `code` tells why
|-- Impostor         the socket is of a user that is not the daemon's
|-- DaemonSilent     no answer in the time allowed
|-- NotMeasured      what the daemon adds cannot be measured
`-- SocketUnusable   the daemon cannot have its socket: path too long, owned by another daemon, not permitted
"""

from __future__ import annotations

from runtime.daemon.wire import ErrorCode
from runtime.errors import ScreeningError


class DaemonError(ScreeningError):
    """Base of what goes wrong between a program and the daemon."""


class DaemonGone(DaemonError):
    """There is no daemon at the socket, or it went away. Frames under way have no result."""


class DaemonRefused(DaemonError):
    """The daemon answered with an ERROR."""

    def __init__(self, code: ErrorCode, text: str, detail: int = 0) -> None:
        super().__init__(f"daemon refused ({code.name}): {text}")
        self.code = code
        self.detail = detail


class DaemonSilent(DaemonError):
    """No answer came in the time allowed."""


class Impostor(DaemonError):
    """The socket is of a user that is not the daemon's."""


class SocketUnusable(DaemonError):
    """The daemon cannot have its socket."""


class NotMeasured(DaemonError):
    """What the daemon adds cannot be measured: no picture, no daemon, or the two do not agree."""
