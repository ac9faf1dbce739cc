"""A bundle with plans for the fake TensorRT, and the engine on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runtime.bundle import Bundle
from runtime.cuda.fake import FakeCuda
from runtime.engines.fake_tensorrt import FakeTensorRT, fake_plan
from runtime.engines.tensorrt_engine import TensorRTEngine
from runtime.engines.tensorrt_network import TensorRT
from runtime.plan_key import PlanKey, host_platform
from runtime.plans import PLANS, Plan, find_plan

KEY = PlanKey("sm86", "trt", "10.3.0", "fp32")


def write_plans(bundle: Bundle, contents: dict[str, bytes], key: PlanKey = KEY) -> Path:
    """Plans with those contents beside the bundle, all said to be made from its own graphs."""
    folder = bundle.path / PLANS / str(key)
    folder.mkdir(parents=True, exist_ok=True)
    hashes = {entry.path: entry.sha256 for entry in bundle.manifest.files}
    files = []
    for name, content in contents.items():
        (folder / f"{name}.plan").write_bytes(content)
        graph = f"{'segmentation' if name == 'segmentation' else 'classifier'}.fp32.onnx"
        files.append(
            {
                "name": name,
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "graph": graph,
                "graph_sha256": hashes[graph],
                "precision": "fp32",
                "seconds": 0.0,
                "network_layers": {},
                "engine_layers": None,
            }
        )
    manifest = {
        "schema": "rop.plan/1",
        "key": str(key),
        "bundle_name": bundle.manifest.name,
        "bundle_version": bundle.manifest.version,
        "created": "2026-11-22T00:00:00+00:00",
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
        "plans": files,
    }
    (folder / "plan.json").write_text(json.dumps(manifest))
    return folder


def both_plans(bundle: Bundle) -> dict[str, bytes]:
    """Fake plans of the bundle's own graphs."""
    return {name: fake_plan(bundle.path / f"{name}.fp32.onnx") for name in ("segmentation", "classifier")}


@dataclass
class FakeMachine:
    """A machine with a fake GPU and a fake TensorRT. Faults are set before `load`."""

    cuda: FakeCuda
    trt: FakeTensorRT
    bundle: Bundle

    def load(self) -> TensorRTEngine:
        """The engine on the plan in the bundle."""
        return self.load_plan(find_plan(self.bundle, KEY))

    def load_plan(self, plan: Plan) -> TensorRTEngine:
        """The engine on that plan."""
        return TensorRTEngine(plan, len(self.bundle.class_names), lambda: TensorRT("trt", self.trt), lambda: self.cuda)


def fake_machine(bundle: Bundle) -> Iterator[FakeMachine]:
    """A machine whose GPU is looked at afterwards: nothing wrong may have been done on it, nothing left behind."""
    cuda = FakeCuda()
    yield FakeMachine(cuda, FakeTensorRT(cuda), bundle)
    cuda.check()
