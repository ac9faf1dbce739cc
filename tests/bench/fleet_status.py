"""How long `status` takes for many carts: signed reports read and checked, as table and page; one JSON object."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Measure."""
    from device.signature import signature_line
    from runtime.fleet.report import ENDING, CartReport
    from runtime.fleet.status import page, read_fleet, table
    from runtime.trust.keys import TrustedKeys

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--carts", type=int, default=10_000)
    options = parser.parse_args()
    now, keys = datetime.now(timezone.utc), {}
    bundle = {"sha256": "a" * 64, "name": "m", "version": "1", "issue": 1, "clinical_use": True, "state": "active"}
    with tempfile.TemporaryDirectory() as name:
        for number in range(options.carts):
            station, key = f"cart-{number:05}", Ed25519PrivateKey.generate()
            keys[key.public_key().public_bytes_raw()] = station
            known: dict[str, object] = {"schema": "rop.cart-report/1", "station": station, "at": now.isoformat()}
            known |= {"software": "0", "bundles": [bundle], "drift": "steady", "free_mib": 1000}
            known |= {"outbox": {"waiting": 0, "proving": 0, "held": 0, "done": 9}}
            known |= {"latency": {"readings": 700, "p50": 40.0, "p99": 90.0, "slowest": 99.0}}
            report = CartReport.model_validate_json(json.dumps(known))
            body = report.model_dump_json(by_alias=True).encode() + b"\n"
            (Path(name) / f"{station}{ENDING}").write_bytes(body + signature_line(body, key))
        began = time.process_time()
        fleet = read_fleet(Path(name), TrustedKeys(keys), now, timedelta(days=1), 1000)
        read_s = time.process_time() - began
        shown, lines = page(fleet, now), table(fleet, now)
        whole_s = time.process_time() - began
    found = {"carts": len(fleet.rows), "refused": len(fleet.refused), "read_cpu_s": round(read_s, 2)}
    print(json.dumps(found | {"whole_cpu_s": round(whole_s, 2), "page_bytes": len(shown), "lines": len(lines)}))


if __name__ == "__main__":
    main()
