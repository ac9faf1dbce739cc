"""The daemon's socket in the file system: made, taken over from a dead daemon, or got from systemd."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.daemon.errors import SocketUnusable

LONGEST_PATH = 107
"""Bytes; what the kernel's `sun_path` holds, less the zero at its end."""
BACKLOG = 64
FIRST_PASSED = 3


@contextmanager
def listening(path: Path, group: int | None = None) -> Iterator[socket.socket]:
    """Listen at `path` for as long as the context lasts. Raises `SocketUnusable`.

    group: let its members connect, beside this user and root. A file of the same name with `.lock` at its end is held,
    so that two daemons that start at once do not take the same socket.
    """
    name = os.fsencode(path)
    if len(name) > LONGEST_PATH:
        raise SocketUnusable(f"socket path has {len(name)} bytes, at most {LONGEST_PATH}; choose a shorter one: {path}")
    try:
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SocketUnusable(f"socket {path} is another daemon's; stop that, or choose another path") from None
        with contextlib.closing(_bound(path, group)) as listener:
            try:
                yield listener
            finally:
                with contextlib.suppress(OSError):
                    path.unlink()
    finally:
        os.close(lock)


def passed_by_systemd() -> socket.socket | None:
    """The listening socket of socket activation, None where there is none. Raises `SocketUnusable` for a wrong one."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = os.environ.get("LISTEN_FDS", "")
    if count != "1":
        raise SocketUnusable(f"systemd passed {count or 'no'} sockets, expected 1; correct the socket unit")
    os.set_inheritable(FIRST_PASSED, False)
    listener = socket.socket(fileno=FIRST_PASSED)
    if listener.family != socket.AF_UNIX or listener.type != socket.SOCK_SEQPACKET:
        listener.close()
        raise SocketUnusable("systemd passed another kind of socket; the socket unit needs ListenSequentialPacket=")
    return listener


def _bound(path: Path, group: int | None) -> socket.socket:
    try:
        if path.exists() or path.is_symlink():
            _remove_dead(path)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        before = os.umask(0o177 if group is None else 0o117)  # its mode from the start: chmod would follow a link
        try:
            listener.bind(str(path))
            if group is not None:
                os.chown(path, -1, group, follow_symlinks=False)
        except BaseException:
            listener.close()
            raise
        finally:
            os.umask(before)
        listener.listen(BACKLOG)
        return listener
    except OSError as error:
        raise _unusable(path, error) from None


def _remove_dead(path: Path) -> None:
    """Remove a socket that nobody listens at any more; nothing else is ever removed."""
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise SocketUnusable(f"{path} is there and is not a socket; remove it, or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise SocketUnusable(f"socket {path} is another program's; stop that, or choose another path")


def _unusable(path: Path, error: OSError) -> SocketUnusable:
    return SocketUnusable(
        f"socket {path}: {error.strerror or error}; choose a path in a folder that this user may write"
    )
