"""Opening a bundle: everything in it is checked before anything in it is loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.checked_json import NotJson, OtherSchema, first_problem, model_from, parsed, read_at_most
from runtime.errors import BundleError
from runtime.onnx_weights import NotAGraph, weights_outside
from runtime.outcome import AID_NOTICE, DEMONSTRATION_NOTICE
from runtime.reading import BundleFacts
from runtime.slots import resolve

if TYPE_CHECKING:
    from runtime.manifest import FileEntry, Manifest, Precision

MANIFEST = "manifest.json"
DEMONSTRATION = Path(__file__).parent / "bundles" / "demonstration"
"""The bundle that ships with the project; not for clinical use."""
GRAPH_ENDING = ".onnx"
MANIFEST_LIMIT_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Bundle:
    """A checked bundle. Make it with `open_bundle`."""

    path: Path
    manifest: Manifest
    sha256: str
    """SHA-256 of the manifest's bytes, which name every other file's."""
    check_plan: Callable[[Path, bytes], None] | None = field(default=None, compare=False)
    """Gets the folder of a plan that is to be loaded and the bytes of its `plan.json`, and raises `BundleError` when
    it must not be; see `runtime.trust`."""

    @property
    def facts(self) -> BundleFacts:
        """What a reading says of its bundle."""
        notice = AID_NOTICE if self.manifest.clinical_use else f"{AID_NOTICE} {DEMONSTRATION_NOTICE}"
        return BundleFacts(self.manifest.name, self.manifest.version, self.sha256, notice)

    @property
    def class_names(self) -> tuple[str, ...]:
        """In the order of the classifier's outputs."""
        return tuple(label.name for label in self.manifest.classes)

    @property
    def tells_strangers(self) -> bool:
        """Whether it brings a test of what is a fundus as its networks know it; older bundles do not."""
        from runtime.manifest import FAMILIAR

        return FAMILIAR in {entry.path for entry in self.manifest.files}

    def precisions(self, network: str) -> tuple[Precision, ...]:
        """Precisions that the bundle holds a graph of the network for."""
        from runtime.manifest import PRECISIONS, graph_name

        listed = {entry.path for entry in self.manifest.files}
        return tuple(p for p in PRECISIONS if graph_name(network, p) in listed)

    def resolve_precision(self, backend: str, asked: str) -> dict[str, str]:
        """Precision of each network: `auto` is the bundle's default for the backend and, on a CPU, for its class.

        Raises `BundleError` when the bundle holds no such graph.
        """
        from runtime.manifest import NETWORKS

        if asked == "auto":
            defaults = self.manifest.default_precision.get(self.default_key(backend), {})
            chosen = {str(network): str(precision) for network, precision in defaults.items()}
            chosen = {network: chosen.get(network, "fp32") for network in NETWORKS}
        else:
            chosen = dict.fromkeys(NETWORKS, asked)
        for network, precision in chosen.items():
            if precision not in self.precisions(network):
                held = ", ".join(self.precisions(network)) or "none"
                raise BundleError(
                    f"bundle {self.manifest.name}: no {precision} graph of the {network} network, it holds: {held}; "
                    f"choose one of these with --precision"
                )
        return chosen

    def default_key(self, backend: str) -> str:
        """Under what the manifest names the default precision for a backend here, if it names one."""
        from runtime.cpu_class import cpu_class

        key = f"{backend}/{cpu_class()}"
        return key if key in self.manifest.default_precision else backend

    def read(self, path: str) -> bytes:
        """A file's bytes, checked once more against the manifest as they are read."""
        entry = next((e for e in self.manifest.files if e.path == path), None)
        if entry is None:
            raise BundleError(f"bundle {self.path}: {path} is not in its manifest; build the bundle again")
        return _checked_bytes(self.path, entry)

    def graph(self, name: str) -> bytes:
        """An ONNX graph's bytes for an engine: as `read`, and all of its weights must be in it."""
        content = self.read(name)
        try:
            outside = weights_outside(content)
        except NotAGraph as error:
            raise BundleError(f"bundle {self.path}: {name} is not an ONNX graph ({error}); build it again") from None
        if outside:
            raise BundleError(_outside(self.path, name))
        return content


