"""Power cuts while bundles are installed, activated, rolled back and removed: is one whole bundle active after each?

A child changes slots without end; it is killed (SIGKILL) at a random moment, and the slots are opened. Counts are kept
in a file, so that the soak goes on where it was: python tests/bench/bundle_kills.py --kills 1000 --state kills.json
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from unittest.mock import patch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))


def change(work: Path, number: int) -> None:
    """What a cart's technician does, without end; runs in the child."""
    from runtime.bundles import actions
    from runtime.bundles.errors import SlotsError
    from tests.runtime.bundles.making import WORKS

    patch("runtime.bundles.actions.try_bundle", return_value=WORKS).start()
    means = actions.Means(work / "slots", trusted_keys=work / "keys", station="cart-1")
    packages = [work / "one", work / "two.tar", work / "three.tar.gz"]
    while True:
        found = actions.install(means, packages[number % 3])
        actions.activate(means, found.bundle.sha256)
        with contextlib.suppress(SlotsError):  # at the very start there is none to go back to
            actions.rollback(means)
        actions.activate(means, found.bundle.sha256)
        for slot in means.slots.slots():
            if not slot.state:
                means.slots.remove(slot.sha256)
        number += 1


def main() -> int:
    """Kill and look; 1 when a kill left no whole bundle active."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000, help="in all, with those of earlier runs")
    parser.add_argument("--state", type=Path, help="where the counts are kept")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    options = parser.parse_args()
    counts = {"kills": 0, "broken": 0}
    if options.state is not None and options.state.exists():
        counts = json.loads(options.state.read_text())
    with tempfile.TemporaryDirectory() as folder:
        broken = run(Path(folder), counts, options)
    print(json.dumps(counts))
    return 1 if broken else 0


def run(work: Path, counts: dict[str, int], options: argparse.Namespace) -> int:
    from runtime.bundles.actions import Means
    from tests.runtime.bundles.making import KEY, bundle_folder, keys_folder, packed

    os.environ["ROP_SITE_STATE"] = str(work / "state")
    keys_folder(work / "keys", maker=KEY)
    bundle_folder(work / "one", version="1", issue=5)
    for name, version in (("two.tar", "2"), ("three.tar.gz", "3")):
        packed(bundle_folder(work / name.partition(".")[0], version=version, issue=5), work / name)
    means, began = Means(work / "slots", trusted_keys=work / "keys"), time.monotonic()
    first = True
    while counts["kills"] < options.kills and time.monotonic() - began < options.seconds:
        child = os.fork()
        if child == 0:
            try:
                change(work, counts["kills"])
            except BaseException as error:
                print(f"the child ended by itself: {error!r}", file=sys.stderr)
            finally:
                os._exit(9)
        time.sleep(random.uniform(0.0, 0.4) + (3.0 if first else 0.0))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            counts["broken"] += 1
        counts["kills"] += 1
        if problem := look(means.folder):
            if not (first and problem == "nothing is active"):
                counts["broken"] += 1
                print(f"kill {counts['kills']}: {problem}", file=sys.stderr)
        else:
            first = False
        if options.state is not None:
            options.state.write_text(json.dumps(counts))
    return counts["broken"]


def look(folder: Path) -> str:
    """What is wrong with the slots, "" when one whole bundle is active."""
    from runtime.bundle import open_bundle
    from runtime.errors import ScreeningError
    from runtime.slots import read_active

    try:
        state = read_active(folder)
        if state is None:
            return "nothing is active"
        found = open_bundle(folder)
        return "" if found.sha256 == state.active else f"{found.sha256} is open, {state.active} is active"
    except ScreeningError as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(main())
