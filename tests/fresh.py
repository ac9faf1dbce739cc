"""Commands as if each were started by itself: forked from one bare interpreter, so that none pays for a start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BARE = """
import argparse, json, os, runpy, sys

def asked():
    for line in sys.stdin:
        call = json.loads(line)
        child = os.fork()
        if not child:
            return call
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    os._exit(0)

call = asked()
for name, number in (("nothing", 0), ("out", 1), ("err", 2)):
    flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    os.dup2(os.open(call[name] or os.devnull, flags, 0o600), number)
if call["out"] is None:
    os.close(1)
os.chdir(call["folder"])
sys.path[0] = call["folder"]
sys.modules.update(dict.fromkeys(call["absent"]))
module, *words = call["words"]
sys.argv = [module, *words]
try:
    runpy.run_module(module, run_name="__main__", alter_sys=True)
finally:
    with open(call["imported"], "w", encoding="utf-8") as file:
        json.dump([name for name in call["watched"] if name in sys.modules], file)
"""
"""A child goes on after `asked` and ends as every program of Python does, with its exit code or its traceback."""


@dataclass(frozen=True)
class Ran:
    """What came of a command."""

    code: int
    out: str
    err: str
    imported: tuple[str, ...]
    """Of the modules that were watched for, those that it imported."""


class FreshStarts:
    """The bare interpreter: nothing of ours or of a library is imported in it. Close it at last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-c", BARE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(
        self,
        words: Sequence[str],
        work: Path,
        absent: Sequence[str] = (),
        watched: Sequence[str] = (),
        out: str | None = "",
    ) -> Ran:
        """`python -m WORDS` in the folder `work`, where the modules `absent` are as if they were not installed.

        out: a device to write to, None to start without standard output; what is written there is not given back.
        """
        files: dict[str, str] = {name: str(self.folder / name) for name in ("out", "err", "imported")}
        Path(files["out"]).write_bytes(b"")
        call: dict[str, object] = {"words": words, "folder": str(work), "absent": absent, "watched": watched}
        call |= {"nothing": os.devnull, **files}
        if out != "":
            call["out"] = out
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        told, err, imported = (Path(path).read_text(encoding="utf-8") for path in files.values())
        return Ran(code, told, err, tuple(json.loads(imported)))

    def close(self) -> None:
        self._process.communicate()
