"""The model card as Hugging Face reads it: the same text under a header of YAML."""

from __future__ import annotations

import json
import re

from build_engines.card import model_card
from build_engines.description import says
from build_engines.report.schema import ParityReport
from runtime.manifest import Manifest, Metric

TAGS = ("medical", "ophthalmology", "retinopathy-of-prematurity")
FORMATS = {"onnx": r".*\.onnx", "openvino": r".*\.xml", "tensorrt": r"plans/.*"}
"""By tag, which files of a bundle it is of."""
TASKS = {"segmentation": "image-segmentation", "classification": "image-classification"}

LICENCES = frozenset(
    {
        *("apache-2.0", "mit", "bsd-3-clause", "mpl-2.0", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "cc0-1.0", "cc-by-4.0"),
        *("cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"),
    }
)
"""Of the words that Hugging Face takes as a licence, those in use for weights; any other is `other` with its name."""


def hugging_face_card(manifest: Manifest, report: ParityReport | None = None) -> str:
    """`README.md` of a model repository: metadata with every figure of the manifest, then the card.

    What the manifest does not state is left out of the header, as it is shown as a gap in the card.
    """
    paths = [entry.path for entry in manifest.files]
    held = [tag for tag, form in FORMATS.items() if any(re.fullmatch(form, path) for path in paths)]
    header: dict[str, object] = {"tags": [*TAGS, *held], "pipeline_tag": TASKS["classification"]}
    if manifest.stated.licence and says(manifest.stated.licence):
        known = manifest.stated.licence.lower()
        header |= {"license": known} if known in LICENCES else {"license": "other", "license_name": _slug(known)}
    if manifest.metrics:
        results = [_result(metric) for metric in manifest.metrics]
        header["model-index"] = [{"name": f"{manifest.name} {manifest.version}", "results": results}]
    lines = [line for name, value in header.items() for line in _yaml(name, value)]
    return "\n".join(["---", *lines, "---", "", model_card(manifest, report)])


def _yaml(name: str, value: object, indent: str = "") -> list[str]:
    """A field of a header, a value a line; texts and numbers as JSON, which YAML takes."""
    if isinstance(value, dict):
        return [f"{indent}{name}:", *(line for key, item in value.items() for line in _yaml(key, item, indent + "  "))]
    if not isinstance(value, list):
        return [f"{indent}{name}: {json.dumps(value)}"]
    lines = [f"{indent}{name}:"]
    for item in value:
        if isinstance(item, dict):
            fields = [line for key, part in item.items() for line in _yaml(key, part, indent + "  ")]
            lines += [f"{indent}- {fields[0].removeprefix(indent + '  ')}", *fields[1:]]
        else:
            lines.append(f"{indent}- {json.dumps(item)}")
    return lines


def _slug(text: str) -> str:
    """As Hugging Face takes a licence's name: letters, digits, dots and dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", text).strip("-") or "not-named"


def _result(metric: Metric) -> dict[str, object]:
    name = f"{metric.name}, {metric.device}, {metric.precision} [{metric.low:.3f}, {metric.high:.3f}]"
    return {
        "task": {"type": TASKS[metric.task]},
        "dataset": {"name": metric.dataset, "type": metric.dataset},
        "metrics": [{"type": metric.name, "value": metric.value, "name": f"{name}, {metric.frames} frames"}],
    }
