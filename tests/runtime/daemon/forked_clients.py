"""Clients that are killed: `forked_clients.py SOCKET`. Forks one for each line that it is sent and says its process id.

A forked client submits without end; whoever reads the id kills it, at whatever point it is.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from runtime.daemon.client import Client
from runtime.daemon.messages import FrameOrder
from tests.pictures import retina


def submit_for_ever(path: str) -> None:
    picture = retina(1)
    with Client(
        path, "killed", slots=3, slot_bytes=picture.nbytes, order=FrameOrder.EVERY, stored_pictures=True
    ) as client:
        while True:
            slot = client.free_slot()
            if slot is None:
                client.result()
                continue
            client.fill(slot, picture)
            client.submit(slot, 320, 240, vessels=True)


def main(path: str) -> None:
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            submit_for_ever(path)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        os.waitpid(child, 0)
        sys.stdout.write("gone\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
