"""A bundle with plans for the fake TensorRT, and the engine on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from runtime.bundle import Bundle
from runtime.cuda.fake import FakeCuda
from runtime.engines.tensorrt.engine import TensorRTEngine
from runtime.engines.tensorrt.fake import FakeTensorRT, fake_plan
from runtime.engines.tensorrt.network import TensorRT
from runtime.plan_key import PlanKey
from runtime.plans import PLANS, Plan, find_plan
from tests.runtime.plan_json import plan_json

KEY = PlanKey("sm86", "trt", "10.3.0", "fp32")


def write_plans(bundle: Bundle, contents: dict[str, bytes], key: PlanKey = KEY) -> Path:
    """Plans with those contents beside the bundle, all said to be made from its own graphs."""
    folder = bundle.path / PLANS / str(key)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.plan").write_bytes(content)
    (folder / "plan.json").write_text(json.dumps(plan_json(bundle, key, contents)))
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

    def load(self, *, encodes: bool = False) -> TensorRTEngine:
        """The engine on the plan in the bundle."""
        return self.load_plan(find_plan(self.bundle, KEY), encodes=encodes)

    def load_plan(self, plan: Plan, *, encodes: bool = False) -> TensorRTEngine:
        """The engine on that plan."""
        classes = len(self.bundle.class_names)
        return TensorRTEngine(plan, classes, lambda: TensorRT("trt", self.trt), lambda: self.cuda, encodes=encodes)


def fake_machine(bundle: Bundle) -> Iterator[FakeMachine]:
    """A machine whose GPU is looked at afterwards: nothing wrong may have been done on it, nothing left behind."""
    cuda = FakeCuda()
    yield FakeMachine(cuda, FakeTensorRT(cuda), bundle)
    cuda.check()
