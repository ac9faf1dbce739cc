"""Writing a bundle: graphs made and checked, manifest with hashes, all of it aside and then renamed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from build_engines.card import CARD, model_card
from build_engines.description import Description
from build_engines.errors import BuildError
from build_engines.export import Parity, check_parity, export_graphs
from build_engines.quantize import QuantizeSettings, add_graphs
from build_engines.reliability import write_reliability
from build_engines.report import REPORT_FILE, ParityReport, measure
from build_engines.report.choose import defaults
from build_engines.report.frames import NamedFrames
from build_engines.report.store import write_report
from build_engines.segimgnet import SegImgNet
from build_engines.trust.selftest import write_self_test
from build_engines.trust.vectors import write_vectors
from calibration import CalibrationSet
from runtime.arrays import UInt8Array
from runtime.bundle import MANIFEST, Bundle, open_bundle
from runtime.commands.say import aside as say_aside
from runtime.manifest import (
    BUNDLE_SCHEMA,
    FAMILIAR,
    NETWORKS,
    FileEntry,
    InputFacts,
    Manifest,
    NetworkFacts,
    ResizeFacts,
    graph_name,
)
from runtime.plans import PLANS
from runtime.quality import QualityLimits
from runtime.sinks.files import folder_aside, replace_folder
from runtime.trust.drift import REFERENCE

TOOLS = ("torch", "onnx", "onnxscript", "openvino")
"""Packages whose versions the manifest names."""
LOW_TOOLS = ("nvidia-modelopt", "onnx", "openvino")
"""The same, of those that make and measure lower precisions."""
Report = Callable[[str], None]


@dataclass(frozen=True)
class LowPrecision:
    """Which graphs are added to fp32, from what, and on what they are held against it."""

    settings: QuantizeSettings
    calibration: CalibrationSet | None
    """Needed for `int8`."""
    source: NamedFrames
    """Frames of the parity report."""


@dataclass(frozen=True)
class BuiltBundle:
    """A bundle that was written."""

    path: Path
    manifest: Manifest
    parity: Parity | None
    """Graphs against the checkpoint; None where they came from another bundle."""
    report: ParityReport | None
    """Precisions against fp32; None with fp32 alone."""


def build_bundle(
    network: SegImgNet,
    description: Description,
    out: Path,
    images: Sequence[UInt8Array],
    *,
    dynamic_batch: bool = False,
    low: LowPrecision | None = None,
    report: Report = lambda line: None,
) -> BuiltBundle:
    """Export, check and write a bundle; an earlier one at `out` is replaced whole, at the very end, or not at all.

    images: RGB, uint8 [256, 256, 3] each, on which the graphs must agree with the network. low: lower precisions to
    add. Raises `ParityError` when graphs and network do not agree, `BuildError` when the description does not fit, a
    precision cannot be had or the folder cannot be written, `CalibrationError` when the set is not for this bundle.
    """
    if len(description.classes) != network.classes:
        raise BuildError(
            f"description: names {len(description.classes)} classes, the checkpoint has {network.classes}; "
            f"describe every class in the order of the outputs"
        )
    with replacing(out) as folder:
        report("exporting both graphs")
        graphs = export_graphs(network, folder, dynamic_batch=dynamic_batch)
        report(f"checking them against the network on {len(images)} images")
        parity = check_parity(network, graphs, images)
        draft = _draft(network, description)
        manifest, parity_report = _finish(folder, draft, low, images, report)
    return BuiltBundle(out, manifest, parity, parity_report)


def extend_bundle(
    bundle: Bundle, out: Path, images: Sequence[UInt8Array], low: LowPrecision, report: Report = lambda line: None
) -> BuiltBundle:
    """A bundle with the fp32 graphs of another, to the bit, and lower precisions made anew; `out` may be the same.

    images: a sample for `fp16` where there is no calibration set. Raises as `build_bundle`.
    """
    with replacing(out) as folder:
        for network in NETWORKS:
            name = graph_name(network, "fp32")
            (folder / name).write_bytes(bundle.read(name))
        for name in {REFERENCE, FAMILIAR} & {entry.path for entry in bundle.manifest.files}:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(bundle.read(name))
        gone: dict[str, object] = {"quantization": {}, "parity_report": None, "calibration_sha256": None}
        gone.update(files=(), saved_graphs=())
        draft = bundle.manifest.model_copy(update={**gone, **stated(), "created": _today()})
        manifest, parity_report = _finish(folder, draft, low, images, report)
    return BuiltBundle(out, manifest, None, parity_report)


def _finish(
    folder: Path, draft: Manifest, low: LowPrecision | None, images: Sequence[UInt8Array], report: Report
) -> tuple[Manifest, ParityReport | None]:
    """Add the lower precisions, the report, the card and the manifest to a folder that holds the fp32 graphs."""
    parity: ParityReport | None = None
    if low is not None and low.settings.precisions:
        draft = _with_graphs(folder, draft, low, images, report)
        report("holding every precision against fp32")
        parity = measure(written(folder, draft), low.source, report=lambda frames: _each(frames, report))
        write_report(parity, folder)
        draft = with_defaults(draft, parity)
    if draft.cross_validation is not None:
        write_reliability(draft.cross_validation, folder)
    (folder / CARD).write_text(model_card(draft, parity), encoding="utf-8")
    report("self-test: asking the networks")
    write_self_test(written(folder, draft))
    report("stage vectors: reading drawn frames")
    write_vectors(written(folder, draft))
    return written(folder, draft).manifest, parity


def stated() -> dict[str, object]:
    """What a manifest states of this version's preprocessing and gate, for other implementations."""
    return {"resize": ResizeFacts(), "gate": asdict(QualityLimits())}


