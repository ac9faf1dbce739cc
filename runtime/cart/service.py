"""What a technician looks at: parts, latency, model, outbox, log; nothing of a patient."""

from __future__ import annotations

import io
import json
import platform
import time
import zipfile
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runtime.cart.log import recent_lines
from runtime.dicom.outbox import outbox_state
from runtime.exam.infant import now_utc
from runtime.percentiles import percentile, samples_needed, stated
from runtime.trust.words import trust_line

if TYPE_CHECKING:
    from runtime.cart.room import Room


def service_facts(room: Room, health: Sequence[dict[str, str]]) -> dict[str, Any]:
    """How the cart stands, for the Service screen."""
    facts, trust = room.screener.facts, room.screener.trust
    bundle = room.parts.rules().bundle
    lighting = room.hardware.lighting
    counts = None if room.hardware.camera.part is None else room.hardware.camera.part.counts
    return {
        "health": [*health],
        "camera": None if counts is None else str(counts),
        "latency": latency(room.latencies, room.budget_ms),
        "model": f"{bundle.name} {bundle.version} ({bundle.sha256[:12]}), {facts.backend} {facts.precision} on "
        f"{facts.device}" + (f"; {line}" if trust is not None and (line := trust_line(trust)) else ""),
        "light": None if lighting is None else (lighting.problem or "ready"),
        "outbox": outbox_words(room),
        "log": recent_lines(),
        "free_mib": room.journal.free_bytes() // 2**20,
    }


def latency(readings: Sequence[tuple[float, float]], budget_ms: float | None) -> dict[str, Any]:
    """Percentiles of the readings of the last hour, milliseconds, and the budget in words."""
    values = [ms for at, ms in readings if at > time.monotonic() - 3600]
    if not values:
        return {"frames": 0}
    p95 = stated(values, 95)
    return {
        "frames": len(values),
        "p50": round(percentile(values, 50), 1),
        "p95": f"- (n < {samples_needed(95)})" if p95 is None else round(p95, 1),
        "max": round(max(values), 1),
        "budget": "-" if budget_ms is None else f"{budget_ms:g} ms",
    }


def outbox_words(room: Room) -> str:
    """The outbox in one line."""
    state = outbox_state(room.journal, now_utc())
    said = f"{state.done} done, {state.waiting} waiting, {state.proving} to be answered for, {state.held} held"
    return said + (f"; last error: {state.last_error}" if state.last_error else "")


def support_zip(room: Room, health: Sequence[dict[str, str]]) -> bytes:
    """Facts of the machine and the cart, and the log, as a ZIP."""
    from importlib.metadata import distributions

    packages = sorted(f"{found.metadata['Name']} {found.version}" for found in distributions())
    machine = {"python": platform.python_version(), "system": platform.platform(), "machine": platform.machine()}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("cart.json", json.dumps(service_facts(room, health) | {"log": []}, indent=2))
        file.writestr("machine.json", json.dumps(machine, indent=2))
        file.writestr("packages.txt", "\n".join(packages) + "\n")
        file.writestr("log.txt", "\n".join(recent_lines()) + "\n")
    return packed.getvalue()
