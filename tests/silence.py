"""Runs a command cut off from every network and watched: what it looks up, connects to and writes must be its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

HOOK = '''
"""Loaded by every Python of a watched command: notes look-ups, connections, and files opened for writing."""
import os, sys
_log = os.open(os.environ["ROP_WATCH_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
_free = tuple(os.environ["ROP_WATCH_FREE"].split(os.pathsep))
_CHANGES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

def _note(kind, what):
    os.write(_log, "{} {} ({})\\n".format(kind, what, " ".join(sys.argv)[:80]).encode())

def _place(path):
    if isinstance(path, int):
        return
    full = os.path.abspath(os.fsdecode(path))
    if not full.startswith(_free):
        _note("writes", full)

def _hook(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto", "socket.bind"):
        if event.endswith(("sendto", "bind")) and not isinstance(arguments[1], tuple):
            return  # a local socket, named by a path
        _note(event, arguments[-1 if event.endswith(("sendto", "bind")) else 0])
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        _note(event, arguments[1])
    elif event == "open" and (arguments[2] or 0) & _CHANGES:
        _place(arguments[0])
    elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.rename", "os.link", "os.symlink", "os.chmod"):
        _place(arguments[0])

sys.addaudithook(_hook)
'''
NETWORK = re.compile(r"(?:socket|connect|sendto|bind)\(.*AF_INET6?\b.*")


def run_silently(folder: Path, *words: str, expected: tuple[int, ...] = (0,)) -> str:
    """Run `python -m WORDS` in a network namespace of its own; returns what it printed.

    folder: the work folder; the home, the temporary files and all that the command writes must lie in it. Fails where
    a host's name was looked up, a socket of the internet was opened, bound or connected, or anything was written
    elsewhere. Skips where this machine gives no network namespace. The exit code must be one of those expected.
    """
    watch, home = folder.parent / f"{folder.name}.watch", folder / "home"
    for place in (watch, home, folder / "tmp"):
        place.mkdir(parents=True, exist_ok=True)
    (watch / "sitecustomize.py").write_text(HOOK, encoding="utf-8")
    log, calls = watch / "log", watch / "calls"
    surroundings = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ROP_", "COV_"))}
    surroundings |= {
        "HOME": str(home),
        "TMPDIR": str(folder / "tmp"),
        "PYTHONPATH": f"{watch}{os.pathsep}{ROOT}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "ROP_WATCH_LOG": str(log),
        "ROP_WATCH_FREE": os.pathsep.join([str(folder), "/dev/", "/proc/self/"]),
    }
    strace = shutil.which("strace")
    native = [strace, "-f", "--seccomp-bpf", "-qq", "-e", "trace=%network", "-o", str(calls)] if strace else []
    ran = subprocess.run(
        [*namespace(), *native, sys.executable, "-m", *words],
        cwd=folder,
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in expected, f"{ran.returncode}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}"
    noted = log.read_text(encoding="utf-8") if log.exists() else ""
    assert not noted, f"{' '.join(words)} did what no option names:\n{noted}"
    seen = NETWORK.findall(calls.read_text(encoding="utf-8", errors="replace")) if calls.exists() else []
    assert not seen, f"{' '.join(words)} used the network from native code:\n" + "\n".join(seen[:10])
    kept = {str(path.relative_to(home)) for path in home.iterdir()}
    assert kept <= {".cache"}, f"{' '.join(words)} left {kept} in the home folder"
    caches = {path.name for path in (home / ".cache").iterdir()} if kept else set()
    assert caches <= {"rop-screening"}, f"{' '.join(words)} left {caches} in the home's cache"
    for place in (log, calls):
        place.unlink(missing_ok=True)
    return ran.stdout


def namespace() -> list[str]:
    """What goes before a command to cut it off; skips the test where this machine allows no namespace."""
    for words in (["unshare", "-n"], ["unshare", "-rn"]):
        if (
            shutil.which(words[0])
            and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
        ):
            return words
    pytest.skip("this machine gives no network namespace (unshare -n, unshare -rn)")
