"""The manifest beside a plan, `plans/<key>/plan.json` (`rop.plan/1`), checked as it is read.

A plan is built where it runs, after the bundle was made and signed. It therefore has a manifest of its own, and leaves
the bundle's `manifest.json` untouched.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from runtime.manifest import LARGEST_FILE, Precision, Sha256
from runtime.plan_key import SPLIT, WHOLE, PlanKey, PlanName

PLAN_SCHEMA: Final = "rop.plan/1"
PLAN_MANIFEST = "plan.json"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlanFile(_Part):
    """One serialized engine, and what it was made from."""

    name: PlanName
    size: Annotated[int, Field(gt=0, le=LARGEST_FILE)]
    """Bytes."""
    sha256: Sha256
    graph: str
    """File name of the ONNX graph in the bundle."""
    graph_sha256: Sha256
    precision: Precision
    tensors: dict[str, str] = {}
    """By the graphs' names (`vessels`, `logits`, ...), those in the engine, for tensors that bear another one there."""
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """That the build took."""
    network_layers: dict[str, int]
    """Layers of the parsed network by the type of their first output, before fusion; empty where no graph is parsed."""
    engine_layers: dict[str, int] | None
    """Layers of the finished engine by the type of their first output; None where no GPU could be asked."""

    @property
    def path(self) -> str:
        """File name in the plan's folder."""
        return f"{self.name}.plan"


class BuilderFacts(_Part):
    """How the plans were built."""

    tool: Literal["onnx", "torch-tensorrt"]
    """Which way in: NVIDIA's ONNX parser, or Torch-TensorRT's dynamo path."""
    version: str
    """Of the library, as it says it itself."""
    strongly_typed: bool
    flags: tuple[str, ...]
    optimization_level: Annotated[int, Field(ge=0, le=5)]
    tactics: Literal["default", "own"]
    """`own` keeps cuBLAS and cuDNN out."""
    workspace_bytes: Annotated[int, Field(gt=0)] | None
    """None leaves the limit to the library: all of the GPU's memory."""
    hardware_compatibility: Literal["none"]
    """`none`: for this very architecture. Plans for several are slower and no Jetson takes them."""
    gpu: str | None
    """Name of the GPU on which kernels were timed; None for plans built without one."""
    gpu_memory_mib: Annotated[int, Field(gt=0)] | None = None
    """Its memory: Jetsons of one family bear one name and differ in it. None where nothing is known."""


class PlanManifest(_Part):
    """The whole of `plan.json`."""

    schema_: Literal["rop.plan/1"] = Field(alias="schema")
    key: str
    bundle_name: str
    bundle_version: str
    created: str
    """Date and time, ISO 8601, UTC."""
    platform: str
    """Operating system and processor, `linux-x86_64`."""
    builder: BuilderFacts
    plans: tuple[PlanFile, ...]

    @field_validator("key")
    @classmethod
    def _is_a_key(cls, key: str) -> str:
        PlanKey.parse(key)
        return key

    @model_validator(mode="after")
    def _complete(self) -> PlanManifest:
        names = {plan.name for plan in self.plans}
        if len(names) != len(self.plans) or names not in (set(WHOLE), set(SPLIT), {*WHOLE, *SPLIT}):
            raise ValueError(f"plans: got {', '.join(p.name for p in self.plans) or 'none'}, expected both networks")
        precisions = PlanKey.parse(self.key).precisions
        for plan in self.plans:
            expected = precisions["segmentation" if plan.name == "segmentation" else "classifier"]
            if plan.precision != expected:
                raise ValueError(f"plans: {plan.name} is {plan.precision}, the key {self.key} says {expected}")
        return self
