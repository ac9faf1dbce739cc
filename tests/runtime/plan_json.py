"""A valid `plan.json` for plans of any content, as a dict that tests may spoil."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from runtime.bundle import Bundle
from runtime.plan_key import PlanKey, host_platform


def plan_json(bundle: Bundle, key: PlanKey, contents: Mapping[str, bytes]) -> dict[str, Any]:
    """contents: of each plan by its name; all are said to be made from the bundle's own graphs."""
    hashes = {entry.path: entry.sha256 for entry in bundle.manifest.files}
    plans = []
    for name, content in contents.items():
        network = "segmentation" if name == "segmentation" else "classifier"
        graph = f"{network}.fp32.onnx"
        plans.append(
            {
                "name": name,
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "graph": graph,
                "graph_sha256": hashes[graph],
                "precision": key.precisions[network],
                "seconds": 1.5,
                "network_layers": {"fp32": 3},
                "engine_layers": None,
            }
        )
    return {
        "schema": "rop.plan/1",
        "key": str(key),
        "bundle_name": bundle.manifest.name,
        "bundle_version": bundle.manifest.version,
        "created": "2026-11-22T10:00:00+00:00",
        "platform": host_platform(),
        "builder": {
            "tool": "onnx",
            "version": key.version,
            "strongly_typed": True,
            "flags": [],
            "optimization_level": 3,
            "tactics": "default",
            "workspace_bytes": None,
            "hardware_compatibility": "none",
            "gpu": None,
        },
        "plans": plans,
    }
