"""Plans of a bundle: their key, their own manifest `rop.plan/1`, and finding the one that fits this machine.

A plan is built where it runs, after the bundle was made and signed. It therefore has a manifest of its own beside it,
`plans/<key>/plan.json`, and leaves the bundle's `manifest.json` untouched.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from runtime.errors import BundleError, IncompatiblePlan
from runtime.manifest import NETWORKS, Precision, Sha256

if TYPE_CHECKING:
    from runtime.bundle import Bundle

PLAN_SCHEMA: Final = "rop.plan/1"
PLAN_MANIFEST = "plan.json"
PLANS = "plans"
"""Folder of the plans, in the bundle's."""
MANIFEST_LIMIT_BYTES = 4 * 2**20
Library = Literal["trt", "rtx"]
PlanName = Literal["segmentation", "classifier", "raw", "guided"]
"""Both networks; or the segmentation and the two parts of the classifier, its raw and its guided branch."""
WHOLE: tuple[PlanName, ...] = ("segmentation", "classifier")
SPLIT: tuple[PlanName, ...] = ("segmentation", "raw", "guided")

MODULES: Mapping[Library, str] = {"trt": "tensorrt", "rtx": "tensorrt_rtx"}
"""Python module of each library."""
TITLES: Mapping[Library, str] = {"trt": "TensorRT", "rtx": "TensorRT-RTX"}
TARGETS: Mapping[Library, str] = {"trt": "tensorrt", "rtx": "tensorrt-rtx"}
"""Name of each library as `--target` and as a backend."""

_KEY = re.compile(
    r"(?P<architecture>sm\d{2,3})-(?P<library>trt|rtx)(?P<version>\d+\.\d+\.\d+)"
    r"-(?P<precision>[a-z0-9+]+)"
)


@dataclass(frozen=True)
class PlanKey:
    """What a plan is bound to; `str(key)` is its folder's name, `sm87-trt10.3.0-int8`."""

    architecture: str
    """Compute capability of the GPU, `sm87` for 8.7."""
    library: Library
    version: str
    """Of the library, three numbers: NVIDIA's fourth differs between packages of one release."""
    precision: str
    """`int8`, or the segmentation's and the classifier's where they differ: `int8+fp16`."""

    def __post_init__(self) -> None:
        match = _KEY.fullmatch(str(self))
        if match is None or match["library"] != self.library:
            raise ValueError(f"plan key {self}: expected one like sm87-trt10.3.0-int8 or sm86-rtx1.7.1-int8+fp16")
        split_precision(self.precision)

    def __str__(self) -> str:
        return f"{self.architecture}-{self.library}{self.version}-{self.precision}"

    @classmethod
    def parse(cls, text: str) -> PlanKey:
        """The key that a folder's name spells. Raises ValueError when it spells none."""
        match = _KEY.fullmatch(text)
        if match is None:
            raise ValueError(f"plan key {text!r}: expected one like sm87-trt10.3.0-int8 or sm86-rtx1.7.1-int8+fp16")
        library: Library = "trt" if match["library"] == "trt" else "rtx"
        return cls(match["architecture"], library, match["version"], match["precision"])

    @property
    def precisions(self) -> dict[str, str]:
        """Precision of each network, as `Bundle.resolve_precision` gives it."""
        return split_precision(self.precision)


def precision_word(precisions: Mapping[str, str]) -> str:
    """The key's word for the networks' precisions: `int8`, or `int8+fp16` where they differ."""
    return "+".join(dict.fromkeys(precisions[network] for network in NETWORKS))


def split_precision(word: str) -> dict[str, str]:
    """Precision of each network from the key's word. Raises ValueError for another word."""
    parts = word.split("+")
    if len(parts) > 2 or len(set(parts)) != len(parts) or not set(parts) <= {"fp32", "fp16", "int8"}:
        raise ValueError(f"precision {word!r}: expected fp32, fp16, int8, or two that differ, like int8+fp16")
    return {"segmentation": parts[0], "classifier": parts[-1]}


def architecture_name(major: int, minor: int) -> str:
    """`sm87` for compute capability 8.7, `sm120` for 12.0."""
    return f"sm{major}{minor}"


def release(version: str) -> str:
    """The first three numbers of a library's version: `10.3.0` of `10.3.0.26`."""
    match = re.match(r"\d+\.\d+\.\d+", version)
    if match is None:
        raise ValueError(f"library version {version!r}: expected three numbers or more, like 10.3.0")
    return match.group()


def host_platform() -> str:
    """Operating system and processor, `linux-x86_64`: plans do not move between them."""
    return f"{platform.system()}-{platform.machine()}".lower()


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PlanFile(_Part):
    """One serialized engine, and what it was made from."""

    name: PlanName
    size: Annotated[int, Field(gt=0)]
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


