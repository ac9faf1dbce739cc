"""Plans of a bundle: finding the one that fits this machine, and reading it checked."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.checked_json import NotJson, OtherSchema, first_problem, model_from, parsed, read_at_most
from runtime.errors import BundleError, IncompatiblePlan
from runtime.plan_key import TARGETS, TITLES, PlanKey, PlanName, host_platform
from runtime.plan_manifest import PLAN_MANIFEST, PLAN_SCHEMA, PlanManifest

if TYPE_CHECKING:
    from runtime.bundle import Bundle

PLANS = "plans"
"""Folder of the plans, in the bundle's."""
SAME_MEMORY = 0.9
"""Share of the builder's memory that a GPU must have at least: what a system keeps for itself differs a little."""
MANIFEST_LIMIT_BYTES = 4 * 2**20


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


def require_gpu(plan: Plan, gpu: str, memory_mib: int) -> None:
    """Raise `IncompatiblePlan` for a plan whose kernels were chosen on another model of GPU than this machine's.

    gpu, memory_mib: this machine's; 0 where its memory is not known. One architecture is shared by GPUs that differ
    tenfold, an AGX Orin's plan may need memory that an Orin Nano has not, and both are called Orin.
    """
    built = plan.manifest.builder
    if built.gpu is None:  # TensorRT-RTX without a GPU: its kernels are chosen here
        return
    less = built.gpu_memory_mib is not None and 0 < memory_mib < SAME_MEMORY * built.gpu_memory_mib
    if built.gpu != gpu or less:
        of = f" with {built.gpu_memory_mib} MiB" if less else ""
        own = f" with {memory_mib} MiB" if less else ""
        raise IncompatiblePlan(
            f"plan {plan.key} was built on {built.gpu}{of}, this machine has {gpu}{own}; {_rebuild(plan.key)}"
        )


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
        return read_at_most(path, limit)
    except OSError as error:
        raise BundleError(f"plan {path} cannot be read ({error.strerror or error}); {_rebuild(key)}") from None


def _parse(folder: Path, raw: bytes, key: PlanKey) -> PlanManifest:
    from pydantic import ValidationError

    if len(raw) > MANIFEST_LIMIT_BYTES:
        raise BundleError(f"plan {folder}: {PLAN_MANIFEST} has over {MANIFEST_LIMIT_BYTES} bytes; {_rebuild(key)}")
    try:
        parsed(raw, PLAN_SCHEMA)
        return model_from(PlanManifest, raw)
    except NotJson as error:
        raise BundleError(f"plan {folder}: {PLAN_MANIFEST} is {error}; {_rebuild(key)}") from None
    except OtherSchema as error:
        raise BundleError(f"plan {folder}: {error}; {_rebuild(key)}") from None
    except ValidationError as error:
        problem = first_problem(error, "manifest")
        raise BundleError(f"plan {folder}: {PLAN_MANIFEST}: {problem}; {_rebuild(key)}") from None
