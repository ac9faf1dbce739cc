"""Writing a bundle: graphs exported and checked, manifest with hashes, all of it aside and then renamed."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from build_engines.description import Description
from build_engines.errors import BuildError
from build_engines.export import Parity, check_parity, export_graphs
from build_engines.segimgnet import SegImgNet
from runtime.arrays import UInt8Array
from runtime.bundle import MANIFEST
from runtime.manifest import BUNDLE_SCHEMA, FileEntry, InputFacts, Manifest, NetworkFacts
from runtime.outcome import AID_NOTICE, DEMONSTRATION_NOTICE

TOOLS = ("torch", "onnx", "onnxscript", "openvino")
"""Packages whose versions the manifest names."""


@dataclass(frozen=True)
class BuiltBundle:
    """A bundle that was written."""

    path: Path
    manifest: Manifest
    parity: Parity


def build_bundle(
    network: SegImgNet,
    description: Description,
    out: Path,
    images: Sequence[UInt8Array],
    *,
    dynamic_batch: bool = False,
    report: Callable[[str], None] = lambda line: None,
) -> BuiltBundle:
    """Export, check and write a bundle; an earlier one at `out` is replaced whole, at the very end, or not at all.

    images: RGB, uint8 [256, 256, 3] each, on which the graphs must agree with the network. Raises `ParityError` when
    they do not, `BuildError` when the description does not fit or the folder cannot be written.
    """
    if len(description.classes) != network.classes:
        raise BuildError(
            f"description: names {len(description.classes)} classes, the checkpoint has {network.classes}; "
            f"describe every class in the order of the outputs"
        )
    _refuse_foreign(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        report("exporting both graphs")
        graphs = export_graphs(network, aside, dynamic_batch=dynamic_batch)
        report(f"checking them against the network on {len(images)} images")
        parity = check_parity(network, graphs, images)
        manifest = _manifest(network, description, aside)
        (aside / MANIFEST).write_text(manifest.model_dump_json(by_alias=True, indent=2) + "\n", encoding="utf-8")
        aside.chmod(0o755)
        _replace(out, aside)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    return BuiltBundle(out, manifest, parity)


def model_card(manifest: Manifest) -> str:
    """MODEL_CARD.md for a bundle, every figure from its manifest."""
    notice = AID_NOTICE if manifest.clinical_use else f"{AID_NOTICE} {DEMONSTRATION_NOTICE}"
    lines = [
        f"# Model card: {manifest.name}, version {manifest.version}",
        "",
        f"**{notice}**",
        "",
        manifest.intended_use,
        "",
        f"- Network: {manifest.network.architecture} (arXiv 2503.00267), size `{manifest.network.size}`, "
        f"{manifest.network.parameters:,} parameters",
        f"- Input: {manifest.input.color}, {manifest.input.width} x {manifest.input.height}, {manifest.input.resize}",
        f"- Refers when the classes marked below add up to {manifest.refer_threshold:g} or more",
        f"- Built {manifest.created} with " + ", ".join(f"{k} {v}" for k, v in manifest.tools.items()),
        "",
        "## Classes",
        "",
        "| class | means | refers |",
        "|---|---|---|",
        *(f"| `{c.name}` | {c.meaning} | {'yes' if c.refer else 'no'} |" for c in manifest.classes),
        "",
        "## Figures on held-out frames",
        "",
        "Frames were held out by frame group, so no near-identical frame stands on both sides; other frames of one "
        "infant may, since the data sets carry no patient numbers. Intervals are 95 % bootstrap. Dice is the mean over "
        "frames at 256 x 256 and a threshold of 0.5.",
        "",
        "| task | figure | data set | device | precision | value | 95 % interval | frames |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {m.task} | {m.name} | {m.dataset} | {m.device} | {m.precision} | {m.value:.3f} | "
            f"{m.low:.3f} to {m.high:.3f} | {m.frames} |"
            for m in manifest.metrics
        ),
        "",
        "## Trained on",
        "",
        *(
            f"- `{t.name}`, {t.frames} frames, {t.licence}: {t.citation}. <{t.source}>. Images were resized and "
            f"augmented; the weights are derived from them."
            for t in manifest.training_data
        ),
    ]
    return "\n".join(lines) + "\n"


def _manifest(network: SegImgNet, description: Description, folder: Path) -> Manifest:
    content = {
        "schema": BUNDLE_SCHEMA,
        **description.model_dump(),
        "created": datetime.now(timezone.utc).date().isoformat(),
        "network": NetworkFacts(
            architecture="SegImgNet",
            size=network.size.name,
            parameters=sum(parameter.numel() for parameter in network.parameters()),
        ),
        "input": InputFacts(
            width=256, height=256, layout="NHWC", dtype="uint8", color="RGB", resize="antialiased bilinear"
        ),
        "default_precision": {"openvino": {"segmentation": "fp32", "classifier": "fp32"}},
        "tools": {name: importlib.metadata.version(name) for name in TOOLS},
        "files": (),
    }
    draft = Manifest.model_validate(content)
    (folder / "MODEL_CARD.md").write_text(model_card(draft), encoding="utf-8")
    return draft.model_copy(update={"files": tuple(_entry(path) for path in sorted(folder.iterdir()))})


def _entry(path: Path) -> FileEntry:
    content = path.read_bytes()
    return FileEntry(path=path.name, size=len(content), sha256=hashlib.sha256(content).hexdigest())


def _refuse_foreign(out: Path) -> None:
    """Never replace a folder that is not a bundle."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise BuildError(f"--out {out}: is not a folder; name a new folder or a bundle to replace")
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise BuildError(f"--out {out}: holds files but no {MANIFEST}, so it is not a bundle; name another folder")


def _replace(out: Path, aside: Path) -> None:
    """Put the finished folder in place. Between the two renames no bundle stands at `out`, never half of one."""
    if not out.exists():
        os.replace(aside, out)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{out.name}.old.", dir=out.parent))
    os.replace(out, old / "bundle")
    os.replace(aside, out)
    shutil.rmtree(old, ignore_errors=True)