@dataclass(frozen=True)
class Plan:
    """A plan that fits the machine it was looked for on. Make it with `find_plan`."""

    path: Path
    """Its folder."""
    key: PlanKey
    manifest: PlanManifest
    sha256: str
    """SHA-256 of `plan.json`'s bytes, which name every plan's."""

    @property
    def names(self) -> tuple[PlanName, ...]:
        """`segmentation` and `classifier`, or with the classifier in two parts `raw` and `guided`, or all four."""
        return tuple(plan.name for plan in self.manifest.plans)

    def read(self, name: PlanName) -> bytes:
        """A serialized engine's bytes, checked as they are read: a plan is code, never deserialize it unchecked.

        Raises `BundleError` for a file that is missing, altered or cut short.
        """
        entry = next((plan for plan in self.manifest.plans if plan.name == name), None)
        if entry is None:
            raise BundleError(f"plan {self.path}: holds {', '.join(self.names)}, not {name}; {_rebuild(self.key)}")
        content = _bytes(self.path / entry.path, entry.size, self.key)
        digest = hashlib.sha256(content).hexdigest()
        if len(content) != entry.size or digest != entry.sha256:
            raise BundleError(
                f"plan {self.path / entry.path} was altered or cut short: {len(content)} bytes, SHA-256 "
                f"{digest[:12]}..., expected {entry.size} and {entry.sha256[:12]}...; {_rebuild(self.key)}"
            )
        return content


def find_plan(bundle: Bundle, wanted: PlanKey) -> Plan:
    """The bundle's plan for a machine and precision, its facts checked; the engines are checked by `Plan.read`.

    Raises `IncompatiblePlan` when the bundle has none, only one for another GPU, library or precision, or one that was
    made from other graphs than the bundle's; `BundleError` for a `plan.json` that is missing, is not one, or is
    refused by `Bundle.check_plan`.
    """
    folder = bundle.path / PLANS / str(wanted)
    if not folder.is_dir():
        raise IncompatiblePlan(_mismatch(bundle, wanted, list_plans(bundle)))
    raw = _bytes(folder / PLAN_MANIFEST, MANIFEST_LIMIT_BYTES, wanted)
    if bundle.check_plan is not None:
        bundle.check_plan(folder, raw)
    manifest = _parse(folder, raw, wanted)
    if manifest.key != str(wanted):
        raise BundleError(f"plan {folder}: {PLAN_MANIFEST} says {manifest.key}; {_rebuild(wanted)}")
    if manifest.platform != host_platform():
        raise IncompatiblePlan(
            f"plan {folder} was built on {manifest.platform}, this machine is {host_platform()}; {_rebuild(wanted)}"
        )
    graphs = {entry.path: entry.sha256 for entry in bundle.manifest.files}
    for plan in manifest.plans:
        if graphs.get(plan.graph) != plan.graph_sha256:
            raise IncompatiblePlan(
                f"plan {folder / plan.path} was made from another {plan.graph} (SHA-256 {plan.graph_sha256[:12]}...) "
                f"than the bundle's; {_rebuild(wanted)}"
            )
    return Plan(folder, wanted, manifest, hashlib.sha256(raw).hexdigest())


def list_plans(bundle: Bundle) -> tuple[PlanKey, ...]:
    """Keys of the plans beside the bundle, by their folders' names; nothing in them is opened."""
    try:
        names = sorted(entry.name for entry in (bundle.path / PLANS).iterdir() if entry.is_dir())
    except OSError:
        return ()
    keys = []
    for name in names:
        with contextlib.suppress(ValueError):  # some other folder
            keys.append(PlanKey.parse(name))
    return tuple(keys)


def _rebuild(key: PlanKey, precision: str | None = None) -> str:
    chosen = f" --precision {precision}" if precision else ""
    return f"rebuild it: python -m build_engines BUNDLE --target {TARGETS[key.library]}{chosen}"


def _mismatch(bundle: Bundle, wanted: PlanKey, held: tuple[PlanKey, ...]) -> str:
    """Why none of the plans will do, told by the one that comes nearest."""
    build = _rebuild(wanted, wanted.precision).replace("rebuild", "build")
    same_library = [key for key in held if key.library == wanted.library]
    if not same_library:
        others = f", only {', '.join(map(str, held))}" if held else ""
        return f"bundle {bundle.manifest.name} has no {TITLES[wanted.library]} plan{others}; {build}"
    here = [key for key in same_library if (key.architecture, key.version) == (wanted.architecture, wanted.version)]
    if here:
        precisions = ", ".join(key.precision for key in here)
        return f"no {wanted.precision} plan for this machine, bundle {bundle.manifest.name} has: {precisions}; {build}"
    nearest = max(same_library, key=lambda key: (key.precision == wanted.precision, key.architecture, key.version))
    return (
        f"plan was built for {nearest.architecture} / {TITLES[nearest.library]} {nearest.version}, "
        f"this machine has {wanted.architecture} / {wanted.version}; {_rebuild(wanted)}"
    )


def _bytes(path: Path, limit: int, key: PlanKey) -> bytes:
    """A file's bytes, one more than the limit at most."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise BundleError(f"plan {path} cannot be read ({error.strerror or error}); {_rebuild(key)}") from None


def _parse(folder: Path, raw: bytes, key: PlanKey) -> PlanManifest:
    try:
        content: Any = json.loads(raw) if len(raw) <= MANIFEST_LIMIT_BYTES else None
    except (ValueError, RecursionError) as error:
        raise BundleError(f"plan {folder}: {PLAN_MANIFEST} is not JSON ({error}); {_rebuild(key)}") from None
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != PLAN_SCHEMA:
        raise BundleError(f"plan {folder}: schema is {schema!r}, this version reads {PLAN_SCHEMA!r}; {_rebuild(key)}")
    try:
        return PlanManifest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "manifest"
        raise BundleError(f"plan {folder}: {PLAN_MANIFEST}: {where}: {first['msg']}; {_rebuild(key)}") from None