def with_defaults(draft: Manifest, report: ParityReport) -> Manifest:
    """The manifest with what a report found best for `openvino`, in the place of all that it named before."""
    others = {key: named for key, named in draft.default_precision.items() if key.split("/")[0] != "openvino"}
    return draft.model_copy(update={"default_precision": {**defaults(report), **others}, "parity_report": REPORT_FILE})


def _with_graphs(
    folder: Path, draft: Manifest, low: LowPrecision, images: Sequence[UInt8Array], report: Report
) -> Manifest:
    """The manifest with what lower precisions add to it."""
    frames = np.stack(list(images))
    if low.calibration is not None:
        low.calibration.require_for(written(folder, draft))
        frames = low.calibration.frames()
    elif "int8" in low.settings.precisions:
        raise BuildError("int8: needs a calibration set; name one with --calibration (python -m calibration create)")
    quantized = add_graphs(folder, low.settings, frames, report)
    return draft.model_copy(
        update={
            "quantization": quantized.networks,
            "calibration_sha256": low.calibration.sha256 if low.calibration and quantized.networks else None,
            "tools": {**draft.tools, **_versions(LOW_TOOLS)},
        }
    )


def _draft(network: SegImgNet, description: Description) -> Manifest:
    return Manifest.model_validate(
        {
            "schema": BUNDLE_SCHEMA,
            **description.model_dump(),
            "created": _today(),
            "network": NetworkFacts(
                architecture="SegImgNet",
                size=network.size.name,
                parameters=sum(parameter.numel() for parameter in network.parameters()),
            ),
            "input": InputFacts(
                width=256, height=256, layout="NHWC", dtype="uint8", color="RGB", resize="antialiased bilinear"
            ),
            "default_precision": {"openvino": {"segmentation": "fp32", "classifier": "fp32"}},
            "tools": _versions(TOOLS),
            "files": (),
            **stated(),
        }
    )


def written(folder: Path, draft: Manifest) -> Bundle:
    """The folder as a bundle: every file in it named by the manifest, which is written last."""
    (folder / MANIFEST).unlink(missing_ok=True)
    files = tuple(_entry(folder, path) for path in sorted(folder.rglob("*")) if path.is_file())
    manifest = draft.model_copy(update={"files": files})
    (folder / MANIFEST).write_text(manifest.model_dump_json(by_alias=True, indent=2) + "\n", encoding="utf-8")
    return open_bundle(folder)


def _entry(folder: Path, path: Path) -> FileEntry:
    content = path.read_bytes()
    name = path.relative_to(folder).as_posix()
    return FileEntry(path=name, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def _versions(packages: Sequence[str]) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in packages}


def _today() -> str:
    return datetime.now(timezone.utc).date().isoformat()


def _each(frames: int, report: Report) -> None:
    if frames % 50 == 0:
        report(f"{frames} frames")


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A folder beside `out` that takes its place when all went well, and is gone when not."""
    _refuse_foreign(out)
    with folder_aside(out, say_aside) as aside:
        yield aside
        aside.chmod(0o755)
        replace_folder(out, aside)


@contextmanager
def rewriting(bundle: Bundle, *leave_out: str) -> Iterator[Path]:
    """As `replacing`, with the files of a bundle in the folder and its plans kept; its signature goes.

    leave_out: folders in the bundle that are not copied. What is yielded needs `written` to become a bundle.
    """
    with replacing(bundle.path) as folder:
        for entry in bundle.manifest.files:
            if entry.path.split("/")[0] not in leave_out:
                path = folder / entry.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(bundle.read(entry.path))
        yield folder
        if (bundle.path / PLANS).is_dir():
            shutil.copytree(bundle.path / PLANS, folder / PLANS)


def _refuse_foreign(out: Path) -> None:
    """Never replace a folder that is not a bundle."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise BuildError(f"--out {out}: is not a folder; name a new folder or a bundle to replace")
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise BuildError(f"--out {out}: holds files but no {MANIFEST}, so it is not a bundle; name another folder")