def open_bundle(path: Path | str | None = None, *, sha256: str | None = None) -> Bundle:
    """Open and check a bundle: schema, use, and the size and SHA-256 of every file.

    path: the bundle's folder, or a folder of slots, whose active bundle is meant; None is the default folder of slots,
    or the demonstration bundle where that holds none. sha256: of the bundle that an exam was opened with, which is
    taken where it lies in the slots, or is the demonstration. Raises `BundleError`.
    """
    named = None if path is None else Path(path)
    folder = resolve(named, sha256)
    shipped = sha256 is not None and named is None and folder is not None and folder.name != sha256
    if folder is None or (shipped and _is(DEMONSTRATION, str(sha256))):
        folder = DEMONSTRATION
    raw = manifest_bytes(folder)
    manifest = _parse(folder, raw)
    for entry in manifest.files:
        content = _checked_bytes(folder, entry)
        if entry.path.endswith(GRAPH_ENDING):
            with suppress(NotAGraph):  # an engine will refuse it
                if weights_outside(content):
                    raise BundleError(_outside(folder, entry.path))
    return Bundle(folder, manifest, hashlib.sha256(raw).hexdigest())


def _is(folder: Path, sha256: str) -> bool:
    return hashlib.sha256(manifest_bytes(folder)).hexdigest() == sha256


def _outside(folder: Path, name: str) -> str:
    return (
        f"bundle {folder}: {name} has weights in other files, which no hash covers; build the bundle again with all of "
        f"them in the graph"
    )


def manifest_bytes(folder: Path) -> bytes:
    """The bytes of a bundle's manifest as they stand, which its signature is of. Raises `BundleError`."""
    try:
        raw = read_at_most(folder / MANIFEST, MANIFEST_LIMIT_BYTES)
    except OSError as error:
        raise BundleError(
            f"bundle {folder}: {MANIFEST} cannot be read ({error.strerror or error}); "
            f"expected a bundle's folder, as `python -m build_engines CHECKPOINT --out DIR` makes"
        ) from None
    if len(raw) > MANIFEST_LIMIT_BYTES:
        raise BundleError(f"bundle {folder}: {MANIFEST} is larger than {MANIFEST_LIMIT_BYTES} bytes; not a manifest")
    return raw


def _parse(folder: Path, raw: bytes) -> Manifest:
    from pydantic import ValidationError

    from runtime.manifest import BUNDLE_SCHEMA, DISEASE, Manifest

    try:
        parsed(raw, BUNDLE_SCHEMA)
        manifest = model_from(Manifest, raw)
    except NotJson as error:
        raise BundleError(f"bundle {folder}: {MANIFEST} is {error}; build the bundle again") from None
    except OtherSchema as error:
        raise BundleError(
            f"bundle {folder}: {error}; build the bundle with this version, or use the version that made it"
        ) from None
    except ValidationError as error:
        problem = f"{first_problem(error, 'manifest')} ({error.error_count()} such)"
        raise BundleError(f"bundle {folder}: {MANIFEST}: {problem}; build the bundle again") from None
    if manifest.disease != DISEASE:
        raise BundleError(
            f"bundle {folder}: made for {manifest.disease!r}, this runtime screens for {DISEASE!r}; use another bundle"
        )
    return manifest


def _checked_bytes(folder: Path, entry: FileEntry) -> bytes:
    try:
        content = read_at_most(folder / entry.path, entry.size)
    except OSError as error:
        raise BundleError(
            f"bundle {folder}: {entry.path} cannot be read ({error.strerror or error}); copy the bundle again"
        ) from None
    if len(content) != entry.size:
        got = "more" if len(content) > entry.size else str(len(content))
        raise BundleError(
            f"bundle {folder}: {entry.path} has {got} bytes, expected {entry.size}; copy the bundle again"
        )
    digest = hashlib.sha256(content).hexdigest()
    if digest != entry.sha256:
        raise BundleError(
            f"bundle {folder}: {entry.path} was altered: SHA-256 {digest[:12]}..., expected {entry.sha256[:12]}...; "
            f"copy the bundle again"
        )
    return content
